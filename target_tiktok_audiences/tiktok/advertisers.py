"""Format the status and country of ad accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_tiktok_audiences.tiktok.models import Advertiser


def country_of(advertiser: Advertiser) -> str:
    """Return the country code of an ad account."""
    return advertiser.country or "country unknown"


def can_deliver(advertiser: Advertiser) -> bool:
    """Return whether the ad account's ads can run; True if TikTok does not report a status."""
    return advertiser.status in {None, "STATUS_ENABLE"}


def status_in_words(advertiser: Advertiser) -> str:
    """Return an ad account's status in plain words."""
    if advertiser.status is None:
        return "status unknown"
    if can_deliver(advertiser):
        return "active"
    status = _STATUSES.get(advertiser.status)
    return f"not active: {status or advertiser.status.removeprefix('STATUS_').replace('_', ' ').lower()}"


_STATUSES = {
    "STATUS_DISABLE": "disabled",
    "STATUS_LIMIT": "restricted",
    "STATUS_PENDING_CONFIRM": "under review",
    "STATUS_PENDING_VERIFIED": "waiting for verification",
    "STATUS_CONFIRM_FAIL": "failed its review",
    "STATUS_CONFIRM_FAIL_END": "failed its review",
    "STATUS_PENDING_CONFIRM_MODIFY": "a change is under review",
    "STATUS_CONFIRM_MODIFY_FAIL": "a change failed its review",
    "STATUS_WAIT_FOR_BPM_AUDIT": "waiting for TikTok's review",
    "STATUS_WAIT_FOR_PUBLIC_AUTH": "waiting for verification of the company",
    "STATUS_SELF_SERVICE_UNAUDITED": "waiting for verification of its documents",
    "STATUS_CONTRACT_PENDING": "its contract is not in effect yet",
}


def sort_key(advertiser: Advertiser) -> tuple[bool, str, str]:
    """Return a sort key: ad accounts that can deliver first, then by name and id."""
    return not can_deliver(advertiser), (advertiser.name or "").casefold(), advertiser.advertiser_id
