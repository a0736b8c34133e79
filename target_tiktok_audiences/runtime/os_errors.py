"""Operating-system errors (disk space, permissions, file descriptors) and what to do about them."""

from __future__ import annotations

import errno
import os

_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Free disk space there"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Give this user write permission there"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Raise the limit of open files (`ulimit -n`)"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG), "Correct the path"),
    **dict.fromkeys((errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE), "Check the disk"),
    **dict.fromkeys((errno.ENOMEM, errno.EAGAIN, errno.ENOLCK), "Give the process more memory or locks"),
}


def refusal(error: OSError) -> str:
    """Return one line: what the operating system refused, where, and what to do."""
    if error.strerror is None or error.errno is None:
        return str(error)
    where = f": {error.filename}" if error.filename is not None else ""
    return f"{error.strerror}{where}. {advice(error.errno)}, and run again."


def advice(number: int | None) -> str:
    """Return what to do about an operating-system error, as the beginning of a sentence without a period."""
    return _ADVICE.get(number or 0, "Fix the cause")


def error_number(text: str) -> int | None:
    """Return the number of the operating-system error whose text a database message contains, or None."""
    return next((number for number in _ADVICE if os.strerror(number) in text), None)
