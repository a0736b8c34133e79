"""Advertising ids of phones: Google's GAID and Apple's IDFA, one syntax for both."""

from __future__ import annotations

import re

from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ALL_ZERO = "00000000-0000-0000-0000-000000000000"


def normalise(value: str) -> str:
    """Trim and lower-case a UUID; its dashes stay, as in the sample that TikTok hashes in its help pages."""
    device_id = value.strip().lower()
    if not _UUID.fullmatch(device_id):
        raise Rejected(Rejection.DEVICE_ID_SYNTAX)
    if device_id == ALL_ZERO:
        raise Rejected(Rejection.DEVICE_ID_ALL_ZERO)
    return device_id
