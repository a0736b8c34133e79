"""What the ledgers remember of runs: read, put into words, and drawn. Nothing here changes a ledger or asks TikTok."""

from target_tiktok_audiences.history.books import Step, headline, why_smaller
from target_tiktok_audiences.history.runs import History, RunOf, read_histories

__all__ = ["History", "RunOf", "Step", "headline", "read_histories", "why_smaller"]
