"""Snapshots of ledgers, read from copies without a lock, so that they neither wait for a run nor stop one."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import sys
import tempfile
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.ledger.database import LedgerError, describe
from target_tiktok_audiences.ledger.files import copy_files, log_of
from target_tiktok_audiences.ledger.ledger import Ledger
from target_tiktok_audiences.runtime.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from target_tiktok_audiences.ledger.delivered import Counts
    from target_tiktok_audiences.ledger.metadata import LedgerMetadata
    from target_tiktok_audiences.ledger.schema import LedgerState
    from target_tiktok_audiences.ledger.staging import Binding

_ATTEMPTS = 5

_LOCK = "qqihh" if sys.platform == "darwin" else "hhqqi4x"
"""The layout of C's `struct flock`; all fields but the type of the lock are 0."""


@dataclass(frozen=True)
class LedgerSnapshot:
    """The content of a ledger as of its last commit."""

    card: LedgerMetadata
    busy: bool = False
    """Whether a run has the ledger open now."""
    problem: str = ""
    """Why the ledger cannot be read; the fields below are then empty."""
    facts: LedgerState | None = None
    counts: Counts | None = None
    in_flight: int = 0
    parts: list[tuple[Binding, int, datetime]] = field(default_factory=list)
    runs: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    """The newest entries of the journal, newest first: when the run ended, and its report."""

    @property
    def audience_id(self) -> str | None:
        """The audience's id, if it is known."""
        return (self.facts and self.facts.audience_id) or self.card.audience_id


def read_snapshots(
    place: Path | str | None, temporary: Path, wanted: Callable[[LedgerMetadata], bool], *, runs: int = 0
) -> list[LedgerSnapshot]:
    """Return a snapshot of every ledger whose metadata passes `wanted`, with its newest `runs` journal entries."""
    catalog = LedgerCatalog(place, temporary, dry_run=True)
    return [_read(catalog, path, metadata, temporary, runs) for path, metadata in catalog.cards() if wanted(metadata)]


def _read(catalog: LedgerCatalog, path: Path, metadata: LedgerMetadata, temporary: Path, runs: int) -> LedgerSnapshot:
    busy = _is_open(path.with_suffix(".duckdb"))
    try:
        busy = catalog.fetch(path) is not None or busy
        with opened_copy(path.with_suffix(".duckdb"), temporary) as ledger:
            state, parts, newest = ledger.facts, ledger.parts(), ledger.runs(runs)
            return LedgerSnapshot(metadata, busy, "", state, ledger.counts(), ledger.in_flight(), parts, newest)
    except (LedgerError, OSError, UserError) as error:
        problem = "A run is writing it now; try again later." if busy else describe(error)
        return LedgerSnapshot(metadata, busy, problem)


@contextmanager
def opened_copy(database: Path, temporary: Path) -> Iterator[Ledger]:
    """Yield an open copy of a ledger as of its last commit. Raises `UserError`, `LedgerError` and `OSError`."""
    workspace = Path(tempfile.mkdtemp(dir=temporary))
    try:
        with closing(Ledger(_copy(database, workspace), workspace / "spill")) as ledger:
            yield ledger
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def _copy(database: Path, workspace: Path) -> Path:
    """Copy a ledger's files between two writes. Raises `UserError` if a run writes them during every attempt."""
    for number in range(_ATTEMPTS):
        if not database.exists():
            raise UserError(f"The ledger's file is missing: {database}. The next run continues as if it were lost.")
        folder = workspace / str(number)
        folder.mkdir()
        before = _stamps(database)
        with suppress(FileNotFoundError):  # DuckDB creates and deletes the write-ahead log
            copy = copy_files(database, folder)
            if _stamps(database) == before:
                return copy
        shutil.rmtree(folder)
    raise UserError("A run is writing it now; try again later.")


def _stamps(database: Path) -> list[tuple[int, int, int] | None]:
    return [_stamp(file) for file in (database, log_of(database))]


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _is_open(database: Path) -> bool:
    """Return whether another process holds DuckDB's lock. The query takes no lock, so it cannot stop a run."""
    try:
        descriptor = os.open(database, os.O_RDONLY)
    except OSError:
        return False
    try:
        fields = [0, 0, 0, fcntl.F_WRLCK, 0] if sys.platform == "darwin" else [fcntl.F_WRLCK, 0, 0, 0, 0]
        lock = struct.unpack(_LOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(_LOCK, *fields)))
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return bool(lock[3 if sys.platform == "darwin" else 0] != fcntl.F_UNLCK)
