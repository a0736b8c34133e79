"""Many values as one text, so that one search finds those that are written plainly.

Half of what a single value costs is Python calling the next function; here that is paid once for all. Each value is
followed by a NUL; one that holds a NUL itself counts as two, by which the caller can tell.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence


def join(values: Sequence[object]) -> str:
    """Write values as one text; what is no string becomes empty."""
    try:
        return "\0".join(cast("Sequence[str]", values)) + "\0"
    except TypeError:
        return join([value if isinstance(value, str) else "" for value in values])


def encode(text: str) -> bytes:
    """Give the text as bytes; a lone surrogate must not stop the search, and matches nothing in ASCII."""
    return text.encode(errors="surrogatepass")


def plain_values_pattern(normal: str) -> re.Pattern[bytes]:
    """Compile what `findall` needs to give each value that looks like `normal`, and b"" for each other one."""
    return re.compile(rf"({normal})\0|[^\0]*\0".encode())
