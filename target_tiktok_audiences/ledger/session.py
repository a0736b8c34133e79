"""An open ledger of a run: database, metadata, locks, and its copy in an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.ledger.database import LedgerError, describe, is_damage
from target_tiktok_audiences.ledger.files import copy_files, log_of, quarantine
from target_tiktok_audiences.ledger.ledger import Ledger
from target_tiktok_audiences.ledger.metadata import write_metadata
from target_tiktok_audiences.ledger.schema import LedgerDamaged, LedgerTooNew
from target_tiktok_audiences.runtime.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from target_tiktok_audiences.ledger.locks import Locks
    from target_tiktok_audiences.ledger.metadata import LedgerMetadata
    from target_tiktok_audiences.ledger.remote import RemoteLedger


class LedgerSession:
    """An open ledger with its metadata, locked until it is closed.

    A damaged ledger is quarantined and replaced with an empty one; `warning` then says so.
    """

    def __init__(
        self,
        card: LedgerMetadata,
        path: Path | None,
        remote: RemoteLedger | None,
        locks: Locks,
        temporary: Path,
        erased: Mapping[bytes, str],
        *,
        save: bool,
    ) -> None:
        self.card = card
        self.erased = erased
        """The time of erasure by erased digest."""
        self.warning = ""
        self._path = path
        self._remote = remote
        self._locks = locks
        self._temporary = temporary
        self._save = save
        self._database = path.with_suffix(".duckdb") if path else None
        if self._database and remote:
            remote.fetch(self._database)
        if self._database and not save:
            self._database = copy_files(self._database, temporary)
        self.ledger = self._open()

    def found(self, audience_id: str) -> None:
        """Record the audience's id, and lock the id, too. Raises `LedgerBusy`."""
        self._locks.take(self.card, audience_id)
        self.card.audience_id = audience_id

    def replace_with_empty(self) -> None:
        """Quarantine a ledger that STATE does not know, and open an empty one in its place."""
        label = self.ledger.facts.ledger_id[:8]
        self.ledger.close()
        self._quarantine(label, "gone")
        self.ledger = self._open()

    def _open(self) -> Ledger:
        ledger = self._open_or_replace()
        try:
            if ledger.erase(self.erased):
                self.card.owed = True
        except BaseException:
            ledger.close()
            raise
        self.card.erasures = len(self.erased)
        return ledger

    def _open_or_replace(self) -> Ledger:
        try:
            return self._connect()
        except LedgerDamaged as error:
            if self._database is None:
                raise
            name = self._quarantine("damaged", "corrupt")
            action = f"it is quarantined as {name}" if self._save else "a run without `dry_run` quarantines it"
            self.warning = (
                f"Its ledger was damaged ({str(error).rstrip('.')}); {action}, and the run continues as if the ledger"
                " were lost."
            )
            return self._connect()

    def _quarantine(self, label: str, ending: str) -> str:
        """Rename the database, and return its new name."""
        if self._database is None:
            return ""
        path = quarantine(self._database, label, ending)
        return self._remote.quarantine(ending) if self._remote and self._save else str(path)

    def _connect(self) -> Ledger:
        """Open the database. Raises `LedgerDamaged`, or `LedgerUnusable` if the file did not cause the error."""
        if self._database and not self._database.exists() and log_of(self._database).exists():
            raise LedgerDamaged("the database is missing, but its write-ahead log exists")
        try:
            return Ledger(self._database, self._temporary / "spill")
        except LedgerTooNew as error:
            reason = str(error)
        except LedgerError as error:
            if is_damage(error):
                raise LedgerDamaged(str(error).splitlines()[0]) from None
            reason = describe(error)
        name = self._remote.name if self._remote else self._database
        raise LedgerUnusable(f"Its ledger {name} is unchanged, and nothing is sent without it: {reason}")

    def owe(self, streams: tuple[str, ...]) -> None:
        """Record in the metadata that changes may be pending, so that a later run delivers them if this one is killed.

        `streams` are the streams that feed the audience.
        """
        self.card.streams, self.card.owed = streams, True
        self._save_metadata()

    def reserve(self) -> None:
        """Upload the ledger and reserve it before a change is requested, so that no other machine requests one.

        Does nothing for a ledger on a local disk. Raises `LedgerBusy`, `ObjectStoreFailed` and `LedgerError`.
        """
        if self._remote and self._database:
            self.ledger.checkpoint()
            self._remote.reserve(self.card, self._database)

    def save(self) -> None:
        """Upload the ledger to its object store after the work is done. Raises the same errors as `reserve`."""
        if self._remote and self._database and self._save:
            self.ledger.checkpoint()
            self._remote.save(self.card, self._database)

    def closed(self) -> Path | None:
        """Close the ledger, and return its file, which stays locked until `close`."""
        self.ledger.close()
        return self._database

    def close(self) -> None:
        """Close the ledger, save its metadata, and release its locks. Raises `ObjectStoreFailed`.

        A new ledger without any commit is deleted, for example if TikTok rejected its advertiser.
        """
        try:
            self.ledger.close()
            if self._is_blank():
                self._delete_files()
            else:
                self._save_metadata()
            if self._remote:
                self._remote.release()
        finally:
            self._locks.release()

    def _is_blank(self) -> bool:
        return bool(self._path and not self._path.exists() and not self.ledger.facts.commit)

    def _delete_files(self) -> None:
        if self._save and self._database:
            for file in (self._database, log_of(self._database)):
                file.unlink(missing_ok=True)

    def _save_metadata(self) -> None:
        if self._save and self._path:
            write_metadata(self._path, self.card)
