"""Small questions to a ledger's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tiktok_audiences.membership.database import Database


def one(database: Database, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
    """Give the one row of a query's answer."""
    row: tuple[Any, ...] = database.execute(query, list(parameters)).fetchone() or ()
    return row


def count(database: Database, relation: str) -> int:
    """Count the rows of a relation."""
    return int(one(database, f"SELECT count(*) FROM {relation}")[0])
