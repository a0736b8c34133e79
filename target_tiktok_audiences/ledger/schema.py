"""The tables of a ledger, their migrations, and the state stored with them."""

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
"""How an audience was identified: id set by the user, created by the target, or found by its name."""

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
"""One script for each schema version; opening a ledger migrates it to the newest.

No script may alter a column with an expression: DuckDB writes the expression to its write-ahead log, and cannot call
functions when it replays the log.
"""

TABLES = tuple(dict.fromkeys(re.findall(r"CREATE TABLE (\w+)", " ".join(_MIGRATIONS))))


class LedgerTooNew(UserError):
    """The ledger was written by a newer version of this program."""


class LedgerDamaged(UserError):
    """The file is not a valid ledger."""


class LedgerState(msgspec.Struct):
    """The state of a ledger besides its digests."""

    ledger_id: str
    commit: int = 0
    """Number of transactions; STATE contains the number at the time it was written."""
    audience_id: str | None = None
    origin: Origin | None = None
    delivered_known: bool = False
    """Whether *delivered* includes all members that the target added; false for an audience without its old ledger."""
    replace_owed: bool = False
    """Whether a replacement was lost or failed, so that any earlier member may remain."""
    desired: int = 0
    last_action: str | None = None
    changed_at: datetime | None = None
    """When the last change was sent."""
    creating_since: datetime | None = None
    """When a creation was sent whose response is unknown."""
    held_since: datetime | None = None
    error: str | None = None
    """The last error that TikTok reported for the audience."""
    failures: int = 0
    """Changes in a row that TikTok failed after accepting them."""


def migrate(database: Database) -> LedgerState:
    """Migrate the tables to the newest version, and return the state. Raises `LedgerTooNew` and `LedgerDamaged`."""
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
    rows = database.execute("SELECT value FROM facts").fetchall()
    try:
        ((value,),) = rows
        return msgspec.json.decode(value, type=LedgerState)
    except (TypeError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise LedgerDamaged(f"Its state cannot be read ({type(error).__name__})") from None


def encode(state: LedgerState) -> str:
    """Return the state as JSON, as it is stored."""
    return msgspec.json.encode(state).decode()
