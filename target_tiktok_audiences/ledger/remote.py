"""Ledgers in an object store with optimistic concurrency: of two concurrent writers, one wins.

A ledger is a series of versions. A version holds the metadata and the name of the database object. A run writes a
version

- before it sends a change to TikTok: the database contains the intent, and the ledger is *reserved*. No other machine
  can use it until the change is answered, or until the change cannot be sent any more;
- after the work on an audience is done, before it emits STATE.

A run that finds a newer version than the one it fetched has lost the race: it sends nothing and writes nothing.
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
"""Longer than a call and its retries, which take less than 20 minutes."""
_RELEASE_S = 5.0
"""How long a run that is asked to stop waits for an object store that does not respond."""


class Version(msgspec.Struct, frozen=True):
    """One version of a ledger, as an object of its series contains it."""

    card: LedgerMetadata
    database: str
    """Name of the object with the database; no other version uses it."""
    reserved_until: datetime | None = None


class RemoteLedgers:
    """All ledgers of an object store, and the folder that they are fetched to."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self.refresh()

    def refresh(self) -> None:
        """Download the current metadata of all ledgers to the folder."""
        matches = filter(None, map(re.compile(r"(.+\.json)\.([0-9]{8})").fullmatch, self.store.names()))
        newest: dict[str, int] = {}
        for match in matches:
            newest[match[1]] = max(newest.get(match[1], 0), int(match[2]))
        for series, number in newest.items():
            with suppress(VersionUnreadable):  # opening the ledger of that audience raises it again
                RemoteLedger(self.store, self.folder / series, number)

    def open(self, path: Path) -> RemoteLedger:
        """Find a ledger's newest version, and write its metadata to `path`. Raises `ObjectStoreFailed`."""
        return RemoteLedger(self.store, path)


class RemoteLedger:
    """One ledger of an object store, as of the download of its metadata; a new ledger has no version yet.

    Every method raises `ObjectStoreFailed`.
    """

    def __init__(self, store: ObjectStore, path: Path, number: int | None = None) -> None:
        self._store = store
        self._series = path.name
        self.name = f"{store.name}/{path.name}"
        self._number, content = store.newest(self._series, number)
        self._version: Version | None = None
        self._reserved = False
        self._pending: Version | None = None
        if content:
            try:
                self._version = msgspec.json.decode(content, type=Version)
            except (msgspec.DecodeError, UnicodeError):
                raise VersionUnreadable(
                    f"{self.name}.{self._number:08d} was written by a newer version of this program, or is damaged."
                    " Install a newer version. If the object is damaged, delete it; the ledger is then lost."
                ) from None
            path.write_bytes(msgspec.json.encode(self._version.card))

    @property
    def reserved_until(self) -> datetime | None:
        """Until when another machine has reserved the ledger, or None."""
        until = self._version and self._version.reserved_until
        return until if until and until > now() else None

    def check_free(self) -> None:
        """Raise `LedgerBusy` while another machine changes the audience."""
        if self._version and (until := self.reserved_until):
            raise LedgerBusy(
                f"{_title(self._version.card)} is being changed by a run on another machine. Run again when that run"
                f" has ended. If it was killed, run again after {until:%H:%M} UTC, when its reservation ends."
            )

    def fetch(self, database: Path) -> None:
        """Download the database, unless this version's database is lost. Raises `LedgerBusy`."""
        if not self._version or self._store.download(self._version.database, database):
            return
        if self._store.newest(self._series)[0] != self._number:
            raise self._overtaken(self._version.card)

    def quarantine(self, ending: str) -> str:
        """Copy the downloaded database to another name, because the next version deletes it. Returns the new name."""
        name = f"{self._series.removesuffix('.json')}.{self._number:08d}.{ending}"
        if self._version:
            self._store.copy(self._version.database, name)
        return f"{self._store.name}/{name}"

    def reserve(self, metadata: LedgerMetadata, database: Path) -> None:
        """Upload the ledger, and reserve it for this machine until `save` or `release`. Raises `LedgerBusy`."""
        self._write(metadata, database, RESERVED_FOR)

    def save(self, metadata: LedgerMetadata, database: Path) -> None:
        """Upload the ledger without a reservation. Raises `LedgerBusy`."""
        self._write(metadata, database, None)

    def release(self) -> None:
        """End the reservation, if there is one; waits at most five seconds for the object store."""
        if self._reserved or self._pending:
            thread = Thread(target=self._release, daemon=True)
            thread.start()
            thread.join(_RELEASE_S)

    def _release(self) -> None:
        with suppress(ObjectStoreFailed):  # then other machines wait until the reservation expires
            self._resolve_pending()
            if self._version and self._reserved:
                self._append(msgspec.structs.replace(self._version, reserved_until=None))

    def _resolve_pending(self) -> None:
        """Determine whether a version was written although its response was lost or interrupted."""
        if self._pending is None:
            return
        number, content = self._store.newest(self._series)
        if content == msgspec.json.encode(self._pending):
            self._number, self._version = number, self._pending
            self._reserved = self._pending.reserved_until is not None
        self._pending = None

    def _write(self, metadata: LedgerMetadata, database: Path, reserve_for: timedelta | None) -> None:
        self._resolve_pending()
        stem = self._series.removesuffix(".json")
        name = f"{stem}.{self._number + 1:08d}-{uuid.uuid4().hex}.duckdb"
        self._store.upload(database, name)
        if not self._append(Version(metadata, name, now() + reserve_for if reserve_for else None)):
            self._store.remove([name])
            raise self._overtaken(metadata)
        pattern = re.compile(re.escape(stem) + r"\.([0-9]{8})-[0-9a-f]{32}\.duckdb")
        matches = filter(None, map(pattern.fullmatch, self._store.names()))
        self._store.remove(match[0] for match in matches if int(match[1]) < self._number)

    def _append(self, version: Version) -> bool:
        self._pending = version
        won = self._store.append(self._series, self._number + 1, msgspec.json.encode(version))
        if won:
            self._number += 1
            self._version, self._reserved = version, version.reserved_until is not None
        self._pending = None
        return won

    def _overtaken(self, metadata: LedgerMetadata) -> LedgerBusy:
        consequence = (
            "the change it sent is sent again, which is safe"
            if self._reserved
            else "it stopped before it sent a change"
        )
        return LedgerBusy(
            f"{_title(metadata)}: a run on another machine has changed its ledger in {self._store.name} since this run"
            f" fetched it; {consequence}. Run again."
        )


def now() -> datetime:
    """Return this machine's time, which reservations are based on."""
    return datetime.now(UTC)


def _title(metadata: LedgerMetadata) -> str:
    return f'Audience "{metadata.name}" of advertiser {metadata.advertiser_id}'
