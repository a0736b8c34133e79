"""Which calls are worth making again, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.tiktok.errors import RateLimited, SignatureMismatch, Unreachable

if TYPE_CHECKING:
    from target_tiktok_audiences.tiktok.errors import TikTokError


CALL_PATIENCE_S = 900.0
"""The most that one call may take, from its first attempt to its last."""
RUN_PATIENCE_S = 3600.0
"""The most that all calls of a run may spend in pauses."""
_UNREACHABLE_PATIENCE_S = 120.0  # a wrong `api_url` does not mend itself
_LONGEST_PAUSE_S = 300.0  # TikTok's advice for its own faults, and for limits by the minute


def may_retry(error: TikTokError, attempt: int, *, harmless: bool) -> bool:
    """Tell whether a call whose attempt (from 1) failed may be made again within this run.

    `harmless` says that doing it twice is no harm: reading, and uploading a file. TikTok knows no idempotency
    key, so a create or an update is repeated only where it surely did nothing.
    """
    if isinstance(error, SignatureMismatch) and attempt > 1:
        return False
    return error.transient and (harmless or error.certain)


def patience_s(error: TikTokError) -> float:
    """Give the seconds for which a call that fails so is made again."""
    return _UNREACHABLE_PATIENCE_S if isinstance(error, Unreachable) else CALL_PATIENCE_S


def pause_s(error: TikTokError, attempt: int, jitter: float) -> float:
    """Give the seconds to wait after the given attempt (from 1); `jitter` is a random number in 0..1.

    TikTok sends no Retry-After. A limit by the second is over in the next second, one by the minute wants five
    minutes. Where the text does not tell which it is, the third refusal says that it is not by the second. Anything
    else is met with growing pauses.
    """
    if isinstance(error, RateLimited):
        text = error.message.upper()
        if "QPM" in text or ("QPS" not in text and attempt > 2):  # noqa: PLR2004
            return _LONGEST_PAUSE_S + 10 * jitter
        return min(2.0 ** (attempt - 1), 60) + jitter
    return min(2.0**attempt, _LONGEST_PAUSE_S) * (0.5 + jitter / 2)
