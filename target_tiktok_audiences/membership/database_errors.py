"""What the ledger's database raises: whose fault it is, and what to do."""

from __future__ import annotations

from target_tiktok_audiences.membership.machine import advice, error_number, refusal

_LOCKED = "Could not set lock"
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
