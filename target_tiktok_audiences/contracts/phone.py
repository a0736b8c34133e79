"""Phone numbers, as TikTok matches them: E.164 with its plus sign."""

from __future__ import annotations

from target_tiktok_audiences.contracts import phone_fast
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

_PLUS_SIGNS = "+\N{FULLWIDTH PLUS SIGN}"


def normalize(value: str, country: str | None = None) -> str:
    """Write a number as E.164; an extension is dropped.

    `country` is the ISO 3166 region of numbers written without a country code. A number passes when it is
    *possible* (its length fits its country): lists of *valid* ranges lag behind newly opened ones.
    """
    written = phone_fast.read(value, country)
    return by_phonenumbers(value, country) if written is None else written


def by_phonenumbers(value: str, country: str | None) -> str:
    """Have phonenumbers do it. This is what `normalize` means; `numbering` is only faster."""
    import phonenumbers  # noqa: PLC0415 - 30 ms that only runs with phones need to pay

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
    """Tell whether a region code (two capital letters) is one whose numbers can be read."""
    import phonenumbers  # noqa: PLC0415 - as above

    return code in phonenumbers.SUPPORTED_REGIONS
