"""Why an identifier is rejected, in words, and what to do."""

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


MEANING = {
    Rejection.NOT_A_STRING: "it is no text",
    Rejection.ALREADY_HASHED: "it is hashed already (64 hex digits), and hashed twice it never matches anybody",
    Rejection.EMAIL_SYNTAX: "it is no e-mail address: one @, something before it, and a dot inside what follows",
    Rejection.PHONE_NO_COUNTRY: "it has no country code, and no default country was given",
    Rejection.PHONE_INVALID: "it is no phone number: its length fits no number of its country",
    Rejection.DEVICE_ID_SYNTAX: "it is no advertising id: 32 hex digits as 8-4-4-4-12, with dashes",
    Rejection.DEVICE_ID_ALL_ZERO: "it is all zeros, which is what a phone gives whose owner has switched these ids off",
    Rejection.NOT_SHA256: "it is not SHA-256: 64 hex digits",
    Rejection.HASH_OF_NOTHING: "it is the digest of an empty text, of `null` or the like",
}
"""What is wrong, as the end of a sentence."""

ADVICE = {
    Rejection.NOT_A_STRING: "Let the source give text, not numbers or the like.",
    Rejection.ALREADY_HASHED: "Set `apply_hashing: false`, if it was hashed from the normal form.",
    Rejection.EMAIL_SYNTAX: "Correct the source, or set `identifier_field` to the column with the addresses.",
    Rejection.PHONE_NO_COUNTRY: "Set `default_country` to where such numbers are from, or add country codes.",
    Rejection.PHONE_INVALID: "Correct the source; is `default_country` right?",
    Rejection.DEVICE_ID_SYNTAX: "Correct the source, or set `identifier_field` to the column with the ids.",
    Rejection.DEVICE_ID_ALL_ZERO: "Nothing: there is nobody behind it.",
    Rejection.NOT_SHA256: "Set `apply_hashing: true` if the column is not hashed; else correct the source.",
    Rejection.HASH_OF_NOTHING: "Let the source hash nothing where there is no identifier.",
}
