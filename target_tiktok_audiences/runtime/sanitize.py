"""Names and messages from outside: what is valid, and how a log line shows it."""

from __future__ import annotations

import re

LONGEST_NAME = 1000
"""Characters of a stream's or column's name; databases stop at some hundreds."""

LONGEST_MESSAGE = 8000


_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line ends, and halves of surrogate pairs, which no encoding can write."""


def is_name(text: object) -> bool:
    """Tell whether something can be the name of a stream or a column: not empty, not endless, and printable."""
    return isinstance(text, str) and 0 < len(text) <= LONGEST_NAME and is_printable(text)


def is_plain(column: str) -> bool:
    """Tell whether a column's name is surely no data: a file without its heading has people for columns."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ .-]{0,63}", column) is not None


def is_printable(text: str) -> bool:
    """Tell whether a text can stand in a log line; emoji and scripts from right to left can."""
    return not _UNPRINTABLE.search(text)


def one_line(text: str) -> str:
    """Make one line of a text, and leave out the middle of a very long one.

    What could move a terminal's cursor, or colour it, is shown as an escape instead.
    """
    line = " ".join(text.split())
    if len(line) > LONGEST_MESSAGE:
        line = f"{line[: LONGEST_MESSAGE // 2]} ... {line[-LONGEST_MESSAGE // 2 :]}"
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), line)
