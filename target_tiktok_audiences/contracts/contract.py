"""The four data contracts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from target_tiktok_audiences.contracts import device_id, email, phone, phone_fast, sha256
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

Digester = Callable[[object], bytes | None]
"""Takes a record's identifier; gives its digest, or None where there is no identifier; raises `Rejected`."""

BulkDigester = Callable[[Sequence[object]], "list[bytes | Rejection | None]"]
"""Does the same for many identifiers, and gives the reason where a `Digester` would raise it."""


@dataclass(frozen=True)
class Contract:
    """One kind of identifier: the record's column, its normal form, and the schema that says so."""

    name: str
    """Also the name of TikTok's `calculate_type`."""
    title: str
    field: str
    rule: str
    normalize: Callable[[str], str]
    find_normal: Callable[[Sequence[object]], list[bytes]]
    """Gives the normal forms of those values where that is quickly told, and b"" for all that need `normalize`."""

    def digester(self, *, apply_hashing: bool = True, default_country: str | None = None) -> Digester:
        """Give the function that turns this contract's identifiers into digests of 32 bytes.

        Without `apply_hashing` the identifiers are SHA-256 already and are checked to be. `default_country`
        counts for phone numbers alone. Null, and text of nothing but white space, is no identifier.
        """
        normalize = partial(phone.normalize, country=default_country) if self.field == "phone" else self.normalize

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
            return hashlib.sha256(normalize(value).encode()).digest()

        return digest

    def bulk_digester(self, *, apply_hashing: bool = True, default_country: str | None = None) -> BulkDigester:
        """Give the function that does for a block of identifiers what `digester` does for one, in half the time."""
        digest = self.digester(apply_hashing=apply_hashing, default_country=default_country)
        find = self.find_normal if apply_hashing else sha256.find_bare
        new = hashlib.sha256

        def digest_or_reason(value: object) -> bytes | Rejection | None:
            try:
                return digest(value)
            except Rejected as rejected:
                return rejected.reason

        def bulk(values: Sequence[object]) -> list[bytes | Rejection | None]:
            found = find(values)
            if len(found) != len(values):
                return [digest_or_reason(value) for value in values]
            pairs = zip(found, values, strict=True)
            if apply_hashing:
                return [new(normal).digest() if normal else digest_or_reason(value) for normal, value in pairs]
            return [normal or digest_or_reason(value) for normal, value in pairs]

        return bulk

    def json_schema(self, *, field: str | None = None, apply_hashing: bool = True) -> dict[str, Any]:
        """Give the JSON Schema of a record that this contract accepts."""
        identifier: dict[str, Any] = {"type": ["string", "null"], "description": self.rule}
        if not apply_hashing:
            identifier["description"] = f"SHA-256 of the normal form, as 64 hex digits. Normal form: {self.rule}"
            identifier["pattern"] = "^[0-9a-fA-F]{64}$"
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.title,
            "type": "object",
            "properties": {field or self.field: identifier},
            "required": [field or self.field],
        }


_DEVICE_ID_RULE = "An advertising id: a UUID with dashes, not all zeros; trimmed and lower-cased before hashing."

CONTRACTS = {
    contract.name: contract
    for contract in (
        Contract(
            name="EMAIL_SHA256",
            title="audience_email",
            field="email",
            rule="An e-mail address; white space is removed and letters are lower-cased before hashing.",
            normalize=email.normalize,
            find_normal=email.find_ascii,
        ),
        Contract(
            name="PHONE_SHA256",
            title="audience_phone",
            field="phone",
            rule="A phone number with its country code, or of the default country; written as E.164 before hashing.",
            normalize=phone.normalize,
            find_normal=phone_fast.find_e164,
        ),
        Contract("GAID_SHA256", "audience_gaid", "gaid", _DEVICE_ID_RULE, device_id.normalize, device_id.find_bare),
        Contract("IDFA_SHA256", "audience_idfa", "idfa", _DEVICE_ID_RULE, device_id.normalize, device_id.find_bare),
    )
}
