"""A look at ledgers, on copies of them: it takes no lock, so it neither waits for a run nor stops one."""

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


_TRIES = 5

_LOCK = "qqihh" if sys.platform == "darwin" else "hhqqi4x"
"""How C lays out `struct flock`; all fields are 0 but the type of the lock."""


@dataclass(frozen=True)
class LedgerSnapshot:
    """What a ledger says, as its last commit left it."""

    card: LedgerMetadata
    busy: bool = False
    """Whether a run has it open now."""
    problem: str = ""
    """Why nothing else can be told of it."""
    facts: LedgerState | None = None
    counts: Counts | None = None
    in_flight: int = 0
    parts: list[tuple[Binding, int, datetime]] = field(default_factory=list)
    runs: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    """The newest reports of the journal, the newest first."""

    @property
    def audience_id(self) -> str | None:
        """The audience's id, as far as it is known."""
        return (self.facts and self.facts.audience_id) or self.card.audience_id


def read_snapshots(
    place: Path | str | None, temporary: Path, wanted: Callable[[LedgerMetadata], bool], *, runs: int = 0
) -> list[LedgerSnapshot]:
    """Look at every ledger whose card is wanted, with its newest `runs`."""
    ledgers = LedgerCatalog(place, temporary, dry_run=True)
    return [_look(ledgers, path, card, temporary, runs) for path, card in ledgers.cards() if wanted(card)]


def _look(ledgers: LedgerCatalog, path: Path, card: LedgerMetadata, temporary: Path, runs: int) -> LedgerSnapshot:
    busy = _is_open(path.with_suffix(".duckdb"))
    try:
        busy = ledgers.fetch(path) is not None or busy
        with opened_copy(path.with_suffix(".duckdb"), temporary) as ledger:
            parts, newest = ledger.parts(), ledger.runs(runs)
            return LedgerSnapshot(card, busy, "", ledger.facts, ledger.counts(), ledger.in_flight(), parts, newest)
    except (LedgerError, OSError, UserError) as error:
        why = "A run is writing it now; look again later." if busy else describe(error)
        return LedgerSnapshot(card, busy, why)


@contextmanager
def opened_copy(database: Path, temporary: Path) -> Iterator[Ledger]:
    """Open a copy of a ledger, as its last commit left it. Raises `UserError`, `LedgerError` and `OSError`."""
    place = Path(tempfile.mkdtemp(dir=temporary))
    try:
        with closing(Ledger(_copy(database, place), place / "spill")) as ledger:
            yield ledger
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _copy(database: Path, place: Path) -> Path:
    """Copy a ledger's files while nobody writes them. Raises `UserError` where somebody always does."""
    for number in range(_TRIES):
        if not database.exists():
            raise UserError(f"The ledger's file is missing: {database}. The next run goes on as if it were lost.")
        folder = place / str(number)
        folder.mkdir()
        before = _stamps(database)
        with suppress(FileNotFoundError):  # the write-ahead log comes and goes
            copy = copy_files(database, folder)
            if _stamps(database) == before:
                return copy
        shutil.rmtree(folder)
    raise UserError("A run is writing it now; look again later.")


def _stamps(database: Path) -> list[tuple[int, int, int] | None]:
    return [_stamp(file) for file in (database, log_of(database))]


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _is_open(database: Path) -> bool:
    """Tell whether another process holds DuckDB's lock; asking takes none."""
    try:
        descriptor = os.open(database, os.O_RDONLY)
    except OSError:
        return False
    try:
        fields = [0, 0, 0, fcntl.F_WRLCK, 0] if sys.platform == "darwin" else [fcntl.F_WRLCK, 0, 0, 0, 0]
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(_LOCK, *fields))
        found = struct.unpack(_LOCK, answer)
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return bool(found[3 if sys.platform == "darwin" else 0] != fcntl.F_UNLCK)
