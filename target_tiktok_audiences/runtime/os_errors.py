"""What the machine may lack: room, permission, handles. Neither the data nor the ledger are to blame for that."""

from __future__ import annotations

import errno
import os

_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Make room there"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Let this user write there"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Raise the limit of open files (`ulimit -n`)"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG), "Correct the path"),
    **dict.fromkeys((errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE), "Check the disk"),
    **dict.fromkeys((errno.ENOMEM, errno.EAGAIN, errno.ENOLCK), "Give it more memory or locks"),
}


def refusal(error: OSError) -> str:
    """Say in one line what the machine refused, where, and what to do."""
    if error.strerror is None or error.errno is None:
        return str(error)
    where = f": {error.filename}" if error.filename is not None else ""
    return f"{error.strerror}{where}. {advice(error.errno)}, and run again."


def advice(number: int | None) -> str:
    """Give what to do about an error of the operating system, as the beginning of a sentence."""
    return _ADVICE.get(number or 0, "Put that right")


def error_number(text: str) -> int | None:
    """Give the error of the operating system that a text of the database ends with or holds, if any."""
    return next((number for number in _ADVICE if os.strerror(number) in text), None)
