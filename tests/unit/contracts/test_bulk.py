"""Digests of many identifiers at once: the same, value by value, as one at a time."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.values import DEVICE_ID, HASH, HOSTILE, JSON, LONG, ORDINARY, TEXT

from target_tiktok_audiences.contracts import device_id, email, phone_fast, sha256
from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection
from target_tiktok_audiences.ledger.staging import _names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from target_tiktok_audiences.contracts.contract import Contract, Digester

EMAIL = CONTRACTS["EMAIL_SHA256"]


def reasoned(digester: Digester) -> Callable[[object], bytes | Rejection | None]:
    def digest_or_reason(value: object) -> bytes | Rejection | None:
        try:
            return digester(value)
        except Rejected as rejected:
            return rejected.reason

    return digest_or_reason


def check(
    values: Sequence[object], country: str | None = None, contracts: Iterable[Contract] = CONTRACTS.values()
) -> None:
    """Compare with and without hashing, all values at once and each one alone."""
    for contract, hashing in product(contracts, [True, False]):
        one = reasoned(contract.digester(apply_hashing=hashing, default_country=country))
        bulk = contract.bulk_digester(apply_hashing=hashing, default_country=country)
        expected = [one(value) for value in values]
        assert bulk(values) == expected
        assert [bulk([value])[0] for value in values] == expected


@given(st.lists(TEXT | JSON, max_size=12), st.sampled_from([None, "US", "GB", "IT"]))
@settings(max_examples=20_000 if LONG else 300, deadline=None)
def test_any_values(values: list[object], country: str | None) -> None:
    check(values, country)


@given(
    st.lists(st.tuples(JSON | st.sampled_from(["], [", "]", ", ", [[1], [2]], [], 1.5, Decimal("1.50")])), max_size=8)
)
def test_keys_have_the_same_names_together_and_alone(keys: list[tuple[object]]) -> None:
    alone = [hashlib.blake2b(json.dumps([key], default=str).encode(), digest_size=16).hexdigest() for (key,) in keys]
    assert _names(keys) == alone


def test_hostile_values_spoil_nobody_else() -> None:
    check([*ORDINARY, *HOSTILE, None, 5, *ORDINARY])
    for value in [*HOSTILE, None, 5, 1.5, b"a@b.c", ["a@b.c"], {"a": 1}, ("a",)]:
        check([*ORDINARY, value, *ORDINARY])


def test_all_short_addresses() -> None:
    for length in range(9 if LONG else 7):
        characters = "a.@\u00e9 "[: 5 if length < 6 else 3]
        check(["".join(letters) for letters in product(characters, repeat=length)], contracts=[EMAIL])


def test_every_character_in_an_address() -> None:
    for code in range(sys.maxunicode + 1 if LONG else 0x3100):
        check([f"{chr(code)}a@b.c", f"aB{chr(code)}@b.c", f"a@b.{chr(code)}", "\u0391\u03a3@b.c"], contracts=[EMAIL])


@pytest.mark.parametrize(
    ("find", "values", "normal"),
    [
        (email.find_ascii, ["Jane.Doe+x@GMail.com", " a@b.c\n"], [b"jane.doe+x@gmail.com", b"a@b.c"]),
        (device_id.find_bare, [DEVICE_ID, DEVICE_ID.upper()], [DEVICE_ID.encode()] * 2),
        (sha256.find_bare, [HASH, HASH.upper()], [bytes.fromhex(HASH)] * 2),
        (phone_fast.find_e164, ["+12015550123", "+442071838750"], [b"+12015550123", b"+442071838750"]),
    ],
)
def test_ordinary_values_are_found_in_one_search(
    find: Callable[[Sequence[object]], list[bytes]], values: list[object], normal: list[bytes]
) -> None:
    CONTRACTS["PHONE_SHA256"].bulk_digester()(values)  # countries must have been met
    assert find([*values, None, "é"]) == [*normal, b"", b""]


@pytest.mark.parametrize(
    ("start", "middle", "end"),
    [("", repeated, end) for repeated in ("a", "@", ".", " ", "0", "(", "+") for end in ("", "!", "@a.b")]
    + [("a@", repeated, end) for repeated in (".", "b.", "b") for end in ("", "@", ".", " ")]
    + [("+1", repeated, end) for repeated in ("0", " ", "-0") for end in ("", "!", "x")],
)
def test_no_text_however_long_takes_long(start: str, middle: str, end: str) -> None:
    values = [start + middle * 100_000 + end, start + middle * 100 + end]
    before = time.process_time()
    for contract, hashing in product(CONTRACTS.values(), [True, False]):
        contract.bulk_digester(apply_hashing=hashing, default_country="US")(values)
    assert time.process_time() - before < 2
