"""What is gathered, and what a check finds in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from target_tiktok_audiences.sync.overview import Entry
    from target_tiktok_audiences.tiktok.errors import TikTokError
    from target_tiktok_audiences.tiktok.models import Advertiser


class Outcome(StrEnum):
    """How a check ends."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One check: what was seen, and what to do."""

    check: str
    outcome: Outcome
    seen: str
    todo: str = ""
    about: str = ""
    """The advertiser or audience; empty where it is about all."""


@dataclass(frozen=True)
class Access:
    """What TikTok answers about one advertiser; an error of None is success."""

    advertiser_id: str
    info: Advertiser | None = None
    info_error: TikTokError | None = None
    read_error: TikTokError | None = None
    change_error: TikTokError | None = None


@dataclass(frozen=True)
class Evidence:
    """All that was gathered."""

    api_host: str
    now: datetime
    """By TikTok's clock, if it answered."""
    stale_after: timedelta
    user_error: TikTokError | None = None
    """What became of the first call, with which everything else stands or falls."""
    ahead: timedelta | None = None
    """By how much this machine's clock is ahead of TikTok's."""
    granted: Collection[str] | None = None
    """The advertisers that the token may act for; None where that could not be asked."""
    granted_error: TikTokError | None = None
    ledger_path: str | None = None
    ledger_error: str = ""
    accesses: Sequence[Access] = ()
    entries: Sequence[Entry] = ()
    """The audiences that are ours."""
    filled: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By name of an audience: the advertisers for whom there is a ledger of it, configured or not."""
