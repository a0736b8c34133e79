"""Options of the emulator and their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


DEFAULT_ADVERTISER_ID = "7000000000000000001"


@dataclass(kw_only=True, eq=False)
class Options:
    """Options of the emulator, named like the flags of the command."""

    token: str = field(default="emulator-token", repr=False)
    """Access token with all scopes for all advertisers."""
    advertiser_ids: Sequence[str] = (DEFAULT_ADVERTISER_ID,)
    app_id: str = "emulator-app"
    app_secret: str = field(default="emulator-secret", repr=False)
    processing_hours: float = 24
    """How long a change is processed and its audience locked; TikTok documents 24 to 48 hours."""
    match_rate: float = 1.0
    """Matched users per identifier. It can exceed 1, because one identifier can match several users."""
    floor: Literal["async", "sync"] = "async"
    """Whether a change that would leave fewer than 1,000 members fails when it is processed, or is refused at once."""
    floor_counts: Literal["matched", "rows"] = "matched"
    """What has to be at least 1,000: matched users or identifiers."""
    editable_while_processing: bool = False
    """Whether a valid audience stays valid and accepts further changes while a change is processed."""
    list_lag_seconds: float = 0
    """How long list/ omits a new audience."""
    file_hours: float = 24
    """How long an uploaded file can be used."""
    single_use_files: bool = False
    """Whether a file can be used in one create or update only."""
    qps: int = 10
    """Requests per second before code 40100. TikTok's Basic tier allows 10; 0 disables the limit."""
