"""Which calls are worth making again, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.tiktok.errors import RateLimited

if TYPE_CHECKING:
    from target_tiktok_audiences.tiktok.errors import TikTokError

ATTEMPTS = 6
PATIENCE_S = 900.0
"""The most that one call may spend in pauses."""


def may_retry(error: TikTokError, *, harmless: bool) -> bool:
    """Tell whether a failed call may be made again within this run.

    `harmless` says that doing it twice is no harm: reading, and uploading a file. TikTok knows no idempotency
    key, so a create or an update is repeated only where it surely did nothing.
    """
    return error.transient and (harmless or error.certain)


def pause_s(error: TikTokError, attempt: int, jitter: float) -> float:
    """Give the seconds to wait after the given attempt (from 1); `jitter` is a random number in 0..1.

    TikTok sends no Retry-After. A limit by the second is over in the next second; one by the minute wants five
    minutes; anything else is met with growing pauses.
    """
    if isinstance(error, RateLimited) and "QPM" in error.message:
        return 300.0 + 10 * jitter
    if isinstance(error, RateLimited) and attempt == 1:
        return 1.0 + jitter
    return float(min(2**attempt, 60)) * (0.5 + jitter / 2)
