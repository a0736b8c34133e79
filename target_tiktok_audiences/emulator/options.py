"""What can be chosen about an emulator, and what is chosen where nothing is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


DEFAULT_ADVERTISER_ID = "7000000000000000001"


@dataclass(kw_only=True, eq=False)
class Options:
    """The emulator's options, each named like the flag of the command line."""

    token: str = field(default="emulator-token", repr=False)
    """Access token with every permission on every advertiser."""
    advertiser_ids: Sequence[str] = (DEFAULT_ADVERTISER_ID,)
    app_id: str = "emulator-app"
    app_secret: str = field(default="emulator-secret", repr=False)
    processing_hours: float = 24
    """How long a change is processed, and its audience locked; TikTok says 24 to 48 hours."""
    match_rate: float = 1.0
    """People found on TikTok for each identifier; above 1 is possible, for one identifier may match several."""
    floor: Literal["async", "sync"] = "async"
    """Whether a change that would leave fewer than 1,000 fails when processed, or is refused at once."""
    floor_counts: Literal["matched", "rows"] = "matched"
    """What has to be 1,000: people matched, or identifiers."""
    editable_while_processing: bool = False
    """Whether a valid audience stays valid, and takes further changes, while a change is processed."""
    list_lag_seconds: float = 0
    """How long a new audience is missing from list/."""
    file_hours: float = 24
    """How long an uploaded file can be used."""
    single_use_files: bool = False
    """Whether a file can be used in one create or update only."""
    qps: int = 10
    """Requests a second before 40100; TikTok's Basic tier has 10, and 0 lifts the limit."""
