"""Files: private temporary folders, atomic writes, free descriptors."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path


def spare_handles(count: int) -> None:
    """Raise `OSError` now unless `count` more files can be opened."""
    descriptors: list[int] = []
    try:
        descriptors.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(count))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def write_atomic(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Replace a file in one durable step: after a crash or a power failure it has its old or its new content.

    The new file has the permissions `mode`, less the umask. Raises `OSError` with the name of a file.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # one that a killed process left has its own permissions
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk names no file
        raise
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the file system can synchronize a folder and this user may read it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class PrivateFolder:
    """A temporary folder that only this user can enter; `close`, or the end of the process, removes it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="target-tiktok-audiences-"))
        self.close = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
