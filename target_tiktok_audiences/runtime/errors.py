"""What stops an audience's run for a reason that a user can read."""

from __future__ import annotations


class Problem(Exception):
    """An audience that must not be changed now; the text says why, and what to do."""


class LedgerBusy(Problem):
    """Another run has the audience's ledger."""


class LedgerUnusable(Problem):
    """A ledger, or the place of all, that cannot be used now, and stays as it is."""
