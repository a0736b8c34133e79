"""The files of a ledger: copies, the write-ahead log, quarantine."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def log_of(database: Path) -> Path:
    """Give the file in which DuckDB keeps what is committed and not yet merged."""
    return database.with_name(f"{database.name}.wal")


def _quarantine(database: Path, what: str, ending: str) -> Path:
    """Rename a ledger, and its write-ahead log with it, to a name that no file has."""
    names = itertools.chain([what], (f"{what}-{number}" for number in itertools.count(2)))
    free = (database.with_suffix(f".{name}.{ending}") for name in names)
    aside = next(path for path in free if not path.exists() and not log_of(path).exists())
    for file, new in ((database, aside), (log_of(database), log_of(aside))):
        if file.exists():
            file.replace(new)
    return aside


def copy_files(database: Path, folder: Path) -> Path:
    """Copy a ledger's files, if it is there, to where they may be changed."""
    for file in (database, log_of(database)):
        if file.exists():
            shutil.copy(file, folder / file.name)
    return folder / database.name
