"""The files of a ledger: copies, the write-ahead log, quarantine."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def log_of(database: Path) -> Path:
    """Return the path of DuckDB's write-ahead log: transactions that are committed and not yet merged."""
    return database.with_name(f"{database.name}.wal")


def quarantine(database: Path, label: str, ending: str) -> Path:
    """Rename a ledger and its write-ahead log to an unused name, and return the new path of the ledger."""
    names = itertools.chain([label], (f"{label}-{number}" for number in itertools.count(2)))
    candidates = (database.with_suffix(f".{name}.{ending}") for name in names)
    target = next(path for path in candidates if not path.exists() and not log_of(path).exists())
    for file, new in ((database, target), (log_of(database), log_of(target))):
        if file.exists():
            file.replace(new)
    return target


def copy_files(database: Path, folder: Path) -> Path:
    """Copy the files of a ledger that exist to a folder, and return the path of the copied database."""
    for file in (database, log_of(database)):
        if file.exists():
            shutil.copy(file, folder / file.name)
    return folder / database.name
