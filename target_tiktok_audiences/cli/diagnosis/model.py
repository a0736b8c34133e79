"""The evidence that checks use, and the findings that they return."""

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
    """Result of one check, and what to do."""

    check: str
    outcome: Outcome
    seen: str
    todo: str = ""
    about: str = ""
    """The advertiser or audience; empty for a global check."""


@dataclass(frozen=True)
class Access:
    """TikTok's responses for one advertiser; an error of None means success."""

    advertiser_id: str
    info: Advertiser | None = None
    info_error: TikTokError | None = None
    read_error: TikTokError | None = None
    change_error: TikTokError | None = None


@dataclass(frozen=True)
class Evidence:
    """Evidence for all checks."""

    api_host: str
    now: datetime
    """TikTok's clock if TikTok responded, otherwise the local clock."""
    stale_after: timedelta
    user_error: TikTokError | None = None
    """Error of the first call; None if it succeeded."""
    ahead: timedelta | None = None
    """By how much this machine's clock is ahead of TikTok's."""
    granted: Collection[str] | None = None
    """The advertisers that the token can access; None if unknown."""
    granted_error: TikTokError | None = None
    ledger_path: str | None = None
    ledger_error: str = ""
    accesses: Sequence[Access] = ()
    entries: Sequence[Entry] = ()
    """The managed audiences."""
    filled: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Advertisers that have a ledger, configured or not, by audience name."""
