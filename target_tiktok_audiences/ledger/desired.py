"""Who should be in the audience: what a run's streams brought, and what that makes of the ledger's *desired*.

These are the ledger's own functions on its database; nobody else calls them. Everything is done on whole sets: rows
are compared, and only those that differ are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from target_tiktok_audiences.ledger.staging import NO_DIGEST, Binding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from target_tiktok_audiences.ledger.database import Database
    from target_tiktok_audiences.ledger.staging import Part

_READ = f"read_csv(?, header = false, auto_detect = false, delim = ',', nullstr = '{NO_DIGEST}', columns = {{}})"


@dataclass(frozen=True)
class PartChange:
    """What a revision makes of one part, or of all together, in distinct digests."""

    stream: str
    load_method: str
    before: int | None
    """None where the ledger had nothing to compare with."""
    after: int
    gone: int


def bound(database: Database) -> dict[int, Binding]:
    """Give the parts by their number."""
    rows = database.execute("SELECT id, binding FROM part ORDER BY id").fetchall()
    return {number: msgspec.json.decode(binding, type=Binding) for number, binding in rows}


def stage(database: Database, parts: Sequence[Part]) -> None:
    """Read what the streams brought, and count it into their books. Raises `CountsDoNotBalance`."""
    database.execute("CREATE OR REPLACE TEMP TABLE staged (part INTEGER, key BLOB, digest BLOB)")
    database.execute("CREATE OR REPLACE TEMP TABLE staged_gone (part INTEGER, key BLOB)")
    for number, part in enumerate(parts):
        part.close()
        if part.binding.keys:
            _stage_by_key(database, number, part)
        else:
            _stage(database, number, part)
        database.execute("DROP TABLE line")  # temporary tables, too, take memory, and then go to disk
        part.path.unlink()
        part.books.check()


def _stage(database: Database, number: int, part: Part) -> None:
    columns = {"digest": "VARCHAR"}
    database.execute(
        "CREATE OR REPLACE TEMP TABLE line AS SELECT digest, count(*) AS times"
        f" FROM (SELECT unhex(digest) AS digest FROM {_READ.format(columns)}) GROUP BY digest",
        [str(part.path)],
    )
    database.execute("INSERT INTO staged SELECT ?, '', digest FROM line", [number])
    part.books.accepted, part.books.duplicate = database.one(
        "SELECT count(*), coalesce(sum(times - 1), 0)::BIGINT FROM line"
    )


def _stage_by_key(database: Database, number: int, part: Part) -> None:
    """Keep the last word for each key; few keys, if any, are spoken of more than once."""
    columns = {"digest": "VARCHAR", "key": "VARCHAR", "turn": "BIGINT"}
    database.execute(
        "CREATE OR REPLACE TEMP TABLE line AS SELECT unhex(key) AS key, unhex(digest) AS digest, turn"
        f" FROM {_READ.format(columns)}",
        [str(part.path)],
    )
    database.execute(
        "CREATE OR REPLACE TEMP TABLE repeated AS SELECT key, max(turn) AS turn, count(digest) AS identified"
        " FROM line GROUP BY key HAVING count(*) > 1"
    )
    last = "SELECT key, digest FROM line SEMI JOIN repeated USING (key, turn)"
    words = f"(SELECT key, digest FROM line ANTI JOIN repeated USING (key) UNION ALL {last})"
    database.execute(f"INSERT INTO staged SELECT ?, key, digest FROM {words} WHERE digest IS NOT NULL", [number])
    database.execute(f"INSERT INTO staged_gone SELECT ?, key FROM {words} WHERE digest IS NULL", [number])
    (part.books.superseded,) = database.one(
        f"SELECT coalesce((SELECT sum(identified) FROM repeated), 0)::BIGINT - (SELECT count(digest) FROM ({last}))",
    )
    part.books.accepted, part.books.duplicate = database.one(
        "SELECT count(*), coalesce(sum(times - 1), 0)::BIGINT"
        " FROM (SELECT count(*) AS times FROM staged WHERE part = ? GROUP BY digest)",
        [number],
    )


def revise(database: Database, bindings: Sequence[Binding], now: datetime) -> list[PartChange]:
    """Make *desired* what the staged streams say; digests that left a part are in the temporary table `removed`.

    An `overwrite` replaces whatever its stream was bound to before.
    """
    database.execute("CREATE OR REPLACE TEMP TABLE removed (part INTEGER, digest BLOB)")
    for binding in bindings:
        if binding.load_method == "overwrite":
            _drop_stale(database, binding.stream, {b.field for b in bindings if b.stream == binding.stream})
    changes = [_revise(database, number, binding, now) for number, binding in enumerate(bindings)]
    for spent in ("staged", "staged_gone", "leave"):
        database.execute(f"DROP TABLE {spent}")
    return changes


def _revise(database: Database, staged: int, binding: Binding, now: datetime) -> PartChange:
    parts = bound(database)
    known = [n for n, b in parts.items() if (b.stream, b.field) == (binding.stream, binding.field)]
    number = known[0] if known else max(parts, default=0) + 1
    before = database.one("SELECT rows FROM part WHERE id = ?", [number])[0] if known else None
    theirs = f"(SELECT key, digest FROM desired WHERE part = {number})"
    ours = f"(SELECT key, digest FROM staged WHERE part = {staged})"
    if not known:
        database.execute("CREATE OR REPLACE TEMP TABLE leave (key BLOB, digest BLOB)")
        database.execute(f"INSERT INTO desired SELECT ?, key, digest FROM {ours}", [number])
    else:
        _compare(database, ours, theirs, staged, binding)
        database.execute(
            "DELETE FROM desired USING leave"
            " WHERE part = ? AND desired.key = leave.key AND desired.digest = leave.digest",
            [number],
        )
        database.execute("INSERT INTO desired SELECT ?, key, digest FROM enter", [number])
    database.execute("INSERT INTO removed SELECT ?, digest FROM leave", [number])
    (keys,) = database.one("SELECT max(key) FROM desired WHERE part = ?", [number])  # of an earlier binding, perhaps
    remain = f"(SELECT {'DISTINCT' if keys else ''} digest FROM desired WHERE part = {number})"
    after = database.count(remain)
    gone = left(database, f"(SELECT digest FROM removed WHERE part = {number})", remain)
    database.execute("DELETE FROM part WHERE id = ?", [number])
    encoded = msgspec.json.encode(binding).decode()
    database.execute("INSERT INTO part VALUES (?, ?, ?, ?)", [number, encoded, after, now.isoformat()])
    return PartChange(binding.stream, binding.load_method, before, after, gone)


def _compare(database: Database, ours: str, theirs: str, staged: int, binding: Binding) -> None:
    """Find what leaves a part, and what enters it; who came by a key before need not come again without one."""
    same = "(key, digest)" if binding.keys else "(digest)"
    leaves = f"FROM {theirs} ANTI JOIN {ours} USING {same}"
    if binding.load_method == "upsert":
        spoken = (
            f"(SELECT key FROM staged WHERE part = {staged}"
            f" UNION ALL SELECT key FROM staged_gone WHERE part = {staged})"
        )
        leaves += f" SEMI JOIN {spoken} USING (key)"
    if binding.load_method == "append-only":
        leaves += " WHERE false"
    database.execute(f"CREATE OR REPLACE TEMP TABLE leave AS SELECT key, digest {leaves}")
    database.execute(
        f"CREATE OR REPLACE TEMP TABLE enter AS SELECT key, digest FROM {ours} ANTI JOIN {theirs} USING {same}"
    )


def left(database: Database, removed: str, remain: str) -> int:
    """Count the digests that were removed and are nowhere any more."""
    if not database.count(removed):
        return 0  # without a look at those that remain, who may be millions
    return database.count(f"(SELECT DISTINCT digest FROM {removed} ANTI JOIN {remain} USING (digest))")


def wanted(database: Database) -> str:
    """Give the query for who should be in: each once, and without those who were erased.

    One part without keys holds nobody twice, and to make millions distinct takes longer than anything else.
    """
    parts, keys, erased = database.one(
        "SELECT (SELECT count(*) FROM part), (SELECT max(key) FROM desired), (SELECT count(*) FROM tombstone)",
    )
    each_once = parts <= 1 and not keys
    if each_once and not erased:
        return "desired"
    return f"(SELECT {'' if each_once else 'DISTINCT'} digest FROM desired ANTI JOIN tombstone USING (digest))"


def find_new_erasures(database: Database, erased: Mapping[bytes, str]) -> int:
    """Keep in the temporary table `erasure` those who have no tombstone yet, and count them."""
    if not erased:
        return 0
    database.execute(
        "CREATE OR REPLACE TEMP TABLE erasure AS SELECT unhex(digest) AS digest, since"
        " FROM (SELECT unnest(?::VARCHAR[]) AS digest, unnest(?::VARCHAR[]) AS since)"
        " WHERE unhex(digest) NOT IN (SELECT digest FROM tombstone)",
        [[digest.hex() for digest in erased], list(erased.values())],
    )
    return database.count("erasure")


def erase(database: Database) -> None:
    """Take those of `erasure` out of every part, and set their tombstones, by which no stream brings them back."""
    database.execute(
        "UPDATE part SET rows = rows - found.people"
        " FROM (SELECT part, count(DISTINCT digest) AS people FROM desired SEMI JOIN erasure USING (digest)"
        " GROUP BY part) AS found WHERE part.id = found.part"
    )
    database.execute("DELETE FROM desired USING erasure WHERE desired.digest = erasure.digest")
    database.execute("INSERT INTO tombstone SELECT digest, since FROM erasure")


def _drop_stale(database: Database, stream: str, fields: set[str]) -> None:
    """Drop the parts that a stream had through columns that feed nothing any more."""
    for number, binding in bound(database).items():
        if binding.stream == stream and binding.field not in fields:
            database.execute("INSERT INTO removed SELECT part, digest FROM desired WHERE part = ?", [number])
            drop(database, number)


def drop(database: Database, number: int) -> int:
    """Drop a part, and give the number of its rows."""
    (rows,) = database.one("SELECT count(*) FROM desired WHERE part = ?", [number])
    database.execute("DELETE FROM desired WHERE part = ?", [number])
    database.execute("DELETE FROM part WHERE id = ?", [number])
    return int(rows)
