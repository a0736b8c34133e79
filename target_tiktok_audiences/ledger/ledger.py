"""The ledger of one audience: who should be in it, and who TikTok has been given.

A digest that was *delivered* is in (TikTok accepted it) or unsure (a call was lost, or failed later); one that was
not, or was removed, is out. So

    adds     = desired - in
    removals = (in and unsure) - desired

and sending either again is harmless. That is the whole recovery: a call's rows are noted as an *intent* before the
call; a crash or a lost answer makes them unsure, acceptance makes them in or out, a certain refusal leaves them as they
were. An accepted change stays *in flight* while TikTok may still fail it; if it does, its rows become unsure.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from target_tiktok_audiences.ledger import delivered, desired
from target_tiktok_audiences.ledger.database import Database, LedgerError, describe
from target_tiktok_audiences.ledger.desired import PartChange
from target_tiktok_audiences.ledger.schema import TABLES, LedgerDamaged, encode, migrate
from target_tiktok_audiences.ledger.staging import Binding
from target_tiktok_audiences.runtime.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from target_tiktok_audiences.ledger.delivered import Counts
    from target_tiktok_audiences.ledger.schema import Origin
    from target_tiktok_audiences.ledger.staging import Part

APPLIED_AFTER = timedelta(hours=48)
"""TikTok processes a change for at most that long, and may fail it meanwhile."""

UPLOAD_LIVES = timedelta(hours=3)
"""How long a file is taken to be with TikTok, which does not tell: long enough for an orchestrator to try again."""

_SETTINGS = {
    "preserve_insertion_order": False,
    "force_compression": "uncompressed",  # digests are random: to find that out takes longer than to write them
    "checkpoint_threshold": "1MB",  # what is only in the log stays in memory
    "threads": min(4, os.cpu_count() or 1),  # each needs its share of the memory
}
_MEMORY = 160_000_000
"""Bytes; past them DuckDB goes on on disk. Six times as many make it hardly faster."""
_MEMORY_OF_A_ROW = 8
"""Bytes that DuckDB keeps in memory, whatever the limit, of rows near those that a transaction deletes."""


class OutcomeNotNoted(UserError):
    """TikTok accepted a change, and the ledger cannot take it in."""


@dataclass(frozen=True)
class Revision:
    """What a run's streams make of *desired*."""

    parts: list[PartChange]
    total: PartChange


class Ledger:
    """One audience's ledger, open; only one process may have it open at a time.

    Each method that writes is one transaction: a kill at any instant leaves the old truth or the new one.
    """

    def __init__(self, path: Path | None, spill: Path) -> None:
        """Open or begin a ledger; without a path it is kept in memory. `spill` is for what memory does not hold.

        Raises `LedgerTooNew`, `LedgerDamaged`, `LedgerError` and `OSError`.
        """
        self._database = Database(path)
        try:
            for setting, value in {**_SETTINGS, "memory_limit": f"{_MEMORY}B", "temp_directory": str(spill)}.items():
                self._database.execute(f"SET {setting} = ?", [value])
            self.facts = migrate(self._database)
            rows = self._database.count("desired") + self._database.count("delivered")
            self._database.execute("SET memory_limit = ?", [f"{_MEMORY + rows * _MEMORY_OF_A_ROW}B"])
            self._read_through()
            if unanswered := delivered.unanswered(self._database):  # the process died in between
                with self._transaction():
                    for number in unanswered:
                        self._make_unsure(number)
        except BaseException:
            self._database.close()
            raise

    def _read_through(self) -> None:
        """Read all of it once, so that a damaged block is met now and not in the middle of a run.

        Raises `LedgerDamaged` and `LedgerError`.
        """
        for table in TABLES:
            self._database.execute(f"SELECT bit_xor(hash({table})) FROM {table}").fetchall()
        try:
            self.parts()
            delivered.in_flight(self._database)
        except (TypeError, ValueError) as error:
            raise LedgerDamaged(f"Its rows cannot be read ({type(error).__name__})") from None

    def checkpoint(self) -> None:
        """Bring all that is committed into the one file, which may then be copied. Raises `LedgerError`."""
        self._database.execute("CHECKPOINT")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    # Who should be in it

    def parts(self) -> list[tuple[Binding, int, datetime]]:
        """Give each part's binding, its number of digests, and when its stream last came."""
        rows = self._database.execute("SELECT binding, rows, seen_at FROM part ORDER BY id").fetchall()
        return [(msgspec.json.decode(b, type=Binding), count, datetime.fromisoformat(at)) for b, count, at in rows]

    def stage(self, parts: Sequence[Part]) -> None:
        """Read what the streams brought, and count it into their books. Raises `CountsDoNotBalance`."""
        desired.stage(self._database, parts)

    @contextmanager
    def revision(self, bindings: Sequence[Binding], now: datetime) -> Iterator[Revision]:
        """Make *desired* what the staged streams say, and tell what that changes.

        It is committed when the block ends, and undone if that raises. An `overwrite` replaces whatever its stream was
        bound to before.
        """
        with self._transaction():
            before = self.facts.desired if self.parts() else None
            changes = desired.revise(self._database, bindings, now)
            self.facts.desired = self._count_desired()
            gone = desired.left(self._database, "removed", "desired")
            yield Revision(changes, PartChange("all streams", "", before, self.facts.desired, gone))

    @contextmanager
    def forgetting(self, stream: str) -> Iterator[Revision]:
        """Drop a stream's parts and bindings; committed when the block ends, undone if that raises."""
        with self._transaction():
            before = self.facts.desired
            for number, binding in desired.bound(self._database).items():
                if binding.stream == stream:
                    desired.drop(self._database, number)
            self.facts.desired = self._count_desired()
            change = PartChange(stream, "", before, self.facts.desired, before - self.facts.desired)
            yield Revision([change], change)

    def erase(self, erased: Mapping[bytes, str]) -> bool:
        """Keep people out from now on, whatever streams bring; tell whether any of them is new to this ledger.

        `erased` has the time for each digest. Where the ledger does not know whom the audience holds, they may be in.
        """
        if not desired.find_new_erasures(self._database, erased):
            return False
        with self._transaction():
            desired.erase(self._database)
            self.facts.desired = self._count_desired()
            if self.facts.audience_id and not self.facts.delivered_known:
                delivered.suspect_erased(self._database)
            self.facts.commit -= 1  # it stays as it is: STATE need not have seen this, and a new ledger is new still
        return True

    def erased(self) -> int:
        """Give the number of those who are kept out."""
        return self._database.count("tombstone")

    # Who TikTok has been given

    def may_hold(self, digests: Collection[bytes]) -> bool:
        """Tell whether any of these may be in the audience: TikTok was given it, and has not accepted its removal."""
        return delivered.may_hold(self._database, digests)

    def may_come_back(self, digests: Collection[bytes]) -> bool:
        """Tell whether a change in flight is about any of these: should TikTok fail it, they may be in again."""
        return delivered.may_come_back(self._database, digests)

    def counts(self) -> Counts:
        """Give the sizes that a plan is made from."""
        return delivered.counts(self._database, self.facts.desired)

    def set_digest(self) -> str:
        """Give an order-free digest of the desired set."""
        return delivered.set_digest(self._database)

    def in_flight(self) -> int:
        """Give the number of changes that TikTok accepted and may still fail."""
        return len(delivered.in_flight(self._database))

    def belongs_to(self, audience_id: str, origin: Origin) -> None:
        """Tie what is delivered to an audience; another one starts with nothing."""
        if (self.facts.audience_id, self.facts.origin) == (audience_id, origin):
            return
        with self._transaction():
            if self.facts.audience_id not in {None, audience_id}:
                self._forget_delivered()
            self.facts.audience_id, self.facts.origin = audience_id, origin
            if not self.facts.delivered_known:
                delivered.suspect_erased(self._database)

    def clear_audience(self) -> None:
        """Note that there is no audience: nothing is delivered."""
        if self.facts.audience_id is not None:
            with self._transaction():
                self._forget_delivered()
                self.facts.audience_id = self.facts.origin = None

    def take_as_delivered(self, *, exact: bool = True) -> None:
        """Note that the audience holds *desired*, as a digest in STATE proved; `exact` if it holds nobody else."""
        with self._transaction():
            delivered.take_wanted(self._database)
            delivered.suspect_erased(self._database)  # the digest says nothing of them
            self.facts.delivered_known = exact

    def confirm(self, error: str | None, now: datetime, *, ready: bool) -> bool:
        """Look at what is in flight; tell whether TikTok has failed a change since.

        A new error makes the rows of every change in flight unsure. Seen ready without one, a change older than
        `APPLIED_AFTER` is done.
        """
        in_flight = delivered.in_flight(self._database)
        failed = error is not None and error != self.facts.error and bool(in_flight)
        done = [number for number, at in in_flight if ready and now - at >= APPLIED_AFTER]
        if not failed and not done and error == self.facts.error:
            return False
        with self._transaction():
            self.facts.error = error
            if failed:
                self.facts.failures += 1
                for number, _ in in_flight:
                    self._make_unsure(number)
            elif done:
                self.facts.failures = 0
                for number in done:
                    delivered.drop_change(self._database, number)
        return failed

    def call_rows(self, action: str) -> int:
        """Fix the rows of the one call to make, and give their number."""
        return delivered.call_rows(self._database, action)

    def write_lines(self, first: int, rows: int, file: Path) -> int:
        """Write some rows of the call to a file, as lower-case hex lines; `first` counts from 0. Gives their number.

        All are sorted, so equal differences make equal files.
        """
        return delivered.write_lines(self._database, first, rows, file)

    def intend(self, action: str, now: datetime) -> int:
        """Note, before the call, what it is about to do; gives the change's number."""
        with self._transaction():
            number = delivered.intend(self._database, action)
            self._database.execute("DELETE FROM upload")  # TikTok may take a file once only
            self.facts.changed_at = now
            if action == "CREATE":
                self.facts.creating_since = now.replace(microsecond=0)  # as exact as TikTok's own times
        return number

    def accepted(self, number: int, action: str, audience_id: str, now: datetime) -> None:
        """Note that TikTok accepted a change. Raises `OutcomeNotNoted`; the intent stays, and the change is unsure."""
        try:
            with self._transaction():
                delivered.accept(self._database, number, action, now)
                if action in delivered.EVERYBODY:
                    self.facts.delivered_known, self.facts.replace_owed = True, False
                self.facts.audience_id, self.facts.last_action, self.facts.changed_at = audience_id, action, now
                self.facts.creating_since = None
                if action == "CREATE":
                    self.facts.origin = "created"  # in this commit: a kill after it must not make it a stranger
        except LedgerError as error:
            raise OutcomeNotNoted(
                f"TikTok has accepted the change, and the ledger cannot note it: {describe(error)} The change is then"
                " sent once more, which does no harm."
            ) from None

    def uploads(self, now: datetime) -> dict[str, str]:
        """Give the files that TikTok has and no call has used: path by MD5."""
        rows = self._database.execute("SELECT md5, path, uploaded_at FROM upload").fetchall()
        return {md5: path for md5, path, at in rows if abs(now - datetime.fromisoformat(at)) < UPLOAD_LIVES}

    def uploaded(self, md5: str, path: str, now: datetime) -> None:
        """Note a file that TikTok has; the next intent uses it up."""
        with self._transaction():
            self._database.execute("INSERT INTO upload VALUES (?, ?, ?)", [md5, path, now.isoformat()])

    def refused(self, number: int) -> None:
        """Note that TikTok surely did nothing."""
        with self._transaction():
            delivered.drop_change(self._database, number)
            self.facts.creating_since = None

    def lost(self, number: int) -> None:
        """Note that nobody knows whether TikTok did it."""
        with self._transaction():
            self._make_unsure(number)

    # What happened, and when

    def latest(self) -> datetime | None:
        """Give the latest time that is noted: it was so late once, if the clock was right."""
        facts, in_flight = self.facts, delivered.in_flight(self._database)
        noted = [facts.changed_at, facts.creating_since, facts.held_since, *(at for _, at in in_flight)]
        return max(filter(None, noted), default=None)

    def clamp_future_timestamps(self, now: datetime) -> None:
        """Take what was noted with a time that is still to come as noted now.

        Clocks go back, and nothing may wait for a day that is years away. What is in flight then takes its whole time
        once more, so nothing is taken as done too early.
        """
        latest = self.latest()
        if latest is None or latest <= now:
            return
        with self._transaction():
            for name in ("changed_at", "creating_since", "held_since"):
                noted = getattr(self.facts, name)
                setattr(self.facts, name, min(noted, now) if noted else None)
            delivered.accepted_no_later(self._database, now)

    def hold(self, since: datetime | None) -> None:
        """Note since when a difference waits, or that none does."""
        if self.facts.held_since != since:
            with self._transaction():
                self.facts.held_since = since

    def journal(self, report: dict[str, Any], now: datetime) -> None:
        """Add a run to the journal."""
        with self._transaction():
            encoded = msgspec.json.encode(report).decode()
            self._database.execute("INSERT INTO journal VALUES (?, ?)", [now.isoformat(), encoded])

    def runs(self, limit: int | None = None) -> list[tuple[datetime, dict[str, Any]]]:
        """Give the newest runs of the journal, the newest first: when each ended, and its report."""
        query = "SELECT ended_at, report FROM journal ORDER BY rowid DESC LIMIT ?"
        rows = self._database.execute(query, [limit]).fetchall()
        return [(datetime.fromisoformat(at), msgspec.json.decode(report)) for at, report in rows]

    # Inside

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block does, and the facts with it, as one; undo both if it raises."""
        before = msgspec.structs.replace(self.facts)
        try:
            with self._bare_transaction():
                yield
                self.facts.commit += 1
                self._database.execute("UPDATE facts SET value = ?", [encode(self.facts)])
        except BaseException:
            self.facts = before
            raise

    @contextmanager
    def _bare_transaction(self) -> Iterator[None]:
        self._database.begin()
        try:
            yield
        except BaseException:
            with suppress(LedgerError):  # what went wrong first is to be told
                self._database.rollback()
            raise
        self._database.commit()

    def _count_desired(self) -> int:
        """Count who should be in; where there is one part, that was counted with it."""
        parts = self.parts()
        if len(parts) == 1 and not self._database.count("tombstone"):
            return parts[0][1]
        return self._database.count(desired.wanted(self._database))

    def _make_unsure(self, number: int) -> None:
        """Nobody knows what became of a change. After a replacement the members before it may all be in still."""
        self.facts.replace_owed = self.facts.replace_owed or delivered.replaces(self._database, number)
        delivered.make_unsure(self._database, number)

    def _forget_delivered(self) -> None:
        delivered.forget(self._database)
        self.facts = msgspec.structs.replace(
            self.facts,
            delivered_known=False,
            replace_owed=False,
            last_action=None,
            changed_at=None,
            held_since=None,
            error=None,
            failures=0,
        )
