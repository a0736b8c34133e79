"""A ledger that a run has open: with its card, its locks, and the store that it may have come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.ledger.database import LedgerError, describe, is_damage
from target_tiktok_audiences.ledger.files import _quarantine, copy_files, log_of
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
    """A ledger with its card, locked until it is closed.

    One that is damaged is put aside, and an empty one begun in its place; `warning` says so.
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
        """Who is kept out, and since when."""
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
        """Note the audience's id, and lock it by that too. Raises `LedgerBusy`."""
        self._locks.take(self.card, audience_id)
        self.card.audience_id = audience_id

    def replace_with_empty(self) -> None:
        """Put an empty ledger in the place of one that STATE does not know; the old file stays beside it."""
        gone = self.ledger.facts.ledger_id[:8]
        self.ledger.close()
        self._quarantine(gone, "gone")
        self.ledger = self._open()

    def _open(self) -> Ledger:
        ledger = self._open_or_begin()
        try:
            if ledger.erase(self.erased):
                self.card.owed = True
        except BaseException:
            ledger.close()
            raise
        self.card.erasures = len(self.erased)
        return ledger

    def _open_or_begin(self) -> Ledger:
        try:
            return self._connect()
        except LedgerDamaged as damaged:
            if self._database is None:
                raise
            aside = self._quarantine("damaged", "corrupt")
            put = f"it is put aside as {aside}" if self._save else "a run that is not dry puts it aside"
            self.warning = (
                f"Its ledger was damaged ({str(damaged).rstrip('.')}); {put}, and the run goes on as if it were lost."
            )
            return self._connect()

    def _quarantine(self, what: str, ending: str) -> str:
        """Keep the database under another name, and tell which."""
        if self._database is None:
            return ""
        aside = _quarantine(self._database, what, ending)
        return self._remote.quarantine(ending) if self._remote and self._save else str(aside)

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
        """Write the ledger to its object store before a change is requested, so that no other machine requests one.

        A ledger on a local disk is there already. Raises `LedgerBusy`, `ObjectStoreFailed` and `LedgerError`.
        """
        if self._remote and self._database:
            self.ledger.checkpoint()
            self._remote.reserve(self.card, self._database)

    def save(self) -> None:
        """Bring the ledger to its store when the work is done; raises as `reserve` does."""
        if self._remote and self._database and self._save:
            self.ledger.checkpoint()
            self._remote.save(self.card, self._database)

    def closed(self) -> Path | None:
        """Close the ledger, and give its file, which nobody else can change before `close`."""
        self.ledger.close()
        return self._database

    def close(self) -> None:
        """Close the ledger, save the card, and let others in. Raises `ObjectStoreFailed`.

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
            write_metadata(self._path, self.card)
