"""The tables of a ledger, their versions, and the facts beside the rows."""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from target_tiktok_audiences.runtime.errors import UserError

if TYPE_CHECKING:
    from target_tiktok_audiences.ledger.database import Database


Origin = Literal["set", "created", "found"]
"""How an audience was come by: set by the user, created by us, or found by its name."""

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
    "CREATE TABLE upload (md5 VARCHAR, path VARCHAR, uploaded_at VARCHAR);",
    """
    CREATE TEMP TABLE old AS FROM desired;
    DROP TABLE desired;
    CREATE TABLE desired (part INTEGER, key BLOB, digest BLOB);
    INSERT INTO desired SELECT part, unhex(key), digest FROM old;
    DROP TABLE old;
    """,
)
"""One script for each version of the schema; opening a ledger brings it up to the newest.

None may alter a column by an expression: DuckDB writes that to its log, and cannot call functions when it reads it.
"""

TABLES = tuple(dict.fromkeys(re.findall(r"CREATE TABLE (\w+)", " ".join(_MIGRATIONS))))


class LedgerTooNew(UserError):
    """The ledger was written by a newer version of this program."""


class LedgerDamaged(UserError):
    """A file that is no ledger any more."""


class LedgerState(msgspec.Struct):
    """What a ledger knows beside its rows."""

    ledger_id: str
    commit: int = 0
    """Goes up with each transaction; STATE names the one that it saw."""
    audience_id: str | None = None
    origin: Origin | None = None
    delivered_known: bool = False
    """Whether *delivered* is all that the audience holds of ours; not so of an audience met without its ledger."""
    replace_owed: bool = False
    """Whether a replacement was lost or failed, so that anybody may still be in."""
    desired: int = 0
    last_action: str | None = None
    changed_at: datetime | None = None
    """When the last change was sent."""
    creating_since: datetime | None = None
    """When a creation was sent whose answer is not known."""
    held_since: datetime | None = None
    error: str | None = None
    """What TikTok last said had gone wrong."""
    failures: int = 0
    """Changes in a row that TikTok failed after accepting them."""


def migrate(database: Database) -> LedgerState:
    """Bring the tables up to the newest version, and give the facts. Raises `LedgerTooNew` and `LedgerDamaged`."""
    database.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER)")
    version = database.one("SELECT coalesce(max(version), 0) FROM schema_version")[0]
    if version > len(_MIGRATIONS):
        raise LedgerTooNew(
            f"it has version {version}, and this program knows {len(_MIGRATIONS)}. Install a newer version of it."
        )
    for number, script in list(enumerate(_MIGRATIONS, 1))[version:]:
        database.begin()
        database.execute(script)
        database.execute("INSERT INTO schema_version VALUES (?)", [number])
        if number == 1:
            database.execute("INSERT INTO facts VALUES (?)", [encode(LedgerState(uuid.uuid4().hex))])
        database.commit()
    facts = database.execute("SELECT value FROM facts").fetchall()
    try:
        ((value,),) = facts
        return msgspec.json.decode(value, type=LedgerState)
    except (TypeError, ValueError) as error:  # msgspec's are ValueErrors
        raise LedgerDamaged(f"Its facts cannot be read ({type(error).__name__})") from None


def encode(facts: LedgerState) -> str:
    """Write the facts as they are stored."""
    return msgspec.json.encode(facts).decode()
