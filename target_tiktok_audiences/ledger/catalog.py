"""A catalog of all ledgers under one `ledger_path`: finds the ledger of an audience, and locks it for one run.

Each ledger has its metadata next to it, in a small JSON file. For ledgers in an object store, the folder holds copies.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from target_tiktok_audiences.ledger.database import describe
from target_tiktok_audiences.ledger.erasures import Erasures
from target_tiktok_audiences.ledger.locks import Locks
from target_tiktok_audiences.ledger.metadata import LedgerMetadata, write_metadata
from target_tiktok_audiences.ledger.object_store import ObjectStore, ObjectStoreFailed
from target_tiktok_audiences.ledger.remote import RemoteLedgers
from target_tiktok_audiences.ledger.session import LedgerSession
from target_tiktok_audiences.runtime.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime


class LedgerExists(LedgerUnusable):
    """A ledger of the audience exists already, and would be overwritten."""


class LedgerCatalog:
    """All ledgers under one `ledger_path`, a folder or a URL; without one, ledgers exist in memory only.

    In a dry run, ledgers are copied to the temporary folder and never changed. Raises `LedgerUnusable`.
    """

    def __init__(self, place: Path | str | None, temporary: Path, *, dry_run: bool = False) -> None:
        store = ObjectStore(place) if isinstance(place, str) else None
        self._remote = RemoteLedgers(store, temporary / "fetched") if store else None
        self._path = self._remote.folder if self._remote else Path(place) if place else None
        self._temporary = temporary
        self._dry_run = dry_run
        self.name = store.name if store else str(place or "memory")
        """The folder or URL, as messages show it."""
        self.erasures = Erasures(self._path, store, save=not dry_run)
        if self._path and not dry_run:
            _prepare(self._path)
        if store and not dry_run:
            store.check()  # now, rather than after all input is read

    @property
    def lasts(self) -> bool:
        """Whether ledgers outlast the process."""
        return self._path is not None

    def fetch(self, path: Path) -> datetime | None:
        """Download the database of the ledger whose metadata file is `path`.

        Returns until when another machine has reserved the ledger, or None.
        """
        if self._remote is None:
            return None
        remote = self._remote.open(path)
        remote.fetch(path.with_suffix(".duckdb"))
        return remote.reserved_until

    def cards(self) -> list[tuple[Path, LedgerMetadata]]:
        """Return the path and content of every metadata file; unreadable ones are skipped."""
        entries = []
        for path in sorted(self._path.glob("*.json")) if self._path else []:
            try:
                entries.append((path, msgspec.json.decode(path.read_bytes(), type=LedgerMetadata)))
            except (msgspec.DecodeError, FileNotFoundError):
                continue
        return entries

    def owes(self, metadata: LedgerMetadata) -> bool:
        """Return whether an audience has pending changes, even if this run has no stream for it."""
        return metadata.owed or metadata.erasures < len(self.erasures.of(metadata.contract))

    def open(self, wanted: LedgerMetadata) -> LedgerSession:
        """Open the ledger of an audience, or create one. Raises `LedgerBusy` and `LedgerUnusable`."""
        locks = Locks(self._path if self._path and self._path.is_dir() else None)
        try:
            locks.take(wanted, wanted.audience_id)
            if self._remote:
                self._remote.refresh()
            path, metadata = self._find(wanted)
            remote = self._remote.open(path) if self._remote and path else None
            if remote:
                remote.check_free()
            locks.take(metadata, metadata.audience_id)
            metadata = replace(
                metadata,
                name=wanted.name,
                audience_id=wanted.audience_id or metadata.audience_id,
                pinned=wanted.pinned,
                retention_in_days=wanted.retention_in_days,
            )
            erased = self.erasures.of(metadata.contract)
            return LedgerSession(metadata, path, remote, locks, self._temporary, erased, save=not self._dry_run)
        except BaseException:
            locks.release()
            raise

    def take(self, session: LedgerSession) -> None:
        """Import a copy of another catalog's ledger, with its erasures. Closes the session's ledger.

        Raises `LedgerExists` if this catalog has a ledger of the same audience.
        """
        metadata, database = session.card, session.closed()
        if self._path is None or database is None:
            raise LedgerUnusable(f"{self.name} does not outlast this process, so nothing was copied.")
        entries = self.cards()
        if any(existing.is_of(metadata) for _, existing in entries):
            raise LedgerExists(f'{self.name} already has a ledger of audience "{metadata.name}"; it is unchanged.')
        self.erasures.take_over(session.erased, metadata.contract)
        path = self._free_path(metadata, {used for used, _ in entries})
        assert path  # noqa: S101 - this catalog has a folder
        if self._remote:
            self._remote.open(path).save(metadata, database)
        else:
            shutil.copyfile(database, path.with_suffix(".duckdb"))
            write_metadata(path, metadata)

    def _find(self, wanted: LedgerMetadata) -> tuple[Path | None, LedgerMetadata]:
        entries = self.cards()
        entry = next(((path, metadata) for path, metadata in entries if metadata.is_of(wanted)), None)
        return entry or (self._free_path(wanted, {path for path, _ in entries}), replace(wanted))

    def _free_path(self, metadata: LedgerMetadata, used: Collection[Path]) -> Path | None:
        """Return the path of a new ledger; an audience that had this name before keeps the file of that name."""
        if self._path is None:
            return None
        stems = itertools.chain([metadata.stem], (f"{metadata.stem}-{number}" for number in itertools.count(2)))
        return next(path for stem in stems if (path := self._path / f"{stem}.json") not in used)


def _prepare(folder: Path) -> None:
    """Create the folder of all ledgers, and check that it is writable. Raises `LedgerUnusable`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnusable(f"`ledger_path` cannot be used. {describe(error)}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LedgerUnusable(
            f"`ledger_path` cannot be written: {folder}. Give this user write permission there, and run again."
        )


def place_problem(place: Path | str) -> str:
    """Return why ledgers cannot be written to a place, or "". Leaves nothing behind, and creates no folder."""
    if isinstance(place, Path):
        return _folder_problem(place)
    try:
        ObjectStore(place).check()
    except ObjectStoreFailed as problem:
        return str(problem)
    return ""


def _folder_problem(folder: Path) -> str:
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        return describe(error).rstrip(".")
    if not existing.is_dir():
        return f"{existing} is not a folder"
    try:
        tempfile.TemporaryDirectory(dir=existing).cleanup()
    except OSError as error:
        return describe(error).rstrip(".")
    return ""
