"""The DuckDB connection of a ledger, and its errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.runtime.files import spare_handles
from target_tiktok_audiences.runtime.os_errors import advice, error_number, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


_LOCKED = "Could not set lock"
_HANDLES = 8
_NEWER = ("version number", "storage version")


class LedgerError(Exception):
    """What the database says has gone wrong: a full disk, a file that is no ledger."""


class NoDamage(LedgerError):
    """An error for which the file is surely not to blame: a lack of memory, an interruption, a query."""


def describe(error: Exception) -> str:
    """Say in one line what went wrong and what to do, also where the machine or the database refused something."""
    if isinstance(error, OSError):
        return refusal(error)
    if not isinstance(error, LedgerError):
        return str(error)
    text = str(error).splitlines()[0].rstrip(".")
    todo = advice(error_number(text))
    if _LOCKED in text:
        todo = "Close the program that has it open"
    if any(words in text for words in _NEWER):
        todo = "Install a newer version of DuckDB"
    return f"{text}. {todo}, and run again."


def is_damage(error: LedgerError) -> bool:
    """Tell whether a ledger that cannot be opened is damaged: nothing else explains it."""
    text = str(error)
    return not (isinstance(error, NoDamage) or error_number(text) or any(words in text for words in (_LOCKED, *_NEWER)))


def load_database() -> None:
    """Load DuckDB, which takes longer than to load all of ours: so it is done where a ledger is opened.

    It ends the whole process if it lacks handles, or if an exception comes in between, such as a signal's. Raises
    `OSError`.
    """
    spare_handles(_HANDLES)
    import duckdb  # noqa: F401, PLC0415 - see above


class Database:
    """One database, open; without a path it is in memory. Every method raises `LedgerError` where DuckDB fails."""

    def __init__(self, path: Path | None) -> None:
        load_database()
        import duckdb  # noqa: PLC0415 - see `load_database`

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

    def one(self, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
        """Run a query, and return the one row of its answer."""
        row: tuple[Any, ...] = self.execute(query, list(parameters)).fetchone() or ()
        return row

    def count(self, relation: str) -> int:
        """Count the rows of a relation."""
        return int(self.one(f"SELECT count(*) FROM {relation}")[0])

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
    import duckdb  # noqa: PLC0415 - see `load_database`

    try:
        yield
    except duckdb.Error as error:
        no_damage = (duckdb.OutOfMemoryException, duckdb.InterruptException, duckdb.ParserException)
        kind = NoDamage if isinstance(error, no_damage) else LedgerError
        raise kind(str(error)) from error
