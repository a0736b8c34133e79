"""Phone numbers are read as phonenumbers reads them, by whatever way: the faster one may never tell.

With TEST_LONG every neighbour of every example is compared, and far more random text.
"""

from __future__ import annotations

import os
from itertools import product
from random import Random
from typing import TYPE_CHECKING

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_tiktok_audiences.contracts import phone, phone_fast
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LONG = bool(os.environ.get("TEST_LONG"))
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
FORMS = range(4)
"""E.164, international, national and RFC 3966, as phonenumbers counts them."""
assert phonenumbers.PhoneNumberFormat.to_string(max(FORMS)) == "RFC3966"


def outcome(read: Callable[[str, str | None], str], value: str, country: str | None) -> str | Rejection:
    try:
        return read(value, country)
    except Rejected as rejected:
        return rejected.reason


def check(cases: Iterable[tuple[str, str | None]]) -> None:
    for value, country in cases:
        expected = outcome(phone.by_phonenumbers, value, country)
        # Twice: the first number of a country goes another way than those after it.
        assert outcome(phone.normalize, value, country) == expected, (value, country)
        assert outcome(phone.normalize, value, country) == expected, (value, country)


def is_fast(value: str, country: str | None) -> bool:
    try:
        return phone_fast.read(value, country) is not None
    except Rejected:
        return True


def examples() -> Iterator[tuple[str | None, phonenumbers.PhoneNumber]]:
    """Give each region's example of each type, possible ones that are not valid, and those of no region."""
    for region, number_type in product(REGIONS, phonenumbers.PhoneNumberType.values()):
        number = phonenumbers.example_number_for_type(region, number_type)
        if number is not None:
            yield region, number
    for region in REGIONS:
        number = phonenumbers.invalid_example_number(region)
        if number is not None:
            yield region, number
    for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        number = phonenumbers.example_number_for_non_geo_entity(code)
        assert number is not None
        yield None, number


EXAMPLES = list(examples())


def written(number: phonenumbers.PhoneNumber, form: int, suffix: str = "") -> str:
    return phonenumbers.format_number(number, form) + suffix


def neighbours(text: str) -> Iterator[str]:
    """Give the text with any one digit removed, changed or added."""
    for at in range(len(text) + 1):
        for digit in "0123456789":
            yield text[:at] + digit + text[at:]
            if text[at : at + 1].isdigit():
                yield text[:at] + digit + text[at + 1 :]
        if text[at : at + 1].isdigit():
            yield text[:at] + text[at + 1 :]


def test_every_example_in_every_form_for_its_own_country_another_one_and_none() -> None:
    random = Random(8)
    fast = total = 0
    for (region, number), form in product(EXAMPLES, FORMS):
        text = written(number, form)
        cases = [(text, country) for country in (region, None, random.choice(REGIONS))]
        check(cases)
        fast += sum(is_fast(*case) for case in cases)
        total += len(cases)
    # Almost none is left to phonenumbers: its speed is what this way is for.
    assert fast > 0.999 * total


def test_neighbours_of_every_example() -> None:
    random = Random(9)
    for (region, number), form in product(EXAMPLES, FORMS):
        near = [(text, region) for text in neighbours(written(number, form))]
        if not LONG:
            near = random.sample(near, 4)
        check(near)
        check((text, random.choice([None, *REGIONS])) for text, _ in random.sample(near, 2))


def test_every_calling_code_and_none_such_at_every_length() -> None:
    random = Random(10)
    for code, length in product([*range(1000)], range(21)):
        for _ in range(20 if LONG else 1):
            digits = "".join(random.choices("0123456789", k=length))
            check([(f"+{code}{digits}", None)])
            if code in CODES or random.random() < 0.1:
                before = random.choice(["+", "00", "011", "", "+0", "(+", "tel:+"])
                check([(f"{before}{code}{digits}", random.choice(REGIONS))])


def test_every_region_at_every_length_after_all_that_may_be_dialled_first() -> None:
    random = Random(11)
    for region, length in product(REGIONS, range(21)):
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        assert metadata is not None
        code, prefix = str(metadata.country_code), metadata.national_prefix or "0"
        national = ("", prefix, code, code + prefix, code + 2 * prefix)
        for before in (*national, f"+{code}", f"+{code}{prefix}", f"00{code}", "00", "000", "011"):
            if LONG or random.random() < 0.3:
                check([(before + "".join(random.choices("0123456789", k=length)), region)])


@pytest.mark.parametrize(
    ("value", "country"),
    [
        ("4400179082251", "IM"),  # the island's own prefix first, then the main region's
        ("44007634423", "JE"),
        ("6118319278838", "CC"),
        ("1-2", None),  # digits without punctuation may be two, with it there must be three
        ("12", None),
        ("+12", "US"),
        ("+1-2", "US"),
        ("000 44 20 7183 8750", "GB"),
        ("+0044 20 7183 8750", "GB"),
        ("+999 1234567", "GB"),
        ("000;ext= 0", None),
        ("1" * 64, None),
        ("0" * 12, "IT"),
        ("+39" + "0" * 9, None),
    ],
)
def test_odd_ones(value: str, country: str | None) -> None:
    check([(value, country)])


def test_every_character_at_any_place() -> None:
    characters = [chr(code) for code in (*range(0x300), 0x661, 0x6F1, *range(0x2000, 0x2070), *range(0xFF00, 0xFF60))]
    for number, character in product(["+12015550123", "(201) 555-0123", "0044 20 7183 8750", "15"], characters):
        places = range(len(number) + 1) if LONG else {0, 1, 3, len(number) // 2, len(number)}
        check((number[:at] + character + number[at:], country) for at in places for country in ("US", None)[: 1 + LONG])
    check((f"2015550{character}123", None) for character in characters)


def test_all_that_can_be_put_together_of_a_few_pieces() -> None:
    pieces = ["0", "201555", "+1", " ", "-", "/", ".", "(", "x", "ext", ";ext=", "tel:"]
    for length in range(6 if LONG else 4):
        check(("".join(some), country) for some in product(pieces, repeat=length) for country in ("US", None))


@pytest.mark.parametrize(
    "label",
    [
        *(" ext. ", "ext", "Ext.", "EXT:", "ext .", "ext.-", " x", "X ", "x:", "xx", "/ x", "x.", "x-"),
        *(";ext=", "; ext=", ";ext= ", ";ext", ";EXT=", ";", ",", ",,", " #", "~", " int ", "t", "extension "),
    ],
)
def test_extensions(label: str) -> None:
    random = Random(label)
    for region, number in EXAMPLES if LONG else random.sample(EXAMPLES, 100):
        text = written(number, random.choice(FORMS))
        if random.random() < 0.2:
            text = text[: random.randrange(len(text))]
        text += f"{label}{random.randrange(10 ** random.randrange(1, 12))}"
        check([(text, region), (text, None)])


PIECES = st.one_of(
    st.text("0123456789", min_size=1, max_size=9),
    st.sampled_from(
        [*"0123456789 -()./[]+", "00", "011", "+1", "+44", "+39", "+7", "+54", "+55", "+800", "+883", "+979"]
    ),
    st.sampled_from(
        [*" \u00a0\u2010\u2013\u2014\u2060\u3000\t\n\r\x1c_*#~,;x", "tel:", ";ext=", "ext.", ";phone-context="]
    ),
    st.sampled_from(
        ["\uff0b", "\uff11", "\uff12", "\u0660", "\u0663", "\u06f5", "\u0967", "\u00b2", "\u2460", "\U0001d7d9"]
    ),
    st.sampled_from(["FLOWERS", "a", "E", "X", "Tel", "\0", "\ud800", "\udfff", "\u212a", "\u017f", ".com", ";isub="]),
)


@given(st.lists(PIECES, max_size=8).map("".join), st.none() | st.sampled_from(["ZZ", "us", "", "001", *REGIONS]))
@settings(max_examples=100_000 if LONG else 1_000, deadline=None)
def test_any_text(value: str, country: str | None) -> None:
    check([(value, country)])


@pytest.mark.parametrize("padding", ["0", " ", "-", "("])
@pytest.mark.parametrize("length", range(248, 254))
def test_text_as_long_as_phonenumbers_takes(padding: str, length: int) -> None:
    for start in ("", "+", "+1", "+49"):
        check([((start + "2015550123").rjust(length, padding), country) for country in (None, "US")])
        check([((start + "2015550123").ljust(length, padding), country) for country in (None, "US")])
