"""Validate names from outside, and make messages from outside safe for a log line."""

from __future__ import annotations

import re

LONGEST_NAME = 1000
"""Maximum length of a stream or column name, in characters; databases allow a few hundred."""

LONGEST_MESSAGE = 8000
"""Maximum length of a message in a log line, in characters."""

_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line ends, and unpaired surrogates, which no encoding can write."""


def is_name(text: object) -> bool:
    """Return whether a value can be the name of a stream or a column: a printable text of 1 to `LONGEST_NAME`."""
    return isinstance(text, str) and 0 < len(text) <= LONGEST_NAME and is_printable(text)


def is_plain(column: str) -> bool:
    """Return whether a column name is safe to show: in a file without a heading, the column names are data."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ .-]{0,63}", column) is not None


def is_printable(text: str) -> bool:
    """Return whether a text can be logged as it is; emoji and right-to-left scripts can."""
    return not _UNPRINTABLE.search(text)


def one_line(text: str) -> str:
    """Return a text as one line, without the middle of a very long one.

    Characters that could move a terminal's cursor or color its output are shown as escapes.
    """
    line = " ".join(text.split())
    if len(line) > LONGEST_MESSAGE:
        line = f"{line[: LONGEST_MESSAGE // 2]} ... {line[-LONGEST_MESSAGE // 2 :]}"
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), line)
