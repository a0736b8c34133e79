"""Values that are SHA-256 digests already, written as 64 hex digits."""

from __future__ import annotations

import hashlib
import re
from binascii import unhexlify
from typing import TYPE_CHECKING

from target_tiktok_audiences.contracts import bulk
from target_tiktok_audiences.contracts.device_id import ALL_ZERO
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence


_SHA256 = re.compile("[0-9a-fA-F]{64}")
_LENGTH = 64
_BARE_SHA256S = bulk.plain_values_pattern(_SHA256.pattern)

_GAPS = ("", " ", "-", "0", "[]", "{}", "false", "n/a", "na", "nan", "nil", "none", "null", "undefined", ALL_ZERO)
_HASHES_OF_NOTHING = {
    bytes(32),
    *(
        hashlib.sha256(spelling.encode()).digest()
        for gap in _GAPS
        for spelling in (gap, gap.upper(), gap.title(), "NaN")
    ),
}


def looks_hashed(value: str) -> bool:
    """Tell whether a value is 64 hex digits, in either case, but for white space around them."""
    return len(value) >= _LENGTH and _SHA256.fullmatch(value.strip()) is not None


def parse(value: str) -> bytes:
    """Read a digest that the source hashed itself; TikTok takes either case, so both mean the same bytes."""
    if not looks_hashed(value):
        raise Rejected(Rejection.NOT_SHA256)
    digest = bytes.fromhex(value.strip())
    if digest in _HASHES_OF_NOTHING:
        raise Rejected(Rejection.HASH_OF_NOTHING)
    return digest


def find_bare(values: Sequence[object]) -> list[bytes]:
    """Give what `parse` would of digests without white space, b"" for each other value, as `block` has it."""
    found = _BARE_SHA256S.findall(bulk.encode(bulk.join(values)))
    return [b"" if (digest := unhexlify(digits)) in _HASHES_OF_NOTHING else digest for digits in found]
