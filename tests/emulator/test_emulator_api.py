"""The endpoints' requests and answers; what becomes of an audience over time is in test_emulator_audiences."""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER, digests, emulated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.emulator_client import Client

AUDIENCES = "/dmp/custom_audience"


@pytest.fixture
def tiktok() -> Iterator[Client]:
    with emulated() as client:
        yield client


# The way in


def test_a_missing_final_slash_is_a_plain_404(tiktok: Client) -> None:
    for path in ("/user/info", "/nowhere"):
        answer = requests.get(tiktok.base + path, headers=tiktok.headers, timeout=10)
        assert (answer.status_code, answer.text) == (404, "404 page not found")


def test_an_unknown_path_is_404_with_an_envelope(tiktok: Client) -> None:
    answer = requests.get(f"{tiktok.base}{AUDIENCES}/", headers=tiktok.headers, timeout=10)
    assert answer.status_code == 404
    assert answer.json()["code"] == 40400


def test_another_version_is_refused(tiktok: Client) -> None:
    answer = requests.get(f"{tiktok.url}/open_api/v1.2/user/info/", headers=tiktok.headers, timeout=10)
    assert answer.json()["code"] == 40006


def test_the_token_is_read_from_its_header_alone(tiktok: Client) -> None:
    tiktok.headers = {"Authorization": "Bearer emulator-token"}
    answer = tiktok.get("/user/info/", access_token="emulator-token")
    assert answer["code"] == 40104
    assert (
        answer["message"] == "Access token is null, you should set it in http header with key Access-Token."
    )  # recorded
    assert answer["data"] == {}


@pytest.mark.parametrize("token", ["unknown", "Bearer emulator-token"])
def test_an_unknown_token_is_refused(tiktok: Client, token: str) -> None:
    tiktok.headers = {"Access-Token": token}
    answer = tiktok.get("/user/info/")
    assert (answer["code"], answer["message"]) == (40105, "Access token is incorrect or has been revoked.")


READING = ["list", "get"]
CHANGING = ["file/upload", "create", "update", "delete"]


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [([3], [*READING, *CHANGING]), ([30], READING), ([31], CHANGING), ([32], []), ([], [])],
)
def test_each_endpoint_needs_its_permission_or_the_parent_of_it(
    tiktok: Client, scopes: list[int], allowed: list[str]
) -> None:
    tiktok.control("tokens", {"token": "limited", "scopes": scopes})
    tiktok.headers = {"Access-Token": "limited"}
    for name in READING:
        assert (tiktok.get(f"{AUDIENCES}/{name}/")["code"] == 40002) == (name in allowed)
    for name in CHANGING:
        assert (tiktok.post(f"{AUDIENCES}/{name}/")["code"] == 40002) == (name in allowed)
    assert tiktok.get("/user/info/")["code"] == 0


def test_a_missing_permission_has_the_recorded_text(tiktok: Client) -> None:
    tiktok.control("tokens", {"token": "limited", "scopes": [31]})
    tiktok.headers = {"Access-Token": "limited"}
    answer = tiktok.listing()
    assert answer["code"] == 40001
    assert answer["message"] == (
        "Permission error: The access token lacks the required scope for endpoint "
        f"'{AUDIENCES}/list/(method=GET)'. Please first check if the request method is correct then ask the user to "
        "generate a new access token and reauthorize your API App with the necessary API scopes."
    )


def test_a_wrong_method_is_answered_like_a_missing_permission(tiktok: Client) -> None:
    assert tiktok.post(f"{AUDIENCES}/list/")["code"] == 40001
    assert "(method=GET)" in tiktok.get(f"{AUDIENCES}/create/")["message"]


def test_a_token_acts_for_its_advertisers_alone() -> None:
    with emulated(advertiser_ids=[ADVERTISER, OTHER_ADVERTISER]) as tiktok:
        tiktok.control("tokens", {"token": "limited", "advertiser_ids": [OTHER_ADVERTISER]})
        tiktok.headers = {"Access-Token": "limited"}
        answer = tiktok.listing()
        assert (answer["code"], answer["message"]) == (40001, f"No permission to operate advertiser {ADVERTISER}.")
        assert tiktok.send_file(b"00\n")["code"] == 40001
        assert tiktok.try_create(["0" * 16])["code"] == 40001
        assert tiktok.update("1")["code"] == 40001
        assert tiktok.delete("1")["code"] == 40001
        assert tiktok.try_read("1")["code"] == 40001
        tiktok.advertiser_id = OTHER_ADVERTISER
        assert tiktok.listing()["code"] == 0


def test_the_envelope_has_a_request_id_of_tiktoks_form(tiktok: Client) -> None:
    response = requests.get(f"{tiktok.base}/user/info/", headers=tiktok.headers, timeout=10)
    answer = response.json()
    assert list(answer) == ["code", "message", "request_id", "data"]
    assert (answer["code"], answer["message"]) == (0, "OK")
    assert re.fullmatch(r"\d{14}[0-9A-F]{20}", answer["request_id"])
    # Eight hours ahead of UTC.
    date = parsedate_to_datetime(response.headers["Date"])
    assert answer["request_id"][8:10] == f"{(date.hour + 8) % 24:02}"
    assert response.headers["X-TT-LOGID"] == answer["request_id"]


def test_there_is_one_date_and_it_follows_the_clock(tiktok: Client) -> None:
    def date() -> Any:
        response = requests.get(f"{tiktok.base}/user/info/", timeout=10)
        assert len(response.raw.headers.getlist("Date")) == 1
        return parsedate_to_datetime(response.headers["Date"])

    before = date()
    tiktok.advance(48)
    assert 47.9 < (date() - before).total_seconds() / 3600 < 48.1


def test_more_requests_a_second_than_the_tier_has_are_refused() -> None:
    with emulated(qps=3) as tiktok:
        answers = [tiktok.get("/user/info/") for _ in range(20)]
        refused = [answer for answer in answers if answer["code"]]
        assert {(answer["code"], answer["message"]) for answer in refused} == {(40100, "App reaches the QPS limit 3")}
        assert answers[2]["code"] == 0
        tiktok.control("clock", {"advance_seconds": 1})
        assert tiktok.get("/user/info/")["code"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b"\xff", b'{"custom_audience_name": "\\ud800"}'])
def test_a_body_that_is_no_json_object_is_refused(tiktok: Client, body: bytes) -> None:
    headers = {**tiktok.headers, "Content-Type": "application/json"}
    answer = requests.post(f"{tiktok.base}{AUDIENCES}/create/", data=body, headers=headers, timeout=10)
    assert answer.json()["code"] == 40002


def test_a_body_must_be_declared_as_json(tiktok: Client) -> None:
    answer = requests.post(f"{tiktok.base}{AUDIENCES}/create/", data=b"{}", headers=tiktok.headers, timeout=10).json()
    assert "Content-Type" in answer["message"]


# create/


def test_create_names_every_missing_field(tiktok: Client) -> None:
    assert tiktok.post(f"{AUDIENCES}/create/", calculate_type="EMAIL_SHA256", file_paths=None)["message"] == (
        "Missing required field(s): advertiser_id, custom_audience_name, file_paths."
    )


def test_create_gives_a_string_of_nine_digits(tiktok: Client) -> None:
    answer = tiktok.try_create([tiktok.upload(digests(1))])
    assert list(answer["data"]) == ["custom_audience_id"]
    assert re.fullmatch(r"\d{9}", answer["data"]["custom_audience_id"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"advertiser_id": 7000000000000000001},
        {"custom_audience_name": ""},
        {"custom_audience_name": "x" * 129},
        {"custom_audience_name": 1},
        {"file_paths": []},
        {"file_paths": "0" * 16},
        {"file_paths": ["0" * 15]},
        {"file_paths": [1]},
        {"file_paths": ["0" * 16] * 501},
        {"retention_in_days": 0},
        {"retention_in_days": 366},
        {"retention_in_days": "30"},
        {"retention_in_days": True},
        {"audience_sub_type": "LOOKALIKE"},
        {"audience_enhancement": "yes"},
    ],
    ids=str,
)
def test_create_checks_types_and_bounds(tiktok: Client, wrong: dict[str, Any]) -> None:
    assert tiktok.try_create(**{"paths": [tiktok.upload(digests(1))]} | wrong)["code"] == 40002
    assert tiktok.listing()["data"]["list"] == []


def test_create_takes_the_bounds_themselves(tiktok: Client) -> None:
    path = tiktok.upload(digests(1000))
    for fields in (
        {"custom_audience_name": "é" * 128, "retention_in_days": 1},
        {"file_paths": [path] * 500, "retention_in_days": 365, "audience_enhancement": True},
        {"audience_sub_type": "REACH_FREQUENCY", "unknown_field": "is ignored"},
    ):
        assert tiktok.try_create(**{"paths": [path]} | fields)["code"] == 0
    newest, _, oldest = (tiktok.details(item["audience_id"]) for item in tiktok.listing()["data"]["list"])
    assert newest["audience_sub_type"] == "REACH_FREQUENCY"
    assert oldest["name"] == "é" * 128


def test_create_joins_its_files(tiktok: Client) -> None:
    paths = [tiktok.upload(digests(600)), tiktok.upload(digests(600, 500))]
    audience_id = tiktok.try_create(paths)["data"]["custom_audience_id"]
    assert tiktok.members(audience_id) == sorted(digests(1100))


def test_create_refuses_an_unknown_file(tiktok: Client) -> None:
    assert tiktok.try_create(["0" * 16])["code"] == 40905


def test_create_refuses_a_file_of_another_type(tiktok: Client) -> None:
    assert tiktok.try_create([tiktok.upload(digests(1))], calculate_type="PHONE_SHA256")["code"] == 40002


def test_two_audiences_may_have_one_name(tiktok: Client) -> None:
    assert tiktok.create(digests(1000)) != tiktok.create(digests(1000))


def test_an_advertiser_has_at_most_400_audiences(tiktok: Client) -> None:
    for _ in range(399):
        tiktok.seed(random_members=0)
    tiktok.seed(advertiser_id=OTHER_ADVERTISER)
    path = tiktok.upload(digests(1))
    audience_id = tiktok.try_create([path])["data"]["custom_audience_id"]
    assert tiktok.try_create([path])["code"] == 40002
    tiktok.delete(audience_id)
    assert tiktok.try_create([path])["code"] == 0


# update/


def test_update_needs_a_name_or_files(tiktok: Client) -> None:
    audience_id = tiktok.create(digests(1000))
    assert tiktok.update(audience_id)["code"] == 40002
    assert tiktok.update(audience_id, audience_enhancement=True)["code"] == 40002


def test_update_refuses_what_is_not_its_own(tiktok: Client) -> None:
    other = tiktok.seed(advertiser_id=OTHER_ADVERTISER)
    shared = tiktok.seed(advertiser_id=OTHER_ADVERTISER, shared_with=[ADVERTISER])
    codes = [tiktok.update(each, digests(1), action="APPEND")["code"] for each in (other, shared, "1")]
    assert codes == [40001, 40001, 40007]


def test_update_refuses_an_unknown_action(tiktok: Client) -> None:
    for action in ("append", ["APPEND"], 1):
        assert tiktok.update(tiktok.seed(), digests(1), action=action)["code"] == 40002


def test_update_refuses_files_of_another_type(tiktok: Client) -> None:
    audience_id = tiktok.seed(calculate_type="PHONE_SHA256")
    assert tiktok.update(audience_id, digests(1), action="APPEND")["code"] == 40002


@pytest.mark.parametrize("audience_type", ["Website Audience", "Partner", "Lookalike Audience"])
def test_only_customer_file_audiences_take_files(tiktok: Client, audience_type: str) -> None:
    audience_id = tiktok.seed(audience_type=audience_type)
    assert tiktok.update(audience_id, digests(1), action="APPEND")["code"] == 40002
    assert tiktok.update(audience_id, custom_audience_name="Renamed")["code"] == 0


def test_rename_leaves_the_members_alone(tiktok: Client) -> None:
    audience_id = tiktok.create(digests(1000))
    assert tiktok.update(audience_id, custom_audience_name="Renamed")["data"] == {}
    assert tiktok.update(audience_id, custom_audience_name="x" * 129)["code"] == 40002
    assert tiktok.details(audience_id)["name"] == "Renamed"
    assert tiktok.members(audience_id) == sorted(digests(1000))
    assert [entry["action"] for entry in tiktok.history(audience_id)] == ["rename", "create"]


def test_a_name_and_files_go_together(tiktok: Client) -> None:
    audience_id = tiktok.create(digests(1000))
    tiktok.update(
        audience_id, digests(1, 1000), custom_audience_name="More", action="APPEND", audience_enhancement=True
    )
    assert len(tiktok.members(audience_id)) == 1001
    assert tiktok.details(audience_id)["name"] == "More"
    assert tiktok.details(audience_id)["enhancement_status"] == "ON"


def test_the_sub_type_goes_one_way_and_makes_all_else_ignored(tiktok: Client) -> None:
    audience_id = tiktok.create(digests(1000))
    assert tiktok.update(audience_id, audience_sub_type="NORMAL")["code"] == 40012
    answer = tiktok.update(audience_id, digests(1), audience_sub_type="REACH_FREQUENCY", custom_audience_name="Ignored")
    assert answer["code"] == 0
    assert tiktok.details(audience_id)["audience_sub_type"] == "REACH_FREQUENCY"
    assert tiktok.details(audience_id)["name"] == "Customers"
    assert len(tiktok.members(audience_id)) == 1000
    assert tiktok.update(audience_id, audience_sub_type="NORMAL")["code"] == 40002
    lookalike = tiktok.seed(audience_type="Lookalike Audience")
    assert tiktok.update(lookalike, audience_sub_type="REACH_FREQUENCY")["code"] == 40002


# list/ and get/


def test_list_has_tiktoks_fields_and_times_in_utc(tiktok: Client) -> None:
    audience_id = tiktok.create(digests(1000), custom_audience_name="Buyers")
    now = tiktok.control("clock").json()["now"]
    (item,) = tiktok.listing()["data"]["list"]
    assert item["create_time"][:13] == now[:13].replace("T", " ")
    assert item["expired_time"][:4] == str(int(now[:4]) + 1)
    del item["create_time"], item["expired_time"]
    assert item == {
        "audience_id": audience_id,
        "name": "Buyers",
        "audience_type": "Customer File Audience",
        "calculate_type": "EMAIL_SHA256",
        "cover_num": 1000,
        "is_valid": True,
        "is_expiring": False,
        "is_creator": True,
        "shared": False,
    }


def test_list_goes_page_by_page(tiktok: Client) -> None:
    made = [tiktok.seed(random_members=0) for _ in range(23)]
    page = tiktok.listing()["data"]
    assert page["page_info"] == {"page": 1, "page_size": 10, "total_number": 23, "total_page": 3}
    pages = [tiktok.listing(page=number)["data"]["list"] for number in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [10, 10, 3, 0]
    assert {item["audience_id"] for page in pages for item in page} == set(made)
    assert len(tiktok.listing(page_size=100)["data"]["list"]) == 23


@pytest.mark.parametrize("wrong", [{"page": 0}, {"page_size": 0}, {"page_size": 101}, {"page": "one"}], ids=str)
def test_list_refuses_pages_out_of_bounds(tiktok: Client, wrong: dict[str, Any]) -> None:
    assert tiktok.listing(**wrong)["code"] == 40002


def test_list_shows_owned_and_shared_audiences(tiktok: Client) -> None:
    own, lent = tiktok.seed(), tiktok.seed(shared_with=[OTHER_ADVERTISER])
    borrowed = tiktok.seed(advertiser_id=OTHER_ADVERTISER, shared_with=[ADVERTISER])
    tiktok.seed(advertiser_id=OTHER_ADVERTISER)
    seen = {item["audience_id"]: (item["shared"], item["is_creator"]) for item in tiktok.listing()["data"]["list"]}
    assert seen == {own: (False, True), lent: (True, True), borrowed: (True, False)}
    assert tiktok.details(borrowed)["owner_id"] == OTHER_ADVERTISER


def test_list_finds_ids(tiktok: Client) -> None:
    _, wanted = tiktok.seed(), tiktok.seed()
    answer = tiktok.listing(custom_audience_ids=json.dumps([wanted, "1"]))
    assert [item["audience_id"] for item in answer["data"]["list"]] == [wanted]


@pytest.mark.parametrize(
    ("ids", "code"),
    [("195365740", 40002), ('"195365740"', 40002), ("[]", 40002), ("[1]", 40002), (json.dumps(["1"] * 101), 40011)],
)
def test_ids_are_one_json_encoded_array_of_strings(tiktok: Client, ids: str, code: int) -> None:
    for name in ("list", "get"):
        answer = tiktok.get(f"{AUDIENCES}/{name}/", advertiser_id=ADVERTISER, custom_audience_ids=ids)
        assert answer["code"] == code


def test_a_new_audience_is_listed_after_the_lag() -> None:
    with emulated(list_lag_seconds=60) as tiktok:
        audience_id = tiktok.create(digests(1000))
        assert tiktok.listing()["data"]["page_info"]["total_number"] == 0
        assert tiktok.details(audience_id)["is_valid"]
        tiktok.control("clock", {"advance_seconds": 60})
        assert tiktok.listing()["data"]["page_info"]["total_number"] == 1


def test_get_has_tiktoks_fields_and_times_of_the_advertisers_zone(tiktok: Client) -> None:
    audience_id = tiktok.create(digests(999))
    (item,) = tiktok.try_read(audience_id)["data"]["list"]
    details = item["audience_details"]
    (listed,) = tiktok.listing()["data"]["list"]
    # The advertiser is at Etc/GMT-13, which is 13 hours ahead.
    hours = [int(time[11:13]) for time in (details["create_time"], listed["create_time"])]
    assert (hours[0] - hours[1]) % 24 == 13
    assert item["audience_history"] == [
        {
            "action": "create",
            "action_detail": "",
            "editor": "open_api",
            "msg": None,
            "opt_time": details["create_time"],
        }
    ]
    del details["create_time"]
    assert details == {
        "audience_id": audience_id,
        "name": "Customers",
        "type": "Customer File Audience",
        "calculate_type": "EMAIL_SHA256",
        "cover_num": 0,
        "is_valid": False,
        "is_expiring": False,
        "is_creator": True,
        "is_auto_refresh": False,
        "shared": False,
        "owner_id": ADVERTISER,
        "audience_sub_type": "NORMAL",
        "audience_enhancement": False,
        "enhancement_status": "OFF",
        "expired_time": "2038-01-01 13:00:00",
        "rule": None,
        "lookalike_spec": None,
        "msg": None,
        "error_msg": None,
    }


def test_get_shows_as_much_history_as_asked_for(tiktok: Client) -> None:
    audience_id = tiktok.create(digests(1000))
    tiktok.update(audience_id, custom_audience_name="Renamed")
    assert [entry["action"] for entry in tiktok.history(audience_id, history_size=1)] == ["rename"]
    for wrong in (0, 101):
        assert tiktok.try_read(audience_id, history_size=wrong)["code"] == 40002


def test_get_leaves_out_what_the_advertiser_does_not_see(tiktok: Client) -> None:
    other = tiktok.seed(advertiser_id=OTHER_ADVERTISER)
    assert tiktok.try_read(other, "1")["data"] == {"list": []}


# delete/


def test_delete_takes_all_or_none(tiktok: Client) -> None:
    first, second = tiktok.create(digests(1000)), tiktok.seed()
    other = tiktok.seed(advertiser_id=OTHER_ADVERTISER)
    assert tiktok.delete(first, other)["code"] == 40001
    assert tiktok.delete(first, "1")["code"] == 40007
    assert tiktok.details(first)["is_valid"]
    assert tiktok.delete(first, second, second)["data"] == {}
    assert tiktok.listing()["data"]["list"] == []


def test_delete_checks_its_ids(tiktok: Client) -> None:
    assert tiktok.delete()["code"] == 40002
    assert tiktok.delete(*["1"] * 101)["code"] == 40011
