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

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import msgspec

from target_tiktok_audiences.membership import desired
from target_tiktok_audiences.membership.desired import Binding, PartChange
from target_tiktok_audiences.membership.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from target_tiktok_audiences.membership.staging import Part

APPLIED_AFTER = timedelta(hours=48)
"""TikTok processes a change for at most that long, and may fail it meanwhile."""

_MEMORY = "1GB"  # past it DuckDB goes on on disk
_ROWS_AT_ONCE = 100_000
_MIGRATIONS = (
    """
    CREATE TABLE facts (value VARCHAR);
    CREATE TABLE part (id INTEGER, binding VARCHAR, rows BIGINT, seen_at VARCHAR);
    CREATE TABLE desired (part INTEGER, key VARCHAR, digest BLOB);
    CREATE TABLE delivered (digest BLOB, sure BOOLEAN);
    CREATE TABLE change (id INTEGER, action VARCHAR, accepted_at VARCHAR);
    CREATE TABLE change_row (change INTEGER, digest BLOB);
    CREATE TABLE tombstone (digest BLOB, since VARCHAR);
    CREATE TABLE journal (ended_at VARCHAR, report VARCHAR);
    """,
)
"""One script for each version of the schema; opening a ledger brings it up to the newest."""

_DESIRED = "(SELECT DISTINCT digest FROM desired ANTI JOIN tombstone USING (digest))"
_ADDS = f"(SELECT digest FROM {_DESIRED} ANTI JOIN (FROM delivered WHERE sure) USING (digest))"
_REMOVALS = f"(SELECT digest FROM delivered ANTI JOIN {_DESIRED} USING (digest))"


LedgerError = duckdb.Error
"""What the database raises: a full disk, a file that is no ledger."""


class LedgerTooNew(Problem):
    """The ledger was written by a newer version of this program."""


class Facts(msgspec.Struct):
    """What a ledger knows beside its rows."""

    ledger_id: str
    commit: int = 0
    """Goes up with each transaction; STATE names the one that it saw."""
    audience_id: str | None = None
    origin: Literal["set", "created", "found"] | None = None
    delivered_known: bool = False
    """Whether *delivered* is all that the audience holds of ours; not so of an audience met without its ledger."""
    desired: int = 0
    last_action: str | None = None
    changed_at: datetime | None = None
    """When the last change was sent that TikTok has not refused for sure."""
    creating_since: datetime | None = None
    """When a creation was sent whose answer is not known."""
    held_since: datetime | None = None
    error: str | None = None
    """What TikTok last said had gone wrong."""
    failures: int = 0
    """Changes in a row that TikTok failed after accepting them."""


@dataclass(frozen=True)
class Counts:
    """The sizes that a plan is made from."""

    desired: int
    delivered: int
    unsure: int
    adds: int
    removals: int


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

        Raises `LedgerTooNew`.
        """
        self._database = duckdb.connect(str(path) if path else ":memory:")
        self._database.execute(f"SET memory_limit = '{_MEMORY}'")
        self._database.execute("SET preserve_insertion_order = false")
        self._database.execute("SET temp_directory = ?", [str(spill)])
        self.facts = self._migrate()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    # Who should be in it

    def parts(self) -> list[tuple[Binding, int, datetime]]:
        """Give each part's binding, its number of digests, and when its stream last came."""
        rows = self._database.execute("SELECT binding, rows, seen_at FROM part ORDER BY id").fetchall()
        return [(msgspec.json.decode(b, type=Binding), count, datetime.fromisoformat(at)) for b, count, at in rows]

    def stage(self, parts: Sequence[Part]) -> None:
        """Read what the streams brought, and count it into their books. Raises `BooksDoNotBalance`."""
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
            self.facts.desired = self._count(_DESIRED)
            gone = self._count("(SELECT DISTINCT digest FROM removed ANTI JOIN desired USING (digest))")
            yield Revision(changes, PartChange("all streams", "", before, self.facts.desired, gone))

    @contextmanager
    def forgetting(self, stream: str) -> Iterator[Revision]:
        """Drop a stream's parts and bindings; committed when the block ends, undone if that raises."""
        with self._transaction():
            before = self.facts.desired
            for number, binding in desired.bound(self._database).items():
                if binding.stream == stream:
                    desired.drop(self._database, number)
            self.facts.desired = self._count(_DESIRED)
            change = PartChange(stream, "", before, self.facts.desired, before - self.facts.desired)
            yield Revision([change], change)

    # Who TikTok has been given

    def counts(self) -> Counts:
        """Give the sizes that a plan is made from."""
        return Counts(
            desired=self.facts.desired,
            delivered=self._count("delivered"),
            unsure=self._count("(FROM delivered WHERE NOT sure)"),
            adds=self._count(_ADDS),
            removals=self._count(_REMOVALS),
        )

    def belongs_to(self, audience_id: str, origin: Literal["set", "created", "found"]) -> None:
        """Tie what is delivered to an audience; another one starts with nothing."""
        if (self.facts.audience_id, self.facts.origin) == (audience_id, origin):
            return
        with self._transaction():
            if self.facts.audience_id not in {None, audience_id}:
                self._forget_delivered()
            self.facts.audience_id, self.facts.origin = audience_id, origin

    def start_again(self) -> None:
        """Note that there is no audience: nothing is delivered."""
        if self.facts.audience_id is not None:
            with self._transaction():
                self._forget_delivered()
                self.facts.audience_id = self.facts.origin = None

    def take_as_delivered(self) -> None:
        """Note that the audience holds exactly *desired*, as a digest in STATE proved."""
        with self._transaction():
            self._deliver_exactly_desired()

    def confirm(self, error: str | None, now: datetime, *, ready: bool) -> bool:
        """Look at what is in flight; tell whether TikTok has failed a change since.

        A new error makes the rows of every change in flight unsure. Seen ready without one, a change older than
        `APPLIED_AFTER` is done.
        """
        in_flight = self.in_flight()
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
            else:
                for number in done:
                    self.facts.failures = 0
                    self._drop_change(number)
        return failed

    def in_flight(self) -> list[tuple[int, datetime]]:
        """Give the changes that TikTok accepted and may still fail: number, and time of acceptance."""
        query = "SELECT id, accepted_at FROM change WHERE accepted_at IS NOT NULL ORDER BY id"
        return [(number, datetime.fromisoformat(at)) for number, at in self._database.execute(query).fetchall()]

    def call_rows(self, action: str) -> int:
        """Fix the rows of the one call to make, and give their number."""
        rows = {"APPEND": _ADDS, "REMOVE": _REMOVALS}.get(action, _DESIRED)
        self._database.execute(f"CREATE OR REPLACE TEMP TABLE call_row AS SELECT digest FROM {rows}")
        return self._count("call_row")

    def sorted_lines(self, border: int) -> Iterator[bytes]:
        """Give the rows of the call, sorted, as lower-case hex lines in blocks that end at every `border` rows.

        Sorted, so that equal differences make equal files.
        """
        rows = self._database.execute("SELECT lower(hex(digest)) FROM call_row ORDER BY digest")
        left = border
        while block := rows.fetchmany(min(left, _ROWS_AT_ONCE)):
            left = left - len(block) or border
            yield "".join(f"{digest}\n" for (digest,) in block).encode()

    def intend(self, action: str, now: datetime) -> int:
        """Note, before the call, what it is about to do; gives the change's number."""
        with self._transaction():
            number = self._one("SELECT coalesce(max(id), 0) + 1 FROM change")[0]
            self._database.execute("INSERT INTO change VALUES (?, ?, NULL)", [number, action])
            touched = "(FROM call_row UNION SELECT digest FROM delivered)" if action == "REPLACE" else "call_row"
            self._database.execute(f"INSERT INTO change_row SELECT ?, digest FROM {touched}", [number])
            self.facts.changed_at = now
            if action == "CREATE":
                self.facts.creating_since = now.replace(microsecond=0)  # as exact as TikTok's own times
        return int(number)

    def accepted(self, number: int, action: str, audience_id: str, now: datetime) -> None:
        """Note that TikTok accepted a change."""
        with self._transaction():
            if action in {"CREATE", "REPLACE"}:
                self._deliver_exactly_desired()
            else:
                self._database.execute("DELETE FROM delivered USING call_row WHERE delivered.digest = call_row.digest")
                if action == "APPEND":
                    self._database.execute("INSERT INTO delivered SELECT digest, true FROM call_row")
            self._database.execute("UPDATE change SET accepted_at = ? WHERE id = ?", [now.isoformat(), number])
            self.facts.audience_id, self.facts.last_action, self.facts.changed_at = audience_id, action, now
            self.facts.creating_since = None

    def refused(self, number: int) -> None:
        """Note that TikTok surely did nothing."""
        with self._transaction():
            self._drop_change(number)
            self.facts.creating_since = None

    def lost(self, number: int) -> None:
        """Note that nobody knows whether TikTok did it."""
        with self._transaction():
            self._make_unsure(number)

    def hold(self, since: datetime | None) -> None:
        """Note since when a difference waits, or that none does."""
        if self.facts.held_since != since:
            with self._transaction():
                self.facts.held_since = since

    def journal(self, report: dict[str, Any], now: datetime) -> None:
        """Add a run to the journal."""
        with self._transaction():
            self._database.execute(
                "INSERT INTO journal VALUES (?, ?)", [now.isoformat(), msgspec.json.encode(report).decode()]
            )

    def set_digest(self) -> str:
        """Give an order-free digest of the desired set."""
        count, *halves = self._one(
            "SELECT count(*), coalesce(bit_xor(('0x' || hex(digest)[1:16])::UBIGINT), 0),"
            f" coalesce(bit_xor(('0x' || hex(digest)[17:32])::UBIGINT), 0) FROM {_DESIRED}"
        )
        return f"{count}-{halves[0]:016x}{halves[1]:016x}"

    # Inside

    def _migrate(self) -> Facts:
        database = self._database
        database.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER)")
        version = self._one("SELECT coalesce(max(version), 0) FROM schema_version")[0]
        if version > len(_MIGRATIONS):
            raise LedgerTooNew(
                f"The ledger has version {version} and this program knows {len(_MIGRATIONS)}. Install a newer version."
            )
        for number, script in list(enumerate(_MIGRATIONS, 1))[version:]:
            with self._bare_transaction():
                database.execute(script)
                database.execute("INSERT INTO schema_version VALUES (?)", [number])
                if number == 1:
                    fresh = msgspec.json.encode(Facts(uuid.uuid4().hex)).decode()
                    database.execute("INSERT INTO facts VALUES (?)", [fresh])
        facts = msgspec.json.decode(self._one("SELECT value FROM facts")[0], type=Facts)
        # What was intended and never answered: the process died in between.
        for (number,) in database.execute("SELECT id FROM change WHERE accepted_at IS NULL").fetchall():
            with self._bare_transaction():
                self._make_unsure(number)
        return facts

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block does, and the facts with it, as one; undo both if it raises."""
        before = msgspec.structs.replace(self.facts)
        try:
            with self._bare_transaction():
                yield
                self.facts.commit += 1
                self._database.execute("UPDATE facts SET value = ?", [msgspec.json.encode(self.facts).decode()])
        except BaseException:
            self.facts = before
            raise

    @contextmanager
    def _bare_transaction(self) -> Iterator[None]:
        self._database.begin()
        try:
            yield
        except BaseException:
            self._database.rollback()
            raise
        self._database.commit()

    def _make_unsure(self, number: int) -> None:
        rows = "(SELECT DISTINCT digest FROM change_row WHERE change = ?)"
        self._database.execute(
            f"DELETE FROM delivered USING {rows} AS touched WHERE delivered.digest = touched.digest", [number]
        )
        self._database.execute(f"INSERT INTO delivered SELECT digest, false FROM {rows}", [number])
        self._drop_change(number)

    def _drop_change(self, number: int) -> None:
        self._database.execute("DELETE FROM change_row WHERE change = ?", [number])
        self._database.execute("DELETE FROM change WHERE id = ?", [number])

    def _deliver_exactly_desired(self) -> None:
        self._database.execute(f"CREATE OR REPLACE TABLE delivered AS SELECT digest, true AS sure FROM {_DESIRED}")
        self.facts.delivered_known = True

    def _forget_delivered(self) -> None:
        for table in ("delivered", "change", "change_row"):
            self._database.execute(f"DELETE FROM {table}")
        self.facts = msgspec.structs.replace(
            self.facts,
            delivered_known=False,
            last_action=None,
            changed_at=None,
            held_since=None,
            error=None,
            failures=0,
        )

    def _count(self, relation: str) -> int:
        return int(self._one(f"SELECT count(*) FROM {relation}")[0])

    def _one(self, query: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._database.execute(query).fetchone() or ()
        return row
