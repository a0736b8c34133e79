"""What the ledger's database raises: whose fault it is, and what to do."""

from __future__ import annotations

import duckdb

from target_tiktok_audiences.membership.machine import advice, error_number, refusal

_LOCKED = "Could not set lock"
_NO_DAMAGE = (duckdb.OutOfMemoryException, duckdb.InterruptException, duckdb.ParserException)
_NEWER = ("version number", "storage version")

LedgerError = duckdb.Error
"""What the database raises: a full disk, a file that is no ledger."""


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


def is_damage(error: duckdb.Error) -> bool:
    """Tell whether a ledger that cannot be opened is damaged: nothing else explains it."""
    text = str(error)
    return not (
        isinstance(error, _NO_DAMAGE) or error_number(text) or any(words in text for words in (_LOCKED, *_NEWER))
    )
