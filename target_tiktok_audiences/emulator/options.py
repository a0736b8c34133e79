"""Options of an emulator, with their defaults. The command line derives its flags from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_ADVERTISER_ID = "7000000000000000001"


def _option(default: Any, text: str, *, choices: Sequence[str] = (), secret: bool = False) -> Any:
    """Return a field whose metadata holds the help text of its flag, and the values that the flag accepts."""
    return field(default=default, repr=not secret, metadata={"help": text, "choices": choices})


@dataclass(kw_only=True, eq=False)
class Options:
    """Options of the emulator, named like the flags of the command."""

    token: str = _option("emulator-token", "Access token with every permission on every advertiser.", secret=True)
    advertiser_ids: Sequence[str] = _option((DEFAULT_ADVERTISER_ID,), "ID of an initial advertiser; may be repeated.")
    app_id: str = _option("emulator-app", "ID of the app that can request tokens.")
    app_secret: str = _option("emulator-secret", "Secret of that app.", secret=True)
    processing_hours: float = _option(24.0, "How long TikTok processes a change and locks its audience.")
    """TikTok documents 24 to 48 hours."""
    match_rate: float = _option(1.0, "TikTok users matched per identifier.")
    """May exceed 1, because one identifier can match several users."""
    floor: Literal["async", "sync"] = _option(
        "async",
        "Whether a change that leaves fewer than 1,000 fails during processing (async) or is rejected at once (sync).",
        choices=("async", "sync"),
    )
    floor_counts: Literal["matched", "rows"] = _option(
        "matched",
        "What the minimum of 1,000 counts: matched users, or identifiers (rows).",
        choices=("matched", "rows"),
    )
    editable_while_processing: bool = _option(
        default=False, text="Keep a valid audience valid and editable while a change is processed."
    )
    list_lag_seconds: float = _option(0.0, "How long a new audience is missing from the list.")
    file_hours: float = _option(24.0, "How long an uploaded file can be used.")
    single_use_files: bool = _option(default=False, text="Allow each file to be used in only one create or update.")
    qps: int = _option(10, "Requests per second before error 40100; 0 disables the limit.")
    """TikTok's Basic tier allows 10."""
