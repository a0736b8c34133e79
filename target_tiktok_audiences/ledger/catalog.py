"""The folder of all ledgers: finds the one of an audience, however that is named, and lets one run at a time have it.

Beside each ledger lies its card, a small JSON file. Of ledgers in a store this is a folder of copies.
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
    """A ledger that would be overwritten."""


class LedgerCatalog:
    """All ledgers of one `ledger_path`, a folder or a URL; without it they are kept in memory and forgotten.

    In a dry run ledgers are copied to the folder for what is temporary, and never touched. Raises `LedgerUnusable`.
    """

    def __init__(self, place: Path | str | None, temporary: Path, *, dry_run: bool = False) -> None:
        store = ObjectStore(place) if isinstance(place, str) else None
        self._remote = RemoteLedgers(store, temporary / "fetched") if store else None
        self._path = self._remote.folder if self._remote else Path(place) if place else None
        self._temporary = temporary
        self._dry_run = dry_run
        self.name = store.name if store else str(place or "memory")
        """Where it is, as messages show it."""
        self.erasures = Erasures(self._path, store, save=not dry_run)
        if self._path and not dry_run:
            _prepare(self._path)
        if store and not dry_run:
            store.check()  # now, and not when all has been read

    @property
    def lasts(self) -> bool:
        """Whether ledgers are kept at all."""
        return self._path is not None

    def fetch(self, card: Path) -> datetime | None:
        """Bring a ledger's database to the folder; tell until when another machine has reserved it."""
        if self._remote is None:
            return None
        remote = self._remote.open(card)
        remote.fetch(card.with_suffix(".duckdb"))
        return remote.reserved_until

    def cards(self) -> list[tuple[Path, LedgerMetadata]]:
        """Give every ledger's card; one that cannot be read belongs to nobody."""
        found = []
        for path in sorted(self._path.glob("*.json")) if self._path else []:
            try:
                found.append((path, msgspec.json.decode(path.read_bytes(), type=LedgerMetadata)))
            except (msgspec.DecodeError, FileNotFoundError):
                continue
        return found

    def owes(self, card: LedgerMetadata) -> bool:
        """Tell whether something waits for an audience, though no stream may come for it."""
        return card.owed or card.erasures < len(self.erasures.of(card.contract))

    def open(self, wanted: LedgerMetadata) -> LedgerSession:
        """Open the ledger of an audience, or begin one. Raises `LedgerBusy` and `LedgerUnusable`."""
        locks = Locks(self._path if self._path and self._path.is_dir() else None)
        try:
            locks.take(wanted, wanted.audience_id)
            if self._remote:
                self._remote.refresh()
            path, card = self._find(wanted)
            remote = self._remote.open(path) if self._remote and path else None
            if remote:
                remote.check_free()
            locks.take(card, card.audience_id)
            card = replace(
                card,
                name=wanted.name,
                audience_id=wanted.audience_id or card.audience_id,
                pinned=wanted.pinned,
                retention_in_days=wanted.retention_in_days,
            )
            erased = self.erasures.of(card.contract)
            return LedgerSession(card, path, remote, locks, self._temporary, erased, save=not self._dry_run)
        except BaseException:
            locks.release()
            raise

    def take(self, opened: LedgerSession) -> None:
        """Take in a copy of another folder's ledger, which is closed by that; and who was erased.

        Raises `LedgerExists` if there is one of its audience already.
        """
        card, database = opened.card, opened.closed()
        if self._path is None or database is None:
            raise LedgerUnusable(f"What {self.name} holds is forgotten at the end, so nothing was copied.")
        cards = self.cards()
        if any(known.is_of(card) for _, known in cards):
            raise LedgerExists(f'A ledger of audience "{card.name}" is in {self.name} already, and stays as it is.')
        self.erasures.take_over(opened.erased, card.contract)
        path = self._free_path(card, {taken for taken, _ in cards})
        assert path  # noqa: S101 - it lasts
        if self._remote:
            self._remote.open(path).save(card, database)
        else:
            shutil.copyfile(database, path.with_suffix(".duckdb"))
            write_metadata(path, card)

    def _find(self, wanted: LedgerMetadata) -> tuple[Path | None, LedgerMetadata]:
        cards = self.cards()
        found = next(((path, card) for path, card in cards if card.is_of(wanted)), None)
        return found or (self._free_path(wanted, {path for path, _ in cards}), replace(wanted))

    def _free_path(self, card: LedgerMetadata, taken: Collection[Path]) -> Path | None:
        """Give where a new ledger goes; an audience that had this name before keeps the file of that name."""
        if self._path is None:
            return None
        stems = itertools.chain([card.stem], (f"{card.stem}-{number}" for number in itertools.count(2)))
        return next(path for stem in stems if (path := self._path / f"{stem}.json") not in taken)


def _prepare(folder: Path) -> None:
    """Make the folder of all ledgers, and see now whether it can be written. Raises `LedgerUnusable`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnusable(f"`ledger_path` cannot be used. {describe(error)}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LedgerUnusable(f"`ledger_path` cannot be written: {folder}. Let this user write there, and run again.")


def place_problem(place: Path | str) -> str:
    """Tell why ledgers cannot be written there; a folder need not be there yet, and nothing made stays."""
    if isinstance(place, Path):
        return _folder_problem(place)
    try:
        ObjectStore(place).check()
    except ObjectStoreFailed as problem:
        return str(problem)
    return ""


def _folder_problem(folder: Path) -> str:
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        return describe(error).rstrip(".")
    if not there.is_dir():
        return f"{there} is no folder"
    try:
        tempfile.TemporaryDirectory(dir=there).cleanup()
    except OSError as error:
        return describe(error).rstrip(".")
    return ""
