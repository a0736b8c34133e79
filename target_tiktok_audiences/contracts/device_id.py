"""Normalize advertising IDs of phones: Google's GAID and Apple's IDFA, which have the same syntax."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from target_tiktok_audiences.contracts import bulk
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ALL_ZERO = "00000000-0000-0000-0000-000000000000"
_BARE_UUIDS = bulk.plain_values_pattern(f"(?!{ALL_ZERO}){_UUID.pattern}")


def normalize(value: str, _country: str | None = None) -> str:
    """Trim and lower-case a UUID. Dashes are kept, as in the example that TikTok hashes in its help pages."""
    device_id = value.strip().lower()
    if not _UUID.fullmatch(device_id):
        raise Rejected(Rejection.DEVICE_ID_SYNTAX)
    if device_id == ALL_ZERO:
        raise Rejected(Rejection.DEVICE_ID_ALL_ZERO)
    return device_id


def find_bare(values: Sequence[object]) -> list[bytes]:
    """Return the normal form of each device ID without whitespace, and b"" for each other value; see `bulk`."""
    return _BARE_UUIDS.findall(bulk.encode(bulk.join(values)).lower())
