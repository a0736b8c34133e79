"""The folder of all ledgers: finds the one of an audience, however that is named, and lets one run at a time have it.

Beside each ledger lies a card: a small JSON file that says whose it is, so that it is found without being opened.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import re
import shutil
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from target_tiktok_audiences.membership.database_errors import LedgerError, describe, is_damage
from target_tiktok_audiences.membership.erasures import Erasures
from target_tiktok_audiences.membership.ledger import Ledger
from target_tiktok_audiences.membership.machine import write_whole
from target_tiktok_audiences.membership.problem import Problem
from target_tiktok_audiences.membership.schema import LedgerDamaged, LedgerTooNew

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class LedgerBusy(Problem):
    """Another run has the audience's ledger."""


class LedgerUnusable(Problem):
    """A ledger, or the folder of all, that cannot be used now, and stays as it is."""


class Card(msgspec.Struct):
    """Whose a ledger is."""

    api_host: str
    advertiser_id: str
    contract: str
    name: str
    """The audience's name, as the feeds had it last."""
    audience_id: str | None = None
    pinned: bool = False
    """Whether `audience_id` was set by the user."""
    streams: tuple[str, ...] = ()
    load_method: str = ""
    retention_in_days: int | None = None
    owed: bool = False
    """Whether something waits to be sent."""
    erasures: int = 0
    """How many of those who were erased the ledger has taken over."""

    def is_of(self, other: Card) -> bool:
        """Tell whether two cards are of one audience: by its id where both know it, else by its name."""
        if (self.api_host, self.advertiser_id, self.contract) != (other.api_host, other.advertiser_id, other.contract):
            return False
        if self.audience_id and other.audience_id:
            return self.audience_id == other.audience_id
        return self.name == other.name


class LedgerFolder:
    """All ledgers of one `ledger_path`; without a path, ledgers are kept in memory and forgotten.

    In a dry run ledgers are copied to the folder for what is temporary, and never touched.
    """

    def __init__(self, path: Path | None, temporary: Path, *, dry_run: bool = False) -> None:
        self._path = path
        self._temporary = temporary
        self._dry_run = dry_run
        self.erasures = Erasures(path, save=not dry_run)
        if path and not dry_run:
            _prepare(path)

    @property
    def lasts(self) -> bool:
        """Whether ledgers are kept at all."""
        return self._path is not None

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
            path, card = next(
                ((p, c) for p, c in self.cards() if c.is_of(wanted)), (self._new_path(wanted), replace(wanted))
            )
            locks.take(card, card.audience_id)
            card = replace(
                card,
                name=wanted.name,
                audience_id=wanted.audience_id or card.audience_id,
                pinned=wanted.pinned,
                retention_in_days=wanted.retention_in_days,
            )
            erased = self.erasures.of(card.contract)
            return OpenLedger(card, path, locks, self._temporary, erased, save=not self._dry_run)
        except BaseException:
            locks.release()
            raise

    def _new_path(self, card: Card) -> Path | None:
        if self._path is None:
            return None
        words = re.sub(r"[^A-Za-z0-9]+", "-", card.name).strip("-")[:40]
        return self._path / f"{card.advertiser_id}-{words}-{_fingerprint(card, card.audience_id)}.json"


class OpenLedger:
    """A ledger with its card, locked until it is closed.

    One that is damaged is put aside, and an empty one begun in its place; `warning` says so.
    """

    def __init__(
        self, card: Card, path: Path | None, locks: Locks, temporary: Path, erased: Mapping[bytes, str], *, save: bool
    ) -> None:
        self.card = card
        self.warning = ""
        self._path = path
        self._locks = locks
        self._temporary = temporary
        self._erased = erased
        self._save = save
        self._database = path.with_suffix(".duckdb") if path else None
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
        if self._database:
            _put_aside(self._database, gone, "gone")
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
            aside = _put_aside(self._database, "damaged", "corrupt")
            put = f"it is put aside as {aside}" if self._save else "a run that is not dry puts it aside"
            self.warning = (
                f"Its ledger was damaged ({str(damaged).rstrip('.')}); {put}, and the run goes on as if it were lost."
            )
            return self._connect()

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
        raise LedgerUnusable(f"Its ledger {self._database} stays as it is, and nothing is sent without it: {why}")

    def owe(self, streams: tuple[str, ...]) -> None:
        """Note on the card, now, that something may wait: a later run delivers it even if this one is killed."""
        self.card.streams, self.card.owed = streams, True
        self._save_card()

    def close(self) -> None:
        """Close the ledger, save the card, and let others in."""
        try:
            self.ledger.close()
            self._save_card()
        finally:
            self._locks.release()

    def _save_card(self) -> None:
        if self._save and self._path:
            write_whole(self._path, msgspec.json.format(msgspec.json.encode(self.card)))


class Locks:
    """The locks of one audience: by its name and by its id, for two runs may know it by either."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def take(self, card: Card, audience_id: str | None) -> None:
        """Lock the audience's name, and its id where that is known. Raises `LedgerBusy`."""
        for fingerprint in {_fingerprint(card, None), _fingerprint(card, audience_id)}:
            if self._folder is None or fingerprint in self._held:
                continue
            descriptor = os.open(self._folder / f".{fingerprint}.lock", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise LedgerBusy(
                    f'Audience "{card.name}" of advertiser {card.advertiser_id} is being filled already: by another run'
                    " (run again when it has ended), or by a feed of this one under its id (set `audience_id` in both)."
                ) from None
            self._held[fingerprint] = descriptor

    def release(self) -> None:
        """Let others in."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()


def _prepare(folder: Path) -> None:
    """Make the folder of all ledgers, and see now whether it can be written. Raises `LedgerUnusable`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnusable(f"`ledger_path` cannot be used. {describe(error)}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LedgerUnusable(f"`ledger_path` cannot be written: {folder}. Let this user write there, and run again.")


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


def _fingerprint(card: Card, audience_id: str | None) -> str:
    what = ["id", audience_id] if audience_id else ["name", card.name]
    identity = "\0".join([card.api_host, card.advertiser_id, card.contract, *what])
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def copy_files(database: Path, folder: Path) -> Path:
    """Copy a ledger's files, if it is there, to where they may be changed."""
    for file in (database, log_of(database)):
        if file.exists():
            shutil.copy(file, folder / file.name)
    return folder / database.name
