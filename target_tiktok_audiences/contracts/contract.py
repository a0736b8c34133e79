"""The four data contracts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from target_tiktok_audiences.contracts import device_id, email, phone, phone_fast, sha256
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

Digester = Callable[[object], bytes | None]
"""Returns the digest of a record's identifier, or None if the identifier is missing; raises `Rejected`."""

BulkDigester = Callable[[Sequence[object]], "list[bytes | Rejection | None]"]
"""Does the same for many identifiers, and returns the reason where a `Digester` raises it."""

Normalizer = Callable[[str, str | None], str]
"""Returns the normal form of an identifier. The second argument is the default country of phone numbers."""


@dataclass(frozen=True)
class Contract:
    """One kind of identifier: the column of the record, its normal form and the JSON Schema."""

    name: str
    """Also the value of TikTok's `calculate_type`."""
    title: str
    field: str
    rule: str
    normalize: Normalizer
    find_normal: Callable[[Sequence[object]], list[bytes]]
    """Returns the normal form of each value for which this is fast, and b"" for each value that needs `normalize`."""

    def digester(self, *, apply_hashing: bool = True, default_country: str | None = None) -> Digester:
        """Return a function that converts identifiers of this contract to digests of 32 bytes.

        Without `apply_hashing` the identifiers must already be SHA-256 digests, which is checked. `default_country`
        is used for phone numbers only. Null, empty text and whitespace count as a missing identifier.
        """
        normalize = self.normalize

        def digest(value: object) -> bytes | None:
            if value is None:
                return None
            if not isinstance(value, str):
                raise Rejected(Rejection.NOT_A_STRING)
            if not value or value.isspace():
                return None
            if not apply_hashing:
                return sha256.parse(value)
            if sha256.looks_hashed(value):
                raise Rejected(Rejection.ALREADY_HASHED)
            return hashlib.sha256(normalize(value, default_country).encode()).digest()

        return digest

    def bulk_digester(self, *, apply_hashing: bool = True, default_country: str | None = None) -> BulkDigester:
        """Return a function that does for many identifiers what `digester` does for one, in half the time."""
        digest = self.digester(apply_hashing=apply_hashing, default_country=default_country)
        find = self.find_normal if apply_hashing else sha256.find_bare
        new = hashlib.sha256

        def digest_or_reason(value: object) -> bytes | Rejection | None:
            try:
                return digest(value)
            except Rejected as rejected:
                return rejected.reason

        def bulk(values: Sequence[object]) -> list[bytes | Rejection | None]:
            normals = find(values)
            if len(normals) != len(values):
                return [digest_or_reason(value) for value in values]
            pairs = zip(normals, values, strict=True)
            if apply_hashing:
                return [new(normal).digest() if normal else digest_or_reason(value) for normal, value in pairs]
            return [normal or digest_or_reason(value) for normal, value in pairs]

        return bulk

    def json_schema(self, *, field: str | None = None, apply_hashing: bool = True) -> dict[str, Any]:
        """Return the JSON Schema of records that this contract accepts."""
        identifier: dict[str, Any] = {"type": ["string", "null"], "description": self.rule}
        if not apply_hashing:
            identifier["description"] = f"SHA-256 digest of the normal form, as 64 hex digits. Normal form: {self.rule}"
            identifier["pattern"] = "^[0-9a-fA-F]{64}$"
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.title,
            "type": "object",
            "properties": {field or self.field: identifier},
            "required": [field or self.field],
        }


_DEVICE_ID_RULE = "An advertising ID: a UUID with dashes, not all zeros. It is trimmed and lower-cased before hashing."

CONTRACTS = {
    contract.name: contract
    for contract in (
        Contract(
            name="EMAIL_SHA256",
            title="audience_email",
            field="email",
            rule="An email address. Whitespace is removed and letters are lower-cased before hashing.",
            normalize=email.normalize,
            find_normal=email.find_ascii,
        ),
        Contract(
            name="PHONE_SHA256",
            title="audience_phone",
            field="phone",
            rule="A phone number with a country code, or of the default country. It becomes E.164 before hashing.",
            normalize=phone.normalize,
            find_normal=phone_fast.find_e164,
        ),
        Contract("GAID_SHA256", "audience_gaid", "gaid", _DEVICE_ID_RULE, device_id.normalize, device_id.find_bare),
        Contract("IDFA_SHA256", "audience_idfa", "idfa", _DEVICE_ID_RULE, device_id.normalize, device_id.find_bare),
    )
}
