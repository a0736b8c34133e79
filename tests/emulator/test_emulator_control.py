"""Faults, seeds, the clock and the log of requests; who may ask for tokens is in test_emulator_oauth."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER, TOKEN, digests, emulated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.emulator_client import Client

CREATE = "/dmp/custom_audience/create/"
UPDATE = "/dmp/custom_audience/update/"
USER = "/user/info/"


@pytest.fixture
def tiktok() -> Iterator[Client]:
    with emulated() as client:
        yield client


def raw(tiktok: Client, path: str = USER) -> requests.Response:
    return requests.get(tiktok.base + path, headers=tiktok.headers, timeout=10, allow_redirects=False)


# Faults


def test_a_fault_answers_with_a_code_and_a_message(tiktok: Client) -> None:
    tiktok.fault(path=CREATE, code=50000, message="System error.")
    answer = tiktok.try_create([tiktok.upload(digests(1000))])
    assert (answer["code"], answer["message"], answer["data"]) == (50000, "System error.", {})
    assert tiktok.control("audiences").json() == []


def test_a_fault_is_for_its_path_alone_and_counts_its_requests(tiktok: Client) -> None:
    tiktok.fault(path=USER, skip=2, times=3, code=40100)
    assert tiktok.listing()["code"] == 0
    assert [tiktok.get(USER)["code"] for _ in range(7)] == [0, 0, 40100, 40100, 40100, 0, 0]
    assert tiktok.control("faults").json() == []


def test_a_fault_without_a_path_and_an_end_spoils_everything_until_it_is_forgotten(tiktok: Client) -> None:
    tiktok.fault(times=None, code=60001)
    assert [tiktok.get(USER)["code"], tiktok.listing()["code"], tiktok.get(USER)["code"]] == [60001] * 3
    assert tiktok.control("faults").json() == [{"times": None, "code": 60001}]
    tiktok.control("faults", method="DELETE")
    assert tiktok.get(USER)["code"] == 0


def test_faults_of_one_path_come_one_after_the_other(tiktok: Client) -> None:
    for code in (40100, 50002):
        tiktok.fault(path=USER, code=code)
    tiktok.fault(path=USER, code=61000, skip=2)
    assert [tiktok.get(USER)["code"] for _ in range(4)] == [40100, 50002, 61000, 0]


def test_a_fault_answers_with_an_http_status_and_html(tiktok: Client) -> None:
    tiktok.fault(path=USER, http_status=502)
    answer = raw(tiktok)
    assert answer.status_code == 502
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<html>" in answer.text
    tiktok.fault(path=USER, http_status=503, code=50000)
    answer = raw(tiktok)
    assert (answer.status_code, answer.json()["code"]) == (503, 50000)


def test_a_fault_answers_with_any_text(tiktok: Client) -> None:
    tiktok.fault(path=USER, body="not json")
    tiktok.fault(path=USER, body='{"code": 0, "mess', http_status=504)
    assert [(answer.status_code, answer.text) for answer in (raw(tiktok), raw(tiktok))] == [
        (200, "not json"),
        (504, '{"code": 0, "mess'),
    ]


def test_a_fault_redirects(tiktok: Client) -> None:
    tiktok.fault(path=USER, location="http://127.0.0.1:9/elsewhere")
    tiktok.fault(path=USER, location="/elsewhere", http_status=307)
    for status, location in ((302, "http://127.0.0.1:9/elsewhere"), (307, "/elsewhere")):
        answer = raw(tiktok)
        assert (answer.status_code, answer.headers["Location"]) == (status, location)


def test_a_connection_is_dropped_before_the_effect(tiktok: Client) -> None:
    path = tiktok.upload(digests(1000))
    tiktok.fault(path=CREATE, drop="before")
    with pytest.raises(requests.ConnectionError):
        tiktok.try_create([path])
    assert tiktok.control("audiences").json() == []
    assert tiktok.try_create([path])["code"] == 0


def test_a_connection_is_dropped_after_the_effect(tiktok: Client) -> None:
    path = tiktok.upload(digests(1000))
    tiktok.fault(path=CREATE, drop="after")
    with pytest.raises(requests.ConnectionError):
        tiktok.try_create([path])
    (audience,) = tiktok.control("audiences").json()
    assert audience["rows"] == 1000


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_upload_is_dropped_while_the_session_goes_on(tiktok: Client, moment: str) -> None:
    tiktok.fault(path="/dmp/custom_audience/file/upload/", drop=moment)
    with requests.Session() as session:
        session.headers.update(tiktok.headers)
        files = {"file": ("people.csv", b"00\n" * 1_000_000)}
        assert session.get(tiktok.base + USER, timeout=10).status_code == 200
        with pytest.raises(requests.ConnectionError):
            session.post(f"{tiktok.base}/dmp/custom_audience/file/upload/", files=files, timeout=10)
        assert session.get(tiktok.base + USER, timeout=10).status_code == 200


def test_an_answer_is_cut_in_half_after_the_effect(tiktok: Client) -> None:
    path = tiktok.upload(digests(1000))
    tiktok.fault(path=CREATE, truncate=True)
    with pytest.raises(requests.JSONDecodeError):
        tiktok.try_create([path])
    assert len(tiktok.control("audiences").json()) == 1


def test_any_answer_can_come_after_the_effect(tiktok: Client) -> None:
    path = tiktok.upload(digests(1000))
    tiktok.fault(path=CREATE, code=50000, after_effect=True)
    assert tiktok.try_create([path])["code"] == 50000
    assert len(tiktok.control("audiences").json()) == 1


def test_an_answer_is_delayed(tiktok: Client) -> None:
    tiktok.fault(path=USER, delay_s=30)
    with pytest.raises(requests.ReadTimeout):
        requests.get(tiktok.base + USER, headers=tiktok.headers, timeout=0.05)
    tiktok.fault(path=USER, delay_s=0.01, code=50000)
    assert tiktok.get(USER)["code"] == 50000


def test_the_server_stops_at_once_though_an_answer_is_delayed() -> None:
    with emulated() as tiktok:
        tiktok.fault(path=USER, delay_s=30)
        with pytest.raises(requests.ReadTimeout):
            requests.get(tiktok.base + USER, headers=tiktok.headers, timeout=0.05)
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_an_answer_drips_without_an_end(tiktok: Client) -> None:
    tiktok.fault(path=USER, drip_s=0.001)
    with requests.get(tiktok.base + USER, headers=tiktok.headers, timeout=10, stream=True) as answer:
        came = "".join(map(chr, (block[0] for block, _ in zip(answer.iter_content(1), range(1000), strict=False))))
    assert json.loads(came)["code"] == 0
    assert len(came) == 1000


def test_a_connection_is_dropped_while_the_request_comes_in(tiktok: Client) -> None:
    tiktok.fault(path="/dmp/custom_audience/file/upload/", drop="during")
    with pytest.raises(requests.ConnectionError):
        tiktok.send_file(b"x" * 20_000_000)
    assert tiktok.upload(digests(10))


def test_failing_later_leaves_refused_requests_refused(tiktok: Client) -> None:
    tiktok.fault(path=UPDATE, fail_later="Matching failed.")
    assert tiktok.update("1", digests(1))["code"] == 40007


@pytest.mark.parametrize(
    "fault",
    [{"paths": USER}, {"skip": -1}, {"times": 0}, {"drop": "now"}, {"http_status": 99}, {"code": "40100"}, []],
    ids=str,
)
def test_a_fault_that_cannot_be_meant_is_refused(tiktok: Client, fault: Any) -> None:
    answer = requests.post(f"{tiktok.url}/_emulator/faults", json=fault, timeout=10)
    assert answer.status_code == 400
    assert answer.text


# Seeds


def test_a_seed_is_ready_and_its_members_are_those_given(tiktok: Client) -> None:
    audience_id = tiktok.seed(name="Old", calculate_type="PHONE_SHA256", members=digests(1200))
    assert tiktok.members(audience_id) == sorted(digests(1200))
    details = tiktok.details(audience_id)
    assert (details["name"], details["calculate_type"]) == ("Old", "PHONE_SHA256")
    assert (details["is_valid"], details["cover_num"]) == (True, 1200)
    assert tiktok.control("audiences").json() == [
        {
            "audience_id": audience_id,
            "advertiser_id": ADVERTISER,
            "name": "Old",
            "audience_type": "Customer File Audience",
            "calculate_type": "PHONE_SHA256",
            "rows": 1200,
            "processed_rows": 1200,
            "is_valid": True,
            "processing": False,
        }
    ]


def test_a_seed_may_have_many_made_up_members(tiktok: Client) -> None:
    audience_id = tiktok.seed(random_members=50_000)
    assert len(set(tiktok.members(audience_id))) == 50_000
    assert not tiktok.details(tiktok.seed(random_members=999))["is_valid"]


def test_a_seed_may_be_of_another_type_and_of_long_ago(tiktok: Client) -> None:
    website = tiktok.details(tiktok.seed(audience_type="Website Audience", created_days_ago=700, error_msg="Oh."))
    assert (website["type"], website["calculate_type"]) == ("Website Audience", None)
    assert (website["is_valid"], website["error_msg"]) == (True, "Oh.")
    now = tiktok.control("clock").json()["now"]
    assert int(now[:4]) - int(website["create_time"][:4]) in {1, 2}
    assert tiktok.details(tiktok.seed(audience_type="Partner"))["calculate_type"] == "MULTIPLE_TYPES"


def test_made_up_members_of_md5_types_are_as_short_as_real_ones(tiktok: Client) -> None:
    audience_id = tiktok.seed(calculate_type="IDFA_MD5")
    assert {len(member) for member in tiktok.members(audience_id)} == {32}


@pytest.mark.parametrize("seed", [{"members": ["zz"]}, {"audience_type": "Friends"}, {"expires": True}], ids=str)
def test_a_seed_that_cannot_be_meant_is_refused(tiktok: Client, seed: dict[str, Any]) -> None:
    body = {"advertiser_id": ADVERTISER, **seed}
    assert requests.post(f"{tiktok.url}/_emulator/audiences", json=body, timeout=10).status_code == 400


def test_an_unknown_audience_has_no_members(tiktok: Client) -> None:
    assert requests.get(f"{tiktok.url}/_emulator/audiences/1/members", timeout=10).status_code == 404


# Clock, advertisers, requests


def test_the_clock_goes_either_way_and_not_too_far(tiktok: Client) -> None:
    before = tiktok.control("clock").json()["now"]
    assert tiktok.control("clock", {"advance_hours": 0.5, "advance_seconds": 1}).json()["now"] > before
    assert tiktok.control("clock", {"advance_hours": -2}).json()["now"] < before
    for wrong in (-1e12, 1e12):
        body = {"advance_hours": wrong}
        assert requests.post(f"{tiktok.url}/_emulator/clock", json=body, timeout=10).status_code == 400


def test_advertisers_can_be_added_and_described(tiktok: Client) -> None:
    tiktok.control(
        "advertisers",
        [
            {
                "advertiser_id": OTHER_ADVERTISER,
                "name": "Two",
                "country": "DE",
                "status": "STATUS_PENDING_CONFIRM",
                "timezone": "Asia/Kolkata",
                "currency": "EUR",
            },
            {"advertiser_id": "3"},
        ],
    )
    ids = json.dumps([OTHER_ADVERTISER, ADVERTISER])
    described, default = tiktok.get("/advertiser/info/", advertiser_ids=ids)["data"]["list"]
    assert (
        described
        | {
            "name": "Two",
            "country": "DE",
            "status": "STATUS_PENDING_CONFIRM",
            "timezone": "Asia/Kolkata",
            "currency": "EUR",
        }
        == described
    )
    assert default["advertiser_id"] == ADVERTISER
    assert default["status"] == "STATUS_ENABLE"
    tiktok.advertiser_id = OTHER_ADVERTISER
    created = tiktok.details(tiktok.create(digests(1000)))["create_time"]
    assert abs(int(created[14:16]) - int(tiktok.listing()["data"]["list"][0]["create_time"][14:16])) == 30


def test_an_unknown_time_zone_is_refused(tiktok: Client) -> None:
    body = [{"advertiser_id": "3", "timezone": "Mars/Olympus"}]
    assert requests.post(f"{tiktok.url}/_emulator/advertisers", json=body, timeout=10).status_code == 400


def test_the_log_tells_what_was_asked_for(tiktok: Client) -> None:
    audience_id = tiktok.create(digests(1000))
    tiktok.update(audience_id, digests(1, 1000), action="APPEND")
    tiktok.update(audience_id, custom_audience_name="Renamed")
    tiktok.fault(path=USER, drop="before")
    tiktok.fault(path=USER, code=50000)
    with pytest.raises(requests.ConnectionError):
        raw(tiktok)
    raw(tiktok)
    raw(tiktok, "/user/info")
    upload = {"path": "/dmp/custom_audience/file/upload/", "files": 1}
    common = {"method": "POST", "code": 0, "action": None, "audience_id": None, "files": 0}
    assert tiktok.requests() == [
        common | upload,
        common | {"path": CREATE, "audience_id": audience_id, "files": 1},
        common | upload,
        common | {"path": UPDATE, "action": "APPEND", "audience_id": audience_id, "files": 1},
        common | {"path": UPDATE, "audience_id": audience_id},
        common | {"method": "GET", "path": USER, "code": None},
        common | {"method": "GET", "path": USER, "code": 50000},
        common | {"method": "GET", "path": "/user/info", "code": None},
    ]


def test_the_log_holds_no_token_and_nothing_personal(tiktok: Client) -> None:
    person = "someone@example.com"
    tiktok.update(person, action=person, file_paths=[person], custom_audience_name=person)
    tiktok.listing(person=person)
    log = tiktok.control("requests").text
    assert person not in log
    assert TOKEN not in log


def test_the_control_paths_are_no_part_of_the_log(tiktok: Client) -> None:
    tiktok.seed()
    assert tiktok.requests() == []
