"""Who belongs in an audience: the ledger, and the plan that brings TikTok in step with it. Knows no Singer, no HTTP."""

from target_tiktok_audiences.membership.books import Books, BooksDoNotBalance, total
from target_tiktok_audiences.membership.card import Card
from target_tiktok_audiences.membership.database_errors import LedgerError, describe
from target_tiktok_audiences.membership.delivered import Counts
from target_tiktok_audiences.membership.folder import LedgerFolder, LedgerThere
from target_tiktok_audiences.membership.guard import check_binding, check_blast_radius, check_bookmark
from target_tiktok_audiences.membership.ledger import Ledger, load_database
from target_tiktok_audiences.membership.look import Look, look_at_ledgers, opened_copy, place_problem
from target_tiktok_audiences.membership.machine import write_whole
from target_tiktok_audiences.membership.opened import OpenLedger
from target_tiktok_audiences.membership.plan import (
    NEEDS_DELETION,
    Do,
    Limits,
    Past,
    Plan,
    Standing,
    Status,
    hold_for_processing,
    make_plan,
    plan_removals,
    wrong_mapping,
)
from target_tiktok_audiences.membership.problem import LedgerBusy, LedgerUnusable, Problem
from target_tiktok_audiences.membership.staging import BYTES_PER_LINE, Binding, Part, PrivateFolder
from target_tiktok_audiences.membership.store import shown

__all__ = [
    "BYTES_PER_LINE",
    "NEEDS_DELETION",
    "Binding",
    "Books",
    "BooksDoNotBalance",
    "Card",
    "Counts",
    "Do",
    "Ledger",
    "LedgerBusy",
    "LedgerError",
    "LedgerFolder",
    "LedgerThere",
    "LedgerUnusable",
    "Limits",
    "Look",
    "OpenLedger",
    "Part",
    "Past",
    "Plan",
    "PrivateFolder",
    "Problem",
    "Standing",
    "Status",
    "check_binding",
    "check_blast_radius",
    "check_bookmark",
    "describe",
    "hold_for_processing",
    "load_database",
    "look_at_ledgers",
    "make_plan",
    "opened_copy",
    "place_problem",
    "plan_removals",
    "shown",
    "total",
    "write_whole",
    "wrong_mapping",
]
