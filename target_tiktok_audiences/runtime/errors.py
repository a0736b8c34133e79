"""Base classes of expected, user-facing errors."""

from __future__ import annotations


class UserError(Exception):
    """An audience must not be changed now; the message says why, and what to do."""


class LedgerBusy(UserError):
    """Another run uses the audience's ledger."""


class LedgerUnusable(UserError):
    """A ledger, or the place of all ledgers, cannot be used now; it stays unchanged."""
