"""Who TikTok has been given: a digest is in (accepted) or unsure (lost, or failed later); one that is not here is out.

These are the ledger's own functions on its database; nobody else calls them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from target_tiktok_audiences.ledger.desired import wanted

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from target_tiktok_audiences.ledger.database import Database

EVERYBODY = ("CREATE", "REPLACE")
"""Calls that are about all who should be in, and all who are."""


@dataclass(frozen=True)
class Counts:
    """The sizes that a plan is made from."""

    desired: int
    delivered: int
    unsure: int
    adds: int
    removals: int

    @property
    def arrived(self) -> int:
        """Those of the desired whom TikTok has surely taken; *delivered* are also those who are to leave."""
        return self.desired - self.adds


def counts(database: Database, desired: int) -> Counts:
    """Count what is delivered and what differs; the number of desired ones is known."""
    delivered, unsure = database.one("SELECT count(*), count(*) FILTER (NOT sure) FROM delivered")
    if not delivered:
        return Counts(desired, 0, 0, adds=desired, removals=0)
    if delivered == desired and not unsure and _sums(database, "delivered") == _sums(database, wanted(database)):
        return Counts(desired, delivered, 0, adds=0, removals=0)
    adds, removals = database.one(
        "SELECT count(*) FILTER (wanted.digest IS NOT NULL AND sure IS NOT TRUE),"
        " count(*) FILTER (wanted.digest IS NULL)"
        f" FROM {wanted(database)} AS wanted FULL JOIN delivered ON wanted.digest = delivered.digest",
    )
    return Counts(desired, delivered, unsure, adds, removals)


def call_rows(database: Database, action: str) -> int:
    """Fix the rows of one call in the temporary table `call_row`, and count them."""
    rows = wanted(database)
    if action == "APPEND":
        rows = f"(SELECT digest FROM {rows} ANTI JOIN (FROM delivered WHERE sure) USING (digest))"
    elif action == "REMOVE":
        rows = f"(SELECT digest FROM delivered ANTI JOIN {rows} USING (digest))"
    database.execute(f"CREATE OR REPLACE TEMP TABLE call_row AS SELECT digest FROM {rows} ORDER BY digest")
    return database.count("call_row")


def write_lines(database: Database, first: int, rows: int, file: Path) -> int:
    """Write some rows of the call to a file, as lower-case hex lines, sorted; give their number."""
    query = f"SELECT lower(hex(digest)) FROM call_row WHERE rowid BETWEEN {first} AND {first + rows - 1}"
    path = str(file).replace("'", "''")
    copy = f"COPY ({query}) TO '{path}' (FORMAT csv, HEADER false, QUOTE '', PRESERVE_ORDER true)"
    return int(database.one(copy)[0])


def intend(database: Database, action: str) -> int:
    """Note what the call is about to do, and give the change's number.

    One that is about everybody is noted without the rows that it brings in: they are all that is wanted.
    """
    number = int(database.one("SELECT coalesce(max(id), 0) + 1 FROM change")[0])
    database.execute("INSERT INTO change VALUES (?, ?, NULL)", [number, action])
    touched = f"(FROM delivered ANTI JOIN {wanted(database)} USING (digest))" if action in EVERYBODY else "call_row"
    database.execute(f"INSERT INTO change_row SELECT ?, digest FROM {touched}", [number])
    return number


def accept(database: Database, number: int, action: str, now: datetime) -> None:
    """Make the rows of an accepted change in or out; it is in flight from now on."""
    if action in EVERYBODY:
        take_wanted(database)
    else:
        database.execute("DELETE FROM delivered USING call_row WHERE delivered.digest = call_row.digest")
        if action == "APPEND":
            database.execute("INSERT INTO delivered SELECT digest, true FROM call_row")
    database.execute("UPDATE change SET accepted_at = ? WHERE id = ?", [now.isoformat(), number])


def make_unsure(database: Database, number: int) -> None:
    """Make the rows of a change unsure, and forget the change.

    Of one about everybody these are all who are delivered, whom it may have removed, and, while it is unanswered, all
    whom it may have brought in.
    """
    action, accepted_at = database.one("SELECT action, accepted_at FROM change WHERE id = ?", [number])
    rows = f"SELECT digest FROM change_row WHERE change = {int(number)}"
    if action in EVERYBODY:
        rows += " UNION SELECT digest FROM delivered"
        rows += "" if accepted_at else f" UNION SELECT digest FROM {wanted(database)}"
    database.execute(f"CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT digest FROM ({rows})")
    database.execute("DELETE FROM delivered USING touched WHERE delivered.digest = touched.digest")
    database.execute("INSERT INTO delivered SELECT digest, false FROM touched")
    database.execute("DROP TABLE touched")
    drop_change(database, number)


def drop_change(database: Database, number: int) -> None:
    """Forget a change, and leave its rows as they are."""
    database.execute("DELETE FROM change_row WHERE change = ?", [number])
    database.execute("DELETE FROM change WHERE id = ?", [number])


def in_flight(database: Database) -> list[tuple[int, datetime]]:
    """Give the changes that TikTok accepted and may still fail: number, and time of acceptance."""
    query = "SELECT id, accepted_at FROM change WHERE accepted_at IS NOT NULL ORDER BY id"
    return [(number, datetime.fromisoformat(at)) for number, at in database.execute(query).fetchall()]


def accepted_no_later(database: Database, than: datetime) -> None:
    """Set the acceptance of changes in flight that are dated later than a time to that time."""
    for number, at in in_flight(database):
        if at > than:
            database.execute("UPDATE change SET accepted_at = ? WHERE id = ?", [than.isoformat(), number])


def replaces(database: Database, number: int) -> bool:
    """Tell whether a change was to replace everybody."""
    return database.count(f"(FROM change WHERE id = {number} AND action = 'REPLACE')") > 0


def unanswered(database: Database) -> list[int]:
    """Give the changes that were intended and never answered."""
    return [number for (number,) in database.execute("SELECT id FROM change WHERE accepted_at IS NULL").fetchall()]


def take_wanted(database: Database) -> None:
    """Make exactly the wanted ones in."""
    database.execute(f"CREATE OR REPLACE TABLE delivered AS SELECT digest, true AS sure FROM {wanted(database)}")


def suspect_erased(database: Database) -> None:
    """Make those who were erased unsure, where it is not known whom the audience holds."""
    database.execute("INSERT INTO delivered SELECT digest, false FROM tombstone ANTI JOIN delivered USING (digest)")


def may_hold(database: Database, digests: Collection[bytes]) -> bool:
    """Tell whether any of these is in or unsure."""
    return _any_of(database, digests, "delivered")


def may_come_back(database: Database, digests: Collection[bytes]) -> bool:
    """Tell whether any of these is among the rows of a change that may still fail."""
    return _any_of(database, digests, "change_row")


def _any_of(database: Database, digests: Collection[bytes], table: str) -> bool:
    query = f"SELECT count(*) FROM {table} WHERE digest IN (SELECT unhex(unnest(?::VARCHAR[])))"
    return bool(database.one(query, [[digest.hex() for digest in digests]])[0])


def forget(database: Database) -> None:
    """Make everybody out, with nothing in flight."""
    for table in ("delivered", "change", "change_row"):
        database.execute(f"DELETE FROM {table}")


def _sums(database: Database, rows: str) -> tuple[object, ...]:
    """Give what only equal sets have in common, in a tenth of the time that it takes to compare each digest."""
    return database.one(f"SELECT count(*), bit_xor(hash(digest)), sum(hash(digest)) FROM {rows}")


def set_digest(database: Database) -> str:
    """Give an order-free digest of the wanted set: its size, and the exclusive or of its digests' first halves."""
    size, bits = database.one(f"SELECT count(*), bit_xor(digest::BIT)::VARCHAR FROM {wanted(database)}")
    return f"{size}-{int((bits or '0' * 256)[:128], 2):032x}"
