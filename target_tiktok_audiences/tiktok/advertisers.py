"""Ad accounts: status and country in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_tiktok_audiences.tiktok.models import Advertiser


def country_of(advertiser: Advertiser) -> str:
    """Give the code of an ad account's country."""
    return advertiser.country or "country unknown"


def can_deliver(advertiser: Advertiser) -> bool:
    """Tell whether its ads can run, as far as is known."""
    return advertiser.status in {None, "STATUS_ENABLE"}


def status_in_words(advertiser: Advertiser) -> str:
    """Say an ad account's status as a person would."""
    if advertiser.status is None:
        return "status unknown"
    if can_deliver(advertiser):
        return "active"
    known = _STATUSES.get(advertiser.status)
    return f"not active: {known or advertiser.status.removeprefix('STATUS_').replace('_', ' ').lower()}"


_STATUSES = {
    "STATUS_DISABLE": "disabled",
    "STATUS_LIMIT": "restricted",
    "STATUS_PENDING_CONFIRM": "under review",
    "STATUS_PENDING_VERIFIED": "waits for verification",
    "STATUS_CONFIRM_FAIL": "failed its review",
    "STATUS_CONFIRM_FAIL_END": "failed its review",
    "STATUS_PENDING_CONFIRM_MODIFY": "a change is under review",
    "STATUS_CONFIRM_MODIFY_FAIL": "a change failed its review",
    "STATUS_WAIT_FOR_BPM_AUDIT": "waits for TikTok's review",
    "STATUS_WAIT_FOR_PUBLIC_AUTH": "waits for the company's verification",
    "STATUS_SELF_SERVICE_UNAUDITED": "waits for the verification of its documents",
    "STATUS_CONTRACT_PENDING": "its contract is not in force yet",
}


def _place(advertiser: Advertiser) -> tuple[bool, str, str]:
    return not can_deliver(advertiser), (advertiser.name or "").casefold(), advertiser.advertiser_id
