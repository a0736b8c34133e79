"""The contracts: published vectors, each rejection, and what must hold for any input."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import jsonschema
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_tiktok_audiences.contracts.contract import CONTRACTS, Contract
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

if TYPE_CHECKING:
    from collections.abc import Iterator

EMAIL, PHONE, GAID, IDFA = CONTRACTS.values()
DEVICE_ID = "5f3a2b18-9c4d-4e7f-b8e2-17d3a1e69b25"
HASH = hashlib.sha256(b"janedoe@gmail.com").hexdigest()


def sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def test_four_contracts_with_the_names_that_tiktok_knows() -> None:
    assert [(c.name, c.title, c.field) for c in CONTRACTS.values()] == [
        ("EMAIL_SHA256", "audience_email", "email"),
        ("PHONE_SHA256", "audience_phone", "phone"),
        ("GAID_SHA256", "audience_gaid", "gaid"),
        ("IDFA_SHA256", "audience_idfa", "idfa"),
    ]


@pytest.mark.parametrize(
    ("contract", "value", "digest"),
    [
        (EMAIL, "janedoe@gmail.com", "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"),
        (EMAIL, "\tJane Doe@GMail.com \n", "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"),
        (PHONE, "+37493828222", "241371e614f8650dfae0f111361c69de1bb4829a72b71bb8044daae8b2e7791d"),
        (PHONE, "+1 (657) 777-0000 ext. 12", "a6e82c2f4091baff57a4f33d01efb65bfbeacbbfbcfaa9d0ff9f57d28d78fedb"),
        (PHONE, "tel:+44-20-7183-8750", "e631c2534428c6c9b48c2167604a8983046085e43a2c00ed748733c544c0bb4d"),
        (PHONE, "＋44 20 7183 8750", "e631c2534428c6c9b48c2167604a8983046085e43a2c00ed748733c544c0bb4d"),  # noqa: RUF001
        (GAID, DEVICE_ID, "83dc3f5f32b9472613b0f038d36f22585a609d018af6f6067f50da318bf354bd"),
        (IDFA, f" {DEVICE_ID.upper()} ", "83dc3f5f32b9472613b0f038d36f22585a609d018af6f6067f50da318bf354bd"),
    ],
)
def test_published_vectors(contract: Contract, value: str, digest: str) -> None:
    assert contract.digester()(value) == bytes.fromhex(digest)


def test_local_phone_numbers_take_the_default_country() -> None:
    assert PHONE.digester(default_country="US")("(657) 777-0000") == sha256("+16577770000")
    assert PHONE.digester(default_country="GB")("020 7183 8750") == sha256("+442071838750")
    assert PHONE.digester(default_country="GB")("+1 657 777 0000") == sha256("+16577770000")


@pytest.mark.parametrize(
    "address", ["jane.doe+promo@gmail.com", "jöhn@bücher.example", "o'brien@a.b.c", "用户@例子.公司"]
)
def test_dots_plus_tags_and_other_alphabets_stay(address: str) -> None:
    assert EMAIL.digester()(address) == sha256(address)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
@pytest.mark.parametrize("value", [None, "", "  ", "\n"])
@pytest.mark.parametrize("apply_hashing", [True, False])
def test_no_identifier_is_no_rejection(contract: Contract, value: str | None, apply_hashing: bool) -> None:  # noqa: FBT001
    assert contract.digester(apply_hashing=apply_hashing)(value) is None


REJECTED: list[tuple[str, bool, object, Rejection]] = [
    *[(name, True, 16577770000, Rejection.NOT_A_STRING) for name in CONTRACTS],
    *[(name, False, ["x"], Rejection.NOT_A_STRING) for name in CONTRACTS],
    *[(name, True, HASH.upper(), Rejection.ALREADY_HASHED) for name in CONTRACTS],
    *[(name, False, "jane@example.com", Rejection.NOT_SHA256) for name in CONTRACTS],
    *[(name, False, HASH[:-1], Rejection.NOT_SHA256) for name in CONTRACTS],
    *[(name, False, hashlib.sha256(b"").hexdigest(), Rejection.HASH_OF_NOTHING) for name in CONTRACTS],
    *[(name, False, hashlib.sha256(b"NULL").hexdigest(), Rejection.HASH_OF_NOTHING) for name in CONTRACTS],
    *[(name, False, "0" * 64, Rejection.HASH_OF_NOTHING) for name in CONTRACTS],
    *[
        ("EMAIL_SHA256", True, value, Rejection.EMAIL_SYNTAX)
        for value in ("jane", "jane@", "@a.b", "a@b", "a@.b", "a@b.", "a@b@c.d", "null", "\ud800@a.bc")
    ],
    *[
        ("PHONE_SHA256", True, value, Rejection.PHONE_NO_COUNTRY)
        for value in ("657 777 0000", "16577770000", "0044 20 7183 8750")
    ],
    *[
        ("PHONE_SHA256", True, value, Rejection.PHONE_INVALID)
        for value in ("+1", "+1657", "n/a", "+999 123 4567", "+1657777000012345", "call me")
    ],
    *[
        (name, True, value, Rejection.DEVICE_ID_SYNTAX)
        for name in ("GAID_SHA256", "IDFA_SHA256")
        for value in (DEVICE_ID.replace("-", ""), DEVICE_ID[:-1], f"{{{DEVICE_ID}}}", DEVICE_ID.replace("b", "g"))
    ],
    *[
        (name, True, "00000000-0000-0000-0000-000000000000", Rejection.DEVICE_ID_ALL_ZERO)
        for name in ("GAID_SHA256", "IDFA_SHA256")
    ],
]


@pytest.mark.parametrize(("name", "apply_hashing", "value", "reason"), REJECTED)
def test_rejections_name_their_reason_and_never_the_value(
    name: str,
    apply_hashing: bool,  # noqa: FBT001
    value: object,
    reason: Rejection,
) -> None:
    with pytest.raises(Rejected) as rejected:
        CONTRACTS[name].digester(apply_hashing=apply_hashing)(value)
    assert rejected.value.reason is reason
    assert rejected.value.args == (reason.value,)


def test_every_reason_is_tested() -> None:
    assert {reason for *_, reason in REJECTED} == set(Rejection)


@given(st.uuids().map(str).map(sha256), st.sampled_from(list(CONTRACTS)), st.booleans())
def test_given_hashes_pass_in_either_case(digest: bytes, name: str, upper: bool) -> None:  # noqa: FBT001
    written = digest.hex().upper() if upper else digest.hex()
    assert CONTRACTS[name].digester(apply_hashing=False)(f" {written}\u00a0") == digest


ADDRESSES = st.from_regex(r"[a-z0-9.+_-]{1,12}@[a-z0-9]{1,8}\.[a-z]{2,3}", fullmatch=True)


@given(ADDRESSES, st.data())
def test_case_and_white_space_never_change_an_address(address: str, data: st.DataObject) -> None:
    shouted = "".join(data.draw(st.sampled_from([c, c.upper(), f" {c}", f"{c}\t", f"\u3000{c}"])) for c in address)
    assert EMAIL.digester()(shouted) == sha256(address)


@given(st.uuids(version=4), st.booleans())
def test_case_and_white_space_never_change_a_device_id(device_id: object, upper: bool) -> None:  # noqa: FBT001
    written = str(device_id).upper() if upper else str(device_id)
    assert GAID.digester()(f"\r\n{written} ") == IDFA.digester()(written) == sha256(str(device_id))


@given(st.one_of(st.text(), ADDRESSES, st.from_regex(r"\+?[0-9 ()-]{5,18}"), st.uuids().map(str)))
def test_normalising_twice_changes_nothing(value: str) -> None:
    for contract in CONTRACTS.values():
        try:
            normal = contract.normalize(value, None)
        except Rejected:
            continue
        assert contract.normalize(normal, None) == normal


def example_numbers() -> Iterator[tuple[str, phonenumbers.PhoneNumber]]:
    types = [
        getattr(phonenumbers.PhoneNumberType, name) for name in vars(phonenumbers.PhoneNumberType) if name.isupper()
    ]
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for number_type in types:
            number = phonenumbers.example_number_for_type(region, number_type)
            if number is not None and phonenumbers.is_valid_number_for_region(number, region):
                yield region, number


def test_every_example_number_of_every_region_in_three_written_forms() -> None:
    forms = phonenumbers.PhoneNumberFormat
    seen = set()
    for region, number in example_numbers():
        e164 = phonenumbers.format_number(number, forms.E164)
        for written in (e164, phonenumbers.format_number(number, forms.INTERNATIONAL)):
            assert PHONE.digester()(written) == sha256(e164), (region, written)
        national = phonenumbers.format_number(number, forms.NATIONAL)
        assert PHONE.digester(default_country=region)(national) == sha256(e164), (region, national)
        seen.add(region)
    assert seen == phonenumbers.SUPPORTED_REGIONS


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_published_schemas_are_json_schemas_that_tell_records_apart(contract: Contract) -> None:
    schema = contract.json_schema(field="mail", apply_hashing=False)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))
    assert validator.is_valid({"mail": HASH, "name": "x"})
    assert validator.is_valid({"mail": None})
    assert not validator.is_valid({"mail": "jane@example.com"})
    assert not validator.is_valid({"mail": 5})
    assert not validator.is_valid({"name": "x"})
