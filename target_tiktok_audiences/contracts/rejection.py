"""Reasons why an identifier is rejected, each with its meaning and advice."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Rejection(StrEnum):
    """Reasons of rejection. The value is the code in reports and in the rejects file."""

    meaning: str
    """What is wrong with the value: a clause without a period."""
    advice: str
    """What to do about it: a sentence."""

    def __new__(cls, code: str, meaning: str, advice: str) -> Self:
        """Create a member from its code, its meaning and the advice."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.advice = advice
        return member

    @property
    def explanation(self) -> str:
        """The meaning and the advice as sentences."""
        return f"{self.meaning[0].upper()}{self.meaning[1:]}. {self.advice}"

    NOT_A_STRING = (
        "not_a_string",
        "the value is not text",
        "Make the source or a stream map send text.",
    )
    ALREADY_HASHED = (
        "already_hashed",
        "the value is already hashed (64 hex digits), and a value that is hashed twice never matches",
        "If it was hashed from the normal form, set `apply_hashing: false`.",
    )
    EMAIL_SYNTAX = (
        "email_syntax",
        "the value is not a valid email address: text, one @, and a domain with a dot inside",
        "Correct the source, or set `identifier_field` to the column that contains email addresses.",
    )
    PHONE_NO_COUNTRY = (
        "phone_no_country",
        "the phone number has no country code, and `default_country` is not set",
        "Set `default_country` to the country of such numbers, or add country codes in the source.",
    )
    PHONE_INVALID = (
        "phone_invalid",
        "the value is not a valid phone number: its length fits no number of its country",
        "Correct the source, and check `default_country`.",
    )
    DEVICE_ID_SYNTAX = (
        "device_id_syntax",
        "the value is not a valid advertising ID: 32 hex digits as 8-4-4-4-12, with dashes",
        "Correct the source, or set `identifier_field` to the column that contains advertising IDs.",
    )
    DEVICE_ID_ALL_ZERO = (
        "device_id_all_zero",
        "the advertising ID is all zeros: the owner of the phone has disabled advertising IDs",
        "No action is needed: such an ID matches no user.",
    )
    NOT_SHA256 = (
        "not_sha256",
        "the value is not a SHA-256 digest (64 hex digits), but `apply_hashing` is false",
        "If the column is not hashed, set `apply_hashing: true`; otherwise correct the source.",
    )
    HASH_OF_NOTHING = (
        "hash_of_nothing",
        "the value is the digest of an empty text, of `null` or of a similar placeholder",
        "Make the source send null instead of hashing missing identifiers.",
    )


class Rejected(Exception):
    """An identifier cannot be used. The error contains the reason and never the value."""

    def __init__(self, reason: Rejection) -> None:
        super().__init__(reason.value)
        self.reason = reason
