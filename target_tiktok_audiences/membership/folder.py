"""The folder of all ledgers: finds the one of an audience, however that is named, and lets one run at a time have it.

Beside each ledger lies its card, a small JSON file. Of ledgers in a store this is a folder of copies.
"""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from target_tiktok_audiences.membership.card import Card, Locks
from target_tiktok_audiences.membership.database_errors import LedgerError, describe, is_damage
from target_tiktok_audiences.membership.erasures import Erasures
from target_tiktok_audiences.membership.ledger import Ledger
from target_tiktok_audiences.membership.machine import write_whole
from target_tiktok_audiences.membership.problem import LedgerUnusable
from target_tiktok_audiences.membership.remote import RemoteLedgers
from target_tiktok_audiences.membership.schema import LedgerDamaged, LedgerTooNew
from target_tiktok_audiences.membership.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from target_tiktok_audiences.membership.remote import RemoteLedger


class LedgerFolder:
    """All ledgers of one `ledger_path`, a folder or a URL; without it they are kept in memory and forgotten.

    In a dry run ledgers are copied to the folder for what is temporary, and never touched. Raises `LedgerUnusable`.
    """

    def __init__(self, place: Path | str | None, temporary: Path, *, dry_run: bool = False) -> None:
        store = Store(place) if isinstance(place, str) else None
        self._remote = RemoteLedgers(store, temporary / "fetched") if store else None
        self._path = self._remote.folder if self._remote else Path(place) if place else None
        self._temporary = temporary
        self._dry_run = dry_run
        self.name = store.name if store else str(place or "memory")
        """Where it is, as messages show it."""
        self.erasures = Erasures(self._path, store, save=not dry_run)
        if self._path and not dry_run:
            _prepare(self._path)

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

    def cards(self) -> list[tuple[Path, Card]]:
        """Give every ledger's card; one that cannot be read belongs to nobody."""
        found = []
        for path in sorted(self._path.glob("*.json")) if self._path else []:
            try:
                found.append((path, msgspec.json.decode(path.read_bytes(), type=Card)))
            except (msgspec.DecodeError, FileNotFoundError):  # noqa: PERF203 - a few files
                continue
        return found

    def owes(self, card: Card) -> bool:
        """Tell whether something waits for an audience, though no stream may come for it."""
        return card.owed or card.erasures < len(self.erasures.of(card.contract))

    def open(self, wanted: Card) -> OpenLedger:
        """Open the ledger of an audience, or begin one. Raises `LedgerBusy` and `LedgerUnusable`."""
        locks = Locks(self._path if self._path and self._path.is_dir() else None)
        try:
            locks.take(wanted, wanted.audience_id)
            path, card = self._find(wanted)
            remote = self._remote.open(path) if self._remote and path else None
            if remote:
                remote.check_free()
                path, card = self._find(wanted)  # another machine may have changed it since
            locks.take(card, card.audience_id)
            card = replace(
                card,
                name=wanted.name,
                audience_id=wanted.audience_id or card.audience_id,
                pinned=wanted.pinned,
                retention_in_days=wanted.retention_in_days,
            )
            erased = self.erasures.of(card.contract)
            return OpenLedger(card, path, remote, locks, self._temporary, erased, save=not self._dry_run)
        except BaseException:
            locks.release()
            raise

    def take(self, card: Card, database: Path) -> None:
        """Take in a copy of a ledger that is closed. Raises `Problem` if there is one of its audience already."""
        if self._path is None or any(known.is_of(card) for _, known in self.cards()):
            raise LedgerUnusable(f'A ledger of audience "{card.name}" is in {self.name} already; nothing was copied.')
        path = self._path / f"{card.stem}.json"
        if self._remote:
            self._remote.open(path).save(card, database)
        else:
            shutil.copyfile(database, path.with_suffix(".duckdb"))
            _write_card(path, card)

    def _find(self, wanted: Card) -> tuple[Path | None, Card]:
        new = self._path / f"{wanted.stem}.json" if self._path else None
        return next(((path, card) for path, card in self.cards() if card.is_of(wanted)), (new, replace(wanted)))


class OpenLedger:
    """A ledger with its card, locked until it is closed.

    One that is damaged is put aside, and an empty one begun in its place; `warning` says so.
    """

    def __init__(
        self,
        card: Card,
        path: Path | None,
        remote: RemoteLedger | None,
        locks: Locks,
        temporary: Path,
        erased: Mapping[bytes, str],
        *,
        save: bool,
    ) -> None:
        self.card = card
        self.warning = ""
        self._path = path
        self._remote = remote
        self._locks = locks
        self._temporary = temporary
        self._erased = erased
        self._save = save
        self._database = path.with_suffix(".duckdb") if path else None
        if self._database and remote:
            remote.fetch(self._database)
        if self._database and not save:
            self._database = copy_files(self._database, temporary)
        self.ledger = self._open()

    def found(self, audience_id: str) -> None:
        """Note the audience's id, and lock it by that too. Raises `LedgerBusy`."""
        self._locks.take(self.card, audience_id)
        self.card.audience_id = audience_id

    def begin_anew(self) -> None:
        """Put an empty ledger in the place of one that STATE does not know; the old file stays beside it."""
        gone = self.ledger.facts.ledger_id[:8]
        self.ledger.close()
        self._put_aside(gone, "gone")
        self.ledger = self._open()

    def _open(self) -> Ledger:
        ledger = self._open_or_begin()
        try:
            if ledger.erase(self._erased):
                self.card.owed = True
        except BaseException:
            ledger.close()
            raise
        self.card.erasures = len(self._erased)
        return ledger

    def _open_or_begin(self) -> Ledger:
        try:
            return self._connect()
        except LedgerDamaged as damaged:
            if self._database is None:
                raise
            aside = self._put_aside("damaged", "corrupt")
            put = f"it is put aside as {aside}" if self._save else "a run that is not dry puts it aside"
            self.warning = (
                f"Its ledger was damaged ({str(damaged).rstrip('.')}); {put}, and the run goes on as if it were lost."
            )
            return self._connect()

    def _put_aside(self, what: str, ending: str) -> str:
        """Keep the database under another name, and tell which."""
        if self._database is None:
            return ""
        aside = _put_aside(self._database, what, ending)
        return self._remote.put_aside(ending) if self._remote and self._save else str(aside)

    def _connect(self) -> Ledger:
        """Open the database. Raises `LedgerDamaged`, and `LedgerUnusable` for what is no fault of the file."""
        if self._database and not self._database.exists() and log_of(self._database).exists():
            raise LedgerDamaged("the database is missing, and its write-ahead log is there")
        try:
            return Ledger(self._database, self._temporary / "spill")
        except LedgerTooNew as problem:
            why = str(problem)
        except LedgerError as error:
            if is_damage(error):
                raise LedgerDamaged(str(error).splitlines()[0]) from None
            why = describe(error)
        where = self._remote.name if self._remote else self._database
        raise LedgerUnusable(f"Its ledger {where} stays as it is, and nothing is sent without it: {why}")

    def owe(self, streams: tuple[str, ...]) -> None:
        """Note on the card that something may wait: a later run delivers it even if this one is killed."""
        self.card.streams, self.card.owed = streams, True
        self._save_card()

    def reserve(self) -> None:
        """Bring the ledger to its store before TikTok is asked for a change, so that no other machine asks for one.

        On a disk of this machine all of it is there already. Raises `LedgerBusy`, `StoreFailed` and `LedgerError`.
        """
        if self._remote and self._database:
            self.ledger.checkpoint()
            self._remote.reserve(self.card, self._database)

    def save(self) -> None:
        """Bring the ledger to its store when the work is done; raises as `reserve` does."""
        if self._remote and self._database and self._save:
            self.ledger.checkpoint()
            self._remote.save(self.card, self._database)

    def copy_to(self, place: LedgerFolder) -> None:
        """Close the ledger, and copy it to another place while nobody can change it."""
        self.ledger.close()
        if self._database:
            place.erasures.take_over(self._erased, self.card.contract)
            place.take(self.card, self._database)

    def close(self) -> None:
        """Close the ledger, save the card, and let others in. Raises `StoreFailed`.

        A new one to which nothing was ever written, since TikTok refused its advertiser perhaps, is not kept.
        """
        try:
            self.ledger.close()
            if self._is_blank():
                self._drop_files()
            else:
                self._save_card()
            if self._remote:
                self._remote.release()
        finally:
            self._locks.release()

    def _is_blank(self) -> bool:
        return bool(self._path and not self._path.exists() and not self.ledger.facts.commit)

    def _drop_files(self) -> None:
        if self._save and self._database:
            for file in (self._database, log_of(self._database)):
                file.unlink(missing_ok=True)

    def _save_card(self) -> None:
        if self._save and self._path:
            _write_card(self._path, self.card)


def _prepare(folder: Path) -> None:
    """Make the folder of all ledgers, and see now whether it can be written. Raises `LedgerUnusable`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnusable(f"`ledger_path` cannot be used. {describe(error)}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LedgerUnusable(f"`ledger_path` cannot be written: {folder}. Let this user write there, and run again.")


def _write_card(path: Path, card: Card) -> None:
    write_whole(path, msgspec.json.format(msgspec.json.encode(card)))


def log_of(database: Path) -> Path:
    """Give the file in which DuckDB keeps what is committed and not yet merged."""
    return database.with_name(f"{database.name}.wal")


def _put_aside(database: Path, what: str, ending: str) -> Path:
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
