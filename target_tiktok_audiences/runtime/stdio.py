"""Handle standard streams that are closed, full or broken."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import IO


def prepare() -> None:
    """Occupy the numbers of closed standard streams, and let standard output write any text in any locale.

    Otherwise the next file that is opened, perhaps a ledger, becomes number 1 or 2 and receives what libraries print.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error's number
        pass
    os.close(descriptor)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def flush(stream: IO[str] | None) -> OSError | None:
    """Write what a stream still holds; if that fails, discard it and return the error.

    Python flushes once more at exit, and turns every exit code into 120 if that fails.
    """
    if stream is None:
        return None
    try:
        stream.flush()
    except OSError as error:
        discard(stream)
        return error
    return None


def discard(stream: IO[str]) -> None:
    """Redirect a broken stream to the null device, with what it still holds."""
    with suppress(OSError, ValueError):  # a stream in memory has no descriptor
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
