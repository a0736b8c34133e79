"""Normalize common phone numbers fast, with numbering plans that are compiled from phonenumbers' metadata.

phonenumbers takes about 40 times as long as a digest, because it searches for a number in any text, character by
character and in any script. If the text consists of digits and common punctuation, `phonenumbers.parse` comes down to a
few regular expressions of one country. This module applies them in the same order and by the same rules, and returns
None for all other text. tests/unit/contracts/test_phone_fast.py compares the results of both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from phonenumbers import PhoneMetadata

_PUNCTUATION = " \N{NO-BREAK SPACE}().[]/-\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FIGURE DASH}\N{EN DASH}"
"""Characters that phonenumbers ignores at any position: none starts an extension, a second number or letters."""

_PLAIN = re.compile(
    r"(?:tel:)?[{0}]*(?:(\+)[{0}]*)?([0-9][{0}0-9]*)(?:(?:;ext=|(?:ext\.?|x) ?)[0-9]{{1,6}})?".format(
        re.escape(_PUNCTUATION)
    ),
    re.IGNORECASE,
)
"""An optional plus sign, the digits, and an optional extension, which is dropped."""
_REMOVE_PUNCTUATION = str.maketrans("", "", _PUNCTUATION)

_LONGEST_TEXT = 250
_FEWEST_DIGITS = 3
_NATIONAL_LENGTHS = range(2, 18)
"""Limits of phonenumbers: on the text, on its digits, and on the digits without the country code."""


def read(value: str, country: str | None) -> str | None:
    """Return a number in E.164, as phonenumbers would; None if phonenumbers has to decide."""
    if (is_e164 := _E164.get(value[1:4])) and is_e164(value):
        return value
    plain = _PLAIN.fullmatch(value.strip()) if len(value) <= _LONGEST_TEXT else None
    if plain is None:
        return None
    plus, digits = plain[1], plain[2].translate(_REMOVE_PUNCTUATION)
    if len(digits) < _FEWEST_DIGITS:
        return None
    if plus:
        return _international(digits)
    if country is None:
        raise Rejected(Rejection.PHONE_NO_COUNTRY)
    plan = _plan_of_region(country)
    return _dialed_in(plan, digits) if plan else None


def find_e164(values: Sequence[object]) -> list[bytes]:
    """Return each value that `read` would not change, if its country was used before; b"" for each other value."""
    return [
        value.encode() if isinstance(value, str) and (is_e164 := _E164.get(value[1:4])) and is_e164(value) else b""
        for value in values
    ]


_E164: dict[str, Callable[[str], object]] = {}
"""By the first three digits of numbers seen before: returns a match if a number is already in normal form."""


@dataclass(frozen=True)
class _Plan:
    """Numbering plan of one region, from the metadata of phonenumbers."""

    code: str
    """Calling code of the country."""
    main: _Plan | None
    """Plan of the main region of the calling code; None if this is the main region."""
    abroad: re.Pattern[str] | None
    """Prefix dialed before the number of another country."""
    prefix: re.Pattern[str] | None
    """Prefix dialed before a number of this country, including carrier codes."""
    replacement: str | None
    general: re.Pattern[str]
    lengths: tuple[int, ...]
    local_lengths: tuple[int, ...]
    """Lengths of numbers without the area code."""

    def is_possible(self, number: str) -> bool:
        length = len(number)
        return length in _NATIONAL_LENGTHS and (length in self.lengths or length in self.local_lengths)

    def is_too_long(self, number: str) -> bool:
        return len(number) > self.lengths[-1] and len(number) not in self.local_lengths

    def without_prefix(self, number: str) -> str:
        """Remove the national prefix, unless the number is valid only with it."""
        match = self.prefix and self.prefix.match(number)
        if not (self.prefix and match):
            return number
        if self.replacement and match[match.re.groups] is not None:
            rest = self.prefix.sub(self.replacement, number, count=1)
        else:
            rest = number[match.end() :]
        if self.general.fullmatch(rest) or not self.general.fullmatch(number):
            return rest
        return number

    def significant(self, number: str) -> str:
        """Remove the national prefix if the rest has the length of a full number, or is too long."""
        rest = self.without_prefix(number)
        is_full = len(rest) in self.lengths and len(rest) not in self.local_lengths
        return rest if is_full or self.is_too_long(rest) else number

    def e164(self, number: str) -> str:
        """Return a number of this plan in E.164; raise `Rejected` if its length is not possible."""
        if len(number) >= _NATIONAL_LENGTHS.start:
            number = self.significant(number)
        if not (self.main or self).is_possible(number):
            raise Rejected(Rejection.PHONE_INVALID)
        return f"+{self.code}{number}"


def _international(digits: str) -> str | None:
    """Return digits that start with a calling code in E.164; None if they do not."""
    plan = _plan_at(digits[:3])
    return plan.e164(digits[len(plan.code) :]) if plan else None


def _dialed_in(plan: _Plan, digits: str) -> str | None:
    """Return digits that are dialed in a region in E.164."""
    if plan.abroad and (abroad := plan.abroad.match(digits)):
        rest = digits[abroad.end() :]
        return _international(rest) if len(rest) >= _FEWEST_DIGITS else None
    if digits.startswith(plan.code):
        # This can be the calling code without its plus sign.
        rest = plan.without_prefix(digits[len(plan.code) :])
        if plan.is_too_long(digits) or (not plan.general.fullmatch(digits) and plan.general.fullmatch(rest)):
            return (plan.main or plan).e164(rest)
    return plan.e164(digits)


@cache
def _plan_at(start: str) -> _Plan | None:
    """Return the plan of the calling code at the start of a number; no calling code is a prefix of another one."""
    codes = (int(start[:length]) for length in (1, 2, 3) if not start.startswith("0"))
    plan = next(filter(None, map(_plan_of_code, codes)), None)
    if plan:
        _E164[start] = _match_e164(plan)
    return plan


@cache
def _plan_of_code(code: int) -> _Plan | None:
    """Return the plan of the main region of a calling code."""
    import phonenumbers  # noqa: PLC0415 - takes 30 ms, and only runs with phone numbers need it

    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code)
    return (
        _compile(phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])) if regions else None
    )


@cache
def _plan_of_region(region: str) -> _Plan | None:
    """Return the plan of a region; None if phonenumbers does not support the region."""
    import phonenumbers  # noqa: PLC0415 - as above

    if region not in phonenumbers.SUPPORTED_REGIONS:
        return None
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    return _compile(metadata, _plan_of_code(phonenumbers.country_code_for_region(region)))


def _compile(metadata: PhoneMetadata | None, main: _Plan | None = None) -> _Plan | None:
    general = metadata and metadata.general_desc
    if not (metadata and general and general.national_number_pattern):
        return None
    return _Plan(
        code=str(metadata.country_code),
        main=main,
        abroad=_pattern(metadata.international_prefix),
        prefix=_pattern(metadata.national_prefix_for_parsing),
        replacement=metadata.national_prefix_transform_rule,
        general=re.compile(general.national_number_pattern),
        lengths=general.possible_length,
        local_lengths=general.possible_length_local_only,
    )


def _pattern(text: str | None) -> re.Pattern[str] | None:
    return re.compile(text) if text else None


@cache
def _match_e164(plan: _Plan) -> Callable[[str], object]:
    """Compile a pattern of numbers that `_Plan.e164` does not change: no national prefix and a possible length."""
    lengths = {*plan.lengths, *plan.local_lengths}.intersection(_NATIONAL_LENGTHS)
    shortest = sorted(length for length in lengths if length - 1 not in lengths)
    longest = sorted(length for length in lengths if length + 1 not in lengths)
    runs = "|".join(f"[0-9]{{{run[0]},{run[1]}}}" for run in zip(shortest, longest, strict=True))
    no_prefix = f"(?!{plan.prefix.pattern})" if plan.prefix else ""
    return re.compile(rf"\+{plan.code}{no_prefix}(?:{runs})").fullmatch
