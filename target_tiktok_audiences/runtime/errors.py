"""What stops an audience's run for a reason that a user can read."""

from __future__ import annotations


class UserError(Exception):
    """An audience that must not be changed now; the text says why, and what to do."""


class LedgerBusy(UserError):
    """Another run has the audience's ledger."""


class LedgerUnusable(UserError):
    """A ledger, or the place of all, that cannot be used now, and stays as it is."""
