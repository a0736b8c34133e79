"""Ledgers in a store: fetched to this machine, and written back so that of two machines one wins.

A ledger there is a series: its card, which names the database that goes with it. The series goes on

- before a change is sent to TikTok, with the intent in the database, and *reserved*: until the change is answered, or
  so late that it cannot be sent any more, no other machine may have the ledger;
- when an audience's work is done, before STATE goes out.

Who finds that the series has gone on since it was fetched has lost: nothing is sent, and nothing written.
"""

from __future__ import annotations

import re
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING

import msgspec

from target_tiktok_audiences.ledger.metadata import LedgerMetadata
from target_tiktok_audiences.ledger.object_store import ObjectStore, ObjectStoreFailed, VersionUnreadable
from target_tiktok_audiences.runtime.errors import LedgerBusy

if TYPE_CHECKING:
    from pathlib import Path


RESERVED_FOR = timedelta(minutes=30)
"""Longer than a call and its repetitions may take: less than 20 minutes."""
_RELEASE_S = 5.0
"""A run that was told to end waits no longer for a store that does not answer."""


class Version(msgspec.Struct, frozen=True):
    """What a ledger's series holds."""

    card: LedgerMetadata
    database: str
    """The object with the database; it is of this version alone."""
    reserved_until: datetime | None = None


class RemoteLedgers:
    """All ledgers of a store, and the folder into which they are fetched."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self.refresh()

    def refresh(self) -> None:
        """Bring all cards to the folder as they are now."""
        found = filter(None, map(re.compile(r"(.+\.json)\.([0-9]{8})").fullmatch, self.store.names()))
        newest: dict[str, int] = {}
        for each in found:
            newest[each[1]] = max(newest.get(each[1], 0), int(each[2]))
        for series, number in newest.items():
            with suppress(VersionUnreadable):  # its own audience is told
                RemoteLedger(self.store, self.folder / series, number)

    def open(self, card: Path) -> RemoteLedger:
        """Look for a ledger's newest version, and bring its card to the folder. Raises `ObjectStoreFailed`."""
        return RemoteLedger(self.store, card)


class RemoteLedger:
    """One ledger of a store, as it was when its card was fetched; a new one has no version yet.

    Every method raises `ObjectStoreFailed`.
    """

    def __init__(self, store: ObjectStore, card: Path, number: int | None = None) -> None:
        self._store = store
        self._series = card.name
        self.name = f"{store.name}/{card.name}"
        self._number, content = store.newest(self._series, number)
        self._version: Version | None = None
        self._reserved = False
        self._pending: Version | None = None
        if content:
            try:
                self._version = msgspec.json.decode(content, type=Version)
            except (msgspec.DecodeError, UnicodeError):
                raise VersionUnreadable(
                    f"{self.name}.{self._number:08d} was written by a newer version of this program,"
                    " or is damaged. Install a newer one; or remove it, and the ledger is lost."
                ) from None
            card.write_bytes(msgspec.json.encode(self._version.card))

    @property
    def reserved_until(self) -> datetime | None:
        """Until when another machine has it."""
        until = self._version and self._version.reserved_until
        return until if until and until > now() else None

    def check_free(self) -> None:
        """Raise `LedgerBusy` while another machine changes the audience."""
        if self._version and (until := self.reserved_until):
            raise LedgerBusy(
                f"{_named(self._version.card)} is being changed by a run on another machine. Run again when that has"
                f" ended; if it was killed, after {until:%H:%M} UTC, when its call has surely ended too."
            )

    def fetch(self, database: Path) -> None:
        """Fetch the database; a version whose database is lost has none. Raises `LedgerBusy`."""
        if not self._version or self._store.download(self._version.database, database):
            return
        if self._store.newest(self._series)[0] != self._number:
            raise self._overtaken(self._version.card)

    def quarantine(self, ending: str) -> str:
        """Keep the database that was fetched under another name, and tell which: the next version would remove it."""
        name = f"{self._series.removesuffix('.json')}.{self._number:08d}.{ending}"
        if self._version:
            self._store.copy(self._version.database, name)
        return f"{self._store.name}/{name}"

    def reserve(self, card: LedgerMetadata, database: Path) -> None:
        """Write it back, and keep other machines from it until `save` or `release`. Raises `LedgerBusy`."""
        self._write(card, database, RESERVED_FOR)

    def save(self, card: LedgerMetadata, database: Path) -> None:
        """Write it back, and let others in. Raises `LedgerBusy`."""
        self._write(card, database, None)

    def release(self) -> None:
        """Let others in, if that is still to be done; a store that does not answer now is not waited for."""
        if self._reserved or self._pending:
            releasing = Thread(target=self._release, daemon=True)
            releasing.start()
            releasing.join(_RELEASE_S)

    def _release(self) -> None:
        with suppress(ObjectStoreFailed):  # then they wait until the reservation is over
            self._take_over_pending()
            if self._version and self._reserved:
                self._append(msgspec.structs.replace(self._version, reserved_until=None))

    def _take_over_pending(self) -> None:
        """Find out whether a version was written whose writing failed, or was interrupted, on the way back."""
        if self._pending is None:
            return
        number, content = self._store.newest(self._series)
        if content == msgspec.json.encode(self._pending):
            self._number, self._version = number, self._pending
            self._reserved = self._pending.reserved_until is not None
        self._pending = None

    def _write(self, card: LedgerMetadata, database: Path, reserve_for: timedelta | None) -> None:
        self._take_over_pending()
        stem = self._series.removesuffix(".json")
        name = f"{stem}.{self._number + 1:08d}-{uuid.uuid4().hex}.duckdb"
        self._store.upload(database, name)
        if not self._append(Version(card, name, now() + reserve_for if reserve_for else None)):
            self._store.remove([name])
            raise self._overtaken(card)
        databases = re.compile(re.escape(stem) + r"\.([0-9]{8})-[0-9a-f]{32}\.duckdb")
        found = filter(None, map(databases.fullmatch, self._store.names()))
        self._store.remove(each[0] for each in found if int(each[1]) < self._number)

    def _append(self, version: Version) -> bool:
        self._pending = version
        won = self._store.append(self._series, self._number + 1, msgspec.json.encode(version))
        if won:
            self._number += 1
            self._version, self._reserved = version, version.reserved_until is not None
        self._pending = None
        return won

    def _overtaken(self, card: LedgerMetadata) -> LedgerBusy:
        then = (
            "what it sent is sent once more, which does no harm" if self._reserved else "it stopped before it sent that"
        )
        return LedgerBusy(
            f"{_named(card)}: a run on another machine has changed its ledger in {self._store.name} since this one"
            f" had it; {then}. Run again."
        )


def now() -> datetime:
    """Give this machine's time, by which others are kept out."""
    return datetime.now(UTC)


def _named(card: LedgerMetadata) -> str:
    return f'Audience "{card.name}" of advertiser {card.advertiser_id}'
