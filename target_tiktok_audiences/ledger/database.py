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
_DESCRIPTORS = 8
_NEWER = ("version number", "storage version")


class LedgerError(Exception):
    """An error of the database, such as a full disk or a file that is not a ledger."""


class NoDamage(LedgerError):
    """An error that the file cannot have caused: out of memory, an interruption, an invalid query."""


def describe(error: Exception) -> str:
    """Return one line that says what went wrong and what to do, for an error of the system, the database or ours."""
    if isinstance(error, OSError):
        return refusal(error)
    if not isinstance(error, LedgerError):
        return str(error)
    text = str(error).splitlines()[0].rstrip(".")
    action = advice(error_number(text))
    if _LOCKED in text:
        action = "Close the program that has it open"
    if any(words in text for words in _NEWER):
        action = "Install a newer version of DuckDB"
    return f"{text}. {action}, and run again."


def is_damage(error: LedgerError) -> bool:
    """Return whether a ledger that cannot be opened is damaged, which is so if nothing else explains the error."""
    text = str(error)
    return not (isinstance(error, NoDamage) or error_number(text) or any(words in text for words in (_LOCKED, *_NEWER)))


def load_database() -> None:
    """Import DuckDB when the first ledger is opened, because the import takes longer than all of this package.

    The import ends the process if it lacks file descriptors, or if an exception interrupts it, such as a signal's.
    Raises `OSError`.
    """
    spare_handles(_DESCRIPTORS)
    import duckdb  # noqa: F401, PLC0415 - see above


class Database:
    """An open database; without a path it is in memory. Every method raises `LedgerError` if DuckDB fails."""

    def __init__(self, path: Path | None) -> None:
        load_database()
        import duckdb  # noqa: PLC0415 - see `load_database`

        with _as_ledger_errors():
            self._connection = duckdb.connect(str(path) if path else ":memory:")

    def execute(self, query: str, parameters: Sequence[object] | None = None) -> Database:
        """Run a query; its result can be fetched until the next query."""
        with _as_ledger_errors():
            self._connection.execute(query, parameters)
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row of the result, or None."""
        with _as_ledger_errors():
            row: tuple[Any, ...] | None = self._connection.fetchone()
            return row

    def fetchall(self) -> list[Any]:
        """Return the remaining rows of the result."""
        with _as_ledger_errors():
            return self._connection.fetchall()

    def one(self, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
        """Run a query, and return the only row of its result."""
        row: tuple[Any, ...] = self.execute(query, list(parameters)).fetchone() or ()
        return row

    def count(self, relation: str) -> int:
        """Count the rows of a relation."""
        return int(self.one(f"SELECT count(*) FROM {relation}")[0])

    def begin(self) -> None:
        """Start a transaction."""
        with _as_ledger_errors():
            self._connection.begin()

    def commit(self) -> None:
        """Commit the transaction."""
        with _as_ledger_errors():
            self._connection.commit()

    def rollback(self) -> None:
        """Roll back the transaction."""
        with _as_ledger_errors():
            self._connection.rollback()

    def close(self) -> None:
        """Close the database file."""
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
