"""Files: private temporary folders, atomic writes, free descriptors."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path


def spare_handles(count: int) -> None:
    """Raise `OSError` now unless so many more files can be opened."""
    opened: list[int] = []
    try:
        opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(count))
    finally:
        for handle in opened:
            os.close(handle)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that it is the old one or the new one, and nothing half done stays behind."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk names no file
        raise
    finally:
        partial.unlink(missing_ok=True)


class PrivateFolder:
    """A temporary folder that only this user may enter; `close`, or the end of the process, removes it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="target-tiktok-audiences-"))
        self.close = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
