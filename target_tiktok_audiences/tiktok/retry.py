"""Decide which calls are retried, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.tiktok.errors import RateLimited, SignatureMismatch, Unreachable

if TYPE_CHECKING:
    from target_tiktok_audiences.tiktok.errors import TikTokError

CALL_RETRY_BUDGET_S = 900.0
"""Maximum time of one call in seconds, from its first attempt to its last."""
RUN_RETRY_BUDGET_S = 3600.0
"""Maximum total of all pauses of a run, in seconds."""
_UNREACHABLE_RETRY_BUDGET_S = 120.0  # a wrong `api_url` does not fix itself
_LONGEST_PAUSE_S = 300.0  # TikTok's advice for its own errors, and for limits per minute


def may_retry(error: TikTokError, attempt: int, *, idempotent: bool) -> bool:
    """Return whether a call whose attempt (from 1) failed can be retried within this run.

    Reading and uploading a file are `idempotent`. TikTok has no idempotency keys, so a create or an update is
    retried only if the error is safe to retry: TikTok did not process the call.
    """
    if isinstance(error, SignatureMismatch) and attempt > 1:
        return False
    return error.transient and (idempotent or error.safe_to_retry)


def retry_budget_s(error: TikTokError) -> float:
    """Return how many seconds a call that fails with this error is retried."""
    return _UNREACHABLE_RETRY_BUDGET_S if isinstance(error, Unreachable) else CALL_RETRY_BUDGET_S


def pause_s(error: TikTokError, attempt: int, jitter: float) -> float:
    """Return the seconds to wait after an attempt (from 1); `jitter` is a random number in 0..1.

    TikTok sends no Retry-After. A limit per second ends in the next second; for a limit per minute TikTok asks for a
    pause of five minutes. If the message does not name the period, the third refusal in a row is treated as a limit
    per minute. All other errors have exponentially growing pauses.
    """
    if isinstance(error, RateLimited):
        text = error.message.upper()
        if "QPM" in text or ("QPS" not in text and attempt > 2):  # noqa: PLR2004
            return _LONGEST_PAUSE_S + 10 * jitter
        return min(2.0 ** (attempt - 1), 60) + jitter
    return min(2.0**attempt, _LONGEST_PAUSE_S) * (0.5 + jitter / 2)
