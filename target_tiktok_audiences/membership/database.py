"""The edge to DuckDB: beyond it, its errors are the ledger's. Only `load_database` imports this."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from target_tiktok_audiences.membership.database_errors import LedgerError, NoDamage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NO_DAMAGE = (duckdb.OutOfMemoryException, duckdb.InterruptException, duckdb.ParserException)


class Database:
    """One database, open; without a path it is in memory. Every method raises `LedgerError` where DuckDB fails."""

    def __init__(self, path: Path | None) -> None:
        with _as_ledger_errors():
            self._connection = duckdb.connect(str(path) if path else ":memory:")

    def execute(self, query: str, parameters: Sequence[object] | None = None) -> Database:
        """Run a query; its answer is there to be fetched until the next one."""
        with _as_ledger_errors():
            self._connection.execute(query, parameters)
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        """Give the next row of the answer."""
        with _as_ledger_errors():
            row: tuple[Any, ...] | None = self._connection.fetchone()
            return row

    def fetchall(self) -> list[Any]:
        """Give what is left of the answer."""
        with _as_ledger_errors():
            return self._connection.fetchall()

    def begin(self) -> None:
        """Begin a transaction."""
        with _as_ledger_errors():
            self._connection.begin()

    def commit(self) -> None:
        """End a transaction, and keep what it did."""
        with _as_ledger_errors():
            self._connection.commit()

    def rollback(self) -> None:
        """End a transaction, and undo what it did."""
        with _as_ledger_errors():
            self._connection.rollback()

    def close(self) -> None:
        """Let go of the file."""
        with _as_ledger_errors():
            self._connection.close()


@contextmanager
def _as_ledger_errors() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        kind = NoDamage if isinstance(error, _NO_DAMAGE) else LedgerError
        raise kind(str(error)) from error
