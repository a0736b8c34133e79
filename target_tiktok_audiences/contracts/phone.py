"""Normalize phone numbers as TikTok matches them: E.164 with the plus sign."""

from __future__ import annotations

from target_tiktok_audiences.contracts import phone_fast
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

_PLUS_SIGNS = "+\N{FULLWIDTH PLUS SIGN}"


def normalize(value: str, country: str | None = None) -> str:
    """Return a number in E.164; an extension is dropped.

    `country` is the ISO 3166 region of numbers without a country code. A number passes if it is *possible*, which
    means that its length fits its country: lists of *valid* ranges lag behind newly opened ranges.
    """
    number = phone_fast.read(value, country)
    return by_phonenumbers(value, country) if number is None else number


def by_phonenumbers(value: str, country: str | None) -> str:
    """Normalize with phonenumbers. It defines the results of `normalize`; `phone_fast` is only faster."""
    import phonenumbers  # noqa: PLC0415 - takes 30 ms, and only runs with phone numbers need it

    try:
        number = phonenumbers.parse(value, country)
    except phonenumbers.NumberParseException as exc:
        has_no_country = (
            exc.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
            and country is None
            and not any(sign in value for sign in _PLUS_SIGNS)
        )
        raise Rejected(Rejection.PHONE_NO_COUNTRY if has_no_country else Rejection.PHONE_INVALID) from None
    if not phonenumbers.is_possible_number(number):
        raise Rejected(Rejection.PHONE_INVALID)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_country(code: str) -> bool:
    """Return whether a region code (two capital letters) is supported by phonenumbers."""
    import phonenumbers  # noqa: PLC0415 - as above

    return code in phonenumbers.SUPPORTED_REGIONS
