"""Serialize audiences for list/ and get/, which differ in the name of the type and in the time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.emulator.audiences import expiry, is_expiring, is_valid

if TYPE_CHECKING:
    from datetime import datetime

    from target_tiktok_audiences.emulator.accounts import Advertiser
    from target_tiktok_audiences.emulator.audiences import Audience
    from target_tiktok_audiences.emulator.emulator import Emulator


def list_item(emulator: Emulator, advertiser: Advertiser, audience: Audience) -> dict[str, object]:
    """Return an audience as list/ does: times in UTC (recorded: they equal the Date header)."""
    return {
        **_common(emulator, advertiser, audience),
        "audience_type": audience.audience_type.value,
        "create_time": _format(audience.create_time),
        "expired_time": _format(expiry(audience)),
    }


def get_item(emulator: Emulator, advertiser: Advertiser, audience: Audience, history_size: int) -> dict[str, object]:
    """Return an audience as get/ does: times in the advertiser's time zone (inferred from one recording)."""
    zone = advertiser.zone()
    details = {
        **_common(emulator, advertiser, audience),
        "type": audience.audience_type.value,
        "is_auto_refresh": False,
        "audience_sub_type": audience.sub_type,
        # Not documented by TikTok; only the status OFF was observed.
        "audience_enhancement": audience.enhancement,
        "enhancement_status": "ON" if audience.enhancement else "OFF",
        "lookalike_spec": None,
        "owner_id": audience.owner_id,
        "msg": None,
        "error_msg": audience.error_msg,
        "rule": None,
        "create_time": _format(audience.create_time.astimezone(zone)),
        "expired_time": _format(expiry(audience).astimezone(zone)),
    }
    history = [
        {
            "action": entry.action,
            "action_detail": "",
            "editor": "open_api",
            "msg": entry.msg,
            "opt_time": _format(entry.time.astimezone(zone)),
        }
        for entry in audience.history[:history_size]
    ]
    return {"audience_details": details, "audience_history": history}


def _common(emulator: Emulator, advertiser: Advertiser, audience: Audience) -> dict[str, object]:
    now = emulator.now()
    valid = is_valid(audience, now, emulator)
    return {
        "audience_id": audience.audience_id,
        "name": audience.name,
        "calculate_type": audience.calculate_type and audience.calculate_type.value,
        # 0 while processing and after expiry.
        "cover_num": audience.matched if valid else 0,
        "is_valid": valid,
        "is_expiring": is_expiring(audience, now),
        "is_creator": audience.owner_id == advertiser.advertiser_id,
        # For the owner: shared by you; for others: shared with you.
        "shared": bool(audience.shared_with),
    }


def _format(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"
