from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
import requests
from support.emulator_client import OTHER_ADVERTISER, digests, emulated

from target_tiktok_audiences.emulator import uploads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.emulator_client import Client


@pytest.fixture
def tiktok() -> Iterator[Client]:
    with emulated(advertiser_ids=["7000000000000000001", OTHER_ADVERTISER]) as client:
        yield client


def test_upload_gives_a_path_of_sixteen_hex_digits(tiktok: Client) -> None:
    path = tiktok.upload(digests(1))
    assert len(path) == 16
    assert int(path, 16) >= 0
    assert path == path.lower()


@pytest.mark.parametrize("field", ["advertiser_id", "file_signature", "calculate_type"])
def test_upload_names_the_field_that_is_missing(tiktok: Client, field: str) -> None:
    answer = tiktok.send_file(b"00\n", "people.csv", **{field: None})
    assert answer["code"] == 40002
    assert answer["message"] == f"Missing required field(s): {field}."
    assert answer["data"] == {}


def test_upload_without_any_file_is_refused(tiktok: Client) -> None:
    answer = requests.post(
        f"{tiktok.base}/dmp/custom_audience/file/upload/",
        data={"advertiser_id": "1", "file_signature": "0", "calculate_type": "EMAIL_SHA256"},
        headers=tiktok.headers,
        timeout=10,
    ).json()
    assert answer["code"] == 40002
    assert "file" in answer["message"]


def test_a_file_sent_as_a_plain_field_is_refused(tiktok: Client) -> None:
    answer = requests.post(
        f"{tiktok.base}/dmp/custom_audience/file/upload/",
        files={
            "advertiser_id": (None, tiktok.advertiser_id),
            "file_signature": (None, "0"),
            "calculate_type": (None, "EMAIL_SHA256"),
            "file": (None, "00"),
        },
        headers=tiktok.headers,
        timeout=10,
    ).json()
    assert answer["code"] == 40002


def test_a_broken_multipart_body_is_refused(tiktok: Client) -> None:
    answer = requests.post(
        f"{tiktok.base}/dmp/custom_audience/file/upload/",
        data=b"not multipart",
        headers={**tiktok.headers, "Content-Type": "multipart/form-data; boundary=x"},
        timeout=10,
    ).json()
    assert answer["code"] == 40002


@pytest.mark.parametrize("signature", ["0" * 32, hashlib.md5(b"00\n").hexdigest().upper()])
def test_a_signature_that_is_not_the_lower_case_md5_of_the_file_is_refused(tiktok: Client, signature: str) -> None:
    assert tiktok.send_file(b"00\n", file_signature=signature)["code"] == 40900


def test_an_empty_file_is_refused(tiktok: Client) -> None:
    assert tiktok.send_file(b"")["code"] == 40906


def test_a_file_beyond_the_size_limit_is_refused(tiktok: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert uploads.MAX_FILE_BYTES == 250_000_000
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 130)
    assert tiktok.send_file("\n".join(digests(2)).encode())["code"] == 0
    assert tiktok.send_file("\n".join([*digests(2), ""]).encode() + b"\n")["code"] == 40907


@pytest.mark.parametrize("name", ["people", "people.CSV", "people.csv.gz", "people.zip"])
def test_only_files_named_csv_or_txt_are_taken(tiktok: Client, name: str) -> None:
    assert tiktok.send_file(b"00\n", name)["code"] == 40908
    assert tiktok.send_file(b"00\n", "people.txt")["code"] == 0


def test_an_unknown_type_is_refused_in_upload_and_create(tiktok: Client) -> None:
    assert tiktok.send_file(b"00\n", calculate_type="EMAIL")["code"] == 40909
    assert tiktok.try_create([tiktok.upload(digests(1))], calculate_type="EMAIL")["code"] == 40909


def test_mixed_device_ids_are_first_in_create_under_both_names_of_their_files(tiktok: Client) -> None:
    path = tiktok.upload(digests(1000), "MAID_SHA256")
    assert tiktok.try_create([path], calculate_type="MAID_SHA256")["code"] == 40909
    answer = tiktok.try_create([path], calculate_type="FIRST_SHA256")
    assert answer["code"] == 0
    assert tiktok.details(answer["data"]["custom_audience_id"])["calculate_type"] == "FIRST_SHA256"


def test_hex_is_taken_in_either_case_and_repeated_values_count_once(tiktok: Client) -> None:
    rows = digests(1000)
    audience_id = tiktok.create([*rows, *(row.upper() for row in rows)])
    assert tiktok.members(audience_id) == sorted(rows)
    assert tiktok.details(audience_id)["cover_num"] == 1000


def test_windows_line_ends_and_empty_lines_do_no_harm(tiktok: Client) -> None:
    content = "\r\n\r\n".join(digests(1000)).encode()
    path = tiktok.send_file(content)["data"]["file_path"]
    audience_id = tiktok.try_create([path])["data"]["custom_audience_id"]
    assert len(tiktok.members(audience_id)) == 1000
    assert tiktok.history(audience_id)[0]["msg"] is None


def test_md5_types_take_32_hex_digits(tiktok: Client) -> None:
    rows = [hashlib.md5(str(number).encode()).hexdigest() for number in range(1000)]
    audience_id = tiktok.create(rows, calculate_type="GAID_MD5")
    assert tiktok.members(audience_id) == sorted(rows)
    assert tiktok.history(tiktok.create(digests(1000), calculate_type="GAID_MD5"))[0]["msg"] is not None


@pytest.mark.parametrize("line", ["email_sha256", "someone@example.com", "0" * 63, "g" * 64, "00 " * 21 + "0", '"00"'])
def test_lines_that_cannot_be_parsed_are_a_partial_failure_in_the_history(tiktok: Client, line: str) -> None:
    audience_id = tiktok.create([line, *digests(1000)])
    assert len(tiktok.members(audience_id)) == 1000
    assert tiktok.history(audience_id)[0]["msg"] == "1 of 1001 rows could not be parsed."
    assert tiktok.details(audience_id)["is_valid"]
    assert tiktok.details(audience_id)["error_msg"] is None


def test_a_path_can_be_used_only_by_the_advertiser_that_uploaded_it(tiktok: Client) -> None:
    path = tiktok.upload(digests(1000))
    tiktok.advertiser_id = OTHER_ADVERTISER
    assert tiktok.try_create([path])["code"] == 40001


def test_a_path_expires(tiktok: Client) -> None:
    path = tiktok.upload(digests(1000))
    tiktok.advance(23.9)
    assert tiktok.try_create([path])["code"] == 0
    tiktok.advance(0.2)
    assert tiktok.try_create([path])["code"] == 40910
    tiktok.upload(digests(1))
    assert tiktok.try_create([path])["code"] == 40910


def test_a_path_can_be_used_once_if_so_chosen() -> None:
    with emulated(single_use_files=True) as tiktok:
        path = tiktok.upload(digests(1000))
        assert tiktok.try_create([path], custom_audience_name="x" * 129)["code"] == 40002
        audience_id = tiktok.try_create([path])["data"]["custom_audience_id"]
        assert tiktok.try_create([path])["code"] == 40905
        path = tiktok.upload(digests(1))
        assert tiktok.update(audience_id, file_paths=[path], action="APPEND")["code"] == 0
        assert tiktok.update(audience_id, file_paths=[path], action="APPEND")["code"] == 40905


def table(*rows: str) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def test_a_table_of_several_types_holds_every_cell(tiktok: Client) -> None:
    maid = "5f3a2b18-9c4d-4e7f-b8e2-17d3a1e69b25"
    emails, phones = digests(1000), digests(1000, 5000)
    content = table(
        "Email_SHA256,PHONE_sha256,MAID",
        f"{emails[0]},,{maid.upper()}",
        *(f"{email},{phone}," for email, phone in zip(emails[1:], phones, strict=False)),
    )
    path = tiktok.send_file(content, calculate_type="MULTIPLE_TYPES")["data"]["file_path"]
    audience_id = tiktok.try_create([path], calculate_type="MULTIPLE_TYPES")["data"]["custom_audience_id"]
    known = "83dc3f5f32b9472613b0f038d36f22585a609d018af6f6067f50da318bf354bd"
    assert tiktok.members(audience_id) == sorted([*emails, *phones[:999], known])
    assert tiktok.history(audience_id)[0]["msg"] is None


def test_a_table_with_cells_that_cannot_be_parsed_is_a_partial_failure(tiktok: Client) -> None:
    content = table("email_SHA256,MAID", *(f"{row}," for row in digests(1000)), f"{digests(1, 2000)[0]},not-a-maid")
    path = tiktok.send_file(content, calculate_type="MULTIPLE_TYPES")["data"]["file_path"]
    audience_id = tiktok.try_create([path], calculate_type="MULTIPLE_TYPES")["data"]["custom_audience_id"]
    assert tiktok.history(audience_id)[0]["msg"] == "1 of 1001 rows could not be parsed."
    assert len(tiktok.members(audience_id)) == 1001


@pytest.mark.parametrize(
    "content",
    [
        table(*digests(2)),
        table("email_sha256,name", f"{'0' * 64},x"),
        table("email_sha256,phone_sha256", "0" * 64),
        table(",".join(["email_sha256"] * 4), ",,,"),
        table("\0"),
        b"\n",
    ],
    ids=["no header", "unknown header", "uneven row", "header four times", "not text", "nothing"],
)
def test_a_table_against_the_specification_is_refused(tiktok: Client, content: bytes) -> None:
    assert tiktok.send_file(content, calculate_type="MULTIPLE_TYPES")["code"] == 40915
