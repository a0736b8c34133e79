"""Who belongs in an audience: what was staged, and the plan that brings it about. Knows neither Singer nor HTTP."""

from target_tiktok_audiences.membership.books import Books, BooksDoNotBalance, total
from target_tiktok_audiences.membership.plan import Do, Limits, Plan, Standing, Status, make_plan
from target_tiktok_audiences.membership.staging import BYTES_PER_LINE, Part, PrivateFolder, Staging

__all__ = [
    "BYTES_PER_LINE",
    "Books",
    "BooksDoNotBalance",
    "Do",
    "Limits",
    "Part",
    "Plan",
    "PrivateFolder",
    "Staging",
    "Standing",
    "Status",
    "make_plan",
    "total",
]
