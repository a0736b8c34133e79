"""Why an identifier cannot be used."""

from __future__ import annotations

from enum import StrEnum


class Rejection(StrEnum):
    """The reasons, as reports and the rejects file spell them."""

    NOT_A_STRING = "not_a_string"
    ALREADY_HASHED = "already_hashed"
    """64 hex digits while hashing is on: hashed twice it would never match anybody."""
    EMAIL_SYNTAX = "email_syntax"
    PHONE_NO_COUNTRY = "phone_no_country"
    """Neither a country code in the number nor a `default_country`."""
    PHONE_INVALID = "phone_invalid"
    DEVICE_ID_SYNTAX = "device_id_syntax"
    DEVICE_ID_ALL_ZERO = "device_id_all_zero"
    """What a phone gives where its owner has switched advertising ids off."""
    NOT_SHA256 = "not_sha256"
    HASH_OF_NOTHING = "hash_of_nothing"
    """The digest of an empty string, of `null` or the like: somebody hashed a gap in the data."""


class Rejected(Exception):
    """Raised for an identifier that cannot be used; carries the reason and never the value."""

    def __init__(self, reason: Rejection) -> None:
        super().__init__(reason.value)
        self.reason = reason
