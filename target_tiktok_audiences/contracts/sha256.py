"""Parse identifiers that are already SHA-256 digests, as 64 hex digits."""

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

_NULLS = ("", " ", "-", "0", "[]", "{}", "false", "n/a", "na", "nan", "nil", "none", "null", "undefined", ALL_ZERO)
_HASHES_OF_NOTHING = {
    bytes(32),
    *(
        hashlib.sha256(spelling.encode()).digest()
        for null in _NULLS
        for spelling in (null, null.upper(), null.title(), "NaN")
    ),
}


def looks_hashed(value: str) -> bool:
    """Return whether a value is 64 hex digits, in upper or lower case, ignoring surrounding whitespace."""
    return len(value) >= _LENGTH and _SHA256.fullmatch(value.strip()) is not None


def parse(value: str) -> bytes:
    """Return the bytes of a digest from the source. TikTok accepts both cases, so both stand for the same bytes."""
    if not looks_hashed(value):
        raise Rejected(Rejection.NOT_SHA256)
    digest = bytes.fromhex(value.strip())
    if digest in _HASHES_OF_NOTHING:
        raise Rejected(Rejection.HASH_OF_NOTHING)
    return digest


def find_bare(values: Sequence[object]) -> list[bytes]:
    """Return what `parse` returns for each digest without whitespace, and b"" for each other value; see `bulk`."""
    matches = _BARE_SHA256S.findall(bulk.encode(bulk.join(values)))
    return [b"" if (digest := unhexlify(digits)) in _HASHES_OF_NOTHING else digest for digits in matches]
