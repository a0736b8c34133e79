"""Bad input and refusals: a clear last line, exit 1, no state, nothing created, no identifier printed, no traceback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER
from support.failures import TEXT, check, files_with_marker
from support.singer import STREAM, digests, email, people, record, schema, state, stream_of
from support.target import MARKER, Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.emulator_client import Client
    from support.target import Outcome

GOOD = stream_of(1, 1000)
INTEGER = {"type": ["integer", "null"]}

BAD_INPUT: dict[str, tuple[Sequence[object], list[str]]] = {
    "malformed JSON": ([schema(), '{"type": "RECORD", "record": {"email": "' + email(1)], ["Line 2", "is not JSON"]),
    "not an object": ([f'["{email(1)}"]'], ["Line 1", "no Singer message"]),
    "no type": ([{"stream": email(1)}], ["Line 1", "no Singer message"]),
    "a type that is a list": ([{"type": [email(1)]}], ["Line 1", "no Singer message"]),
    "an unknown type": ([{"type": email(1)}], ["unknown message type"]),
    "a record before its schema": ([record(1, email=email(1))], [STREAM, "before a corresponding schema"]),
    "a record without a stream": ([{"type": "RECORD", "record": {"email": email(1)}}], ["Line 1", "`stream`"]),
    "a record that is a list": ([{"type": "RECORD", "stream": STREAM, "record": [email(1)]}], ["`record`"]),
    "a schema that is text": ([{"type": "SCHEMA", "stream": STREAM, "schema": email(1)}], ["`schema`"]),
    "a schema without columns": ([{"type": "SCHEMA", "stream": STREAM, "schema": {}}], ["Line 1", "`properties`"]),
    "a state that is text": ([schema(), {"type": "STATE", "value": email(1)}], ["Line 2", "`value`"]),
    "a key that is missing": (
        [schema(), {"type": "RECORD", "stream": STREAM, "record": {"email": email(1)}}],
        ["Line 2", "key `id`"],
    ),
    "a BATCH without its encoding": (
        [schema(), {"type": "BATCH", "stream": STREAM, "manifest": []}],
        ["Line 2", "BATCH", "`encoding`"],
    ),
    "no identifier column": (
        [schema(mail=TEXT, name=TEXT), *people(1, 1000)],
        [STREAM, "no column `email`", "id, mail, name", "identifier_field", "on_unmatched_stream"],
    ),
    "an identifier column of numbers": ([schema(email=INTEGER), *people(1, 1000)], ["`email`", "integer", "Cast it"]),
    "a name of 129 characters": ([schema("s" * 129), *people(1, 1000, "s" * 129)], ["129 characters", "128"]),
    "an empty stream": ([schema(), state()], ["0 distinct identifiers", "1,000", "not created"]),
    "fewer than TikTok needs": (stream_of(1, 999), ["999 distinct identifiers", "1,000", "not created"]),
    "every identifier missing": (
        [schema(), *(record(n, mail=email(n)) for n in range(50)), state()],
        ["All 50 records", "lack an identifier", "identifier_field"],
    ),
    "nothing but rejects": (
        [schema(), *(record(n, email=email(n).replace("@", "")) for n in range(1000)), state()],
        ["1,000 of 1,000 identifiers", "email_syntax 1,000", "max_reject_percent"],
    ),
    "a record that does not fit its schema": (
        [schema(email=TEXT), record(1, email=[email(1)])],
        ["Line 2", "column `email` of stream customers", "rule `type`"],
    ),
    "lone surrogates and nothing else": (
        [schema(), *(f'{{"type":"RECORD","stream":"{STREAM}","record":{{"id":1,"email":"\\ud800{email(1)}"}}}}',) * 30],
        ["30 of 30 identifiers"],
    ),
}


NULLS = {"type": None, "anyOf": None}
BAD_INPUT |= {
    "a stream map that fails on a record": (
        [schema(), record(1, email=email(1))],
        ["A stream map, or flattening, cannot be applied (", "`stream_maps`"],
    ),
    "properties that are null": (
        [{"type": "SCHEMA", "stream": STREAM, "schema": {"properties": None}}],
        ["Line 1", "`properties`"],
    ),
    "keys that are text": (
        [{"type": "SCHEMA", "stream": STREAM, "schema": {"properties": {}}, "key_properties": "id"}],
        ["Line 1", "`key_properties`"],
    ),
    "a file whose heading is missing": (
        [schema(STREAM, **{email(1): TEXT, "+1 657 777 0000": TEXT, "mail": TEXT})],
        ["its columns are id, mail, 2 with unusual names"],
    ),
    "a type that is null": ([schema(email=NULLS), state()], ["0 distinct identifiers"]),
    "data for keys, which do not fit": (
        [schema(email=TEXT, c={"type": "object", "additionalProperties": TEXT}), record(1, email="x", c={email(1): 5})],
        ["Line 2", "column `c` of stream customers", "rule `type`"],
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input(name: str, target: Target, tiktok: Client, tmp_path: Path) -> None:
    messages, words = BAD_INPUT[name]
    options: dict[str, Any] = {"rejects_path": str(tmp_path / "rejects.jsonl"), "rejects_key": True}
    options["validate_records"] = "fit" in name
    if "stream map" in name:
        options["stream_maps"] = {STREAM: {"email": "email + 1"}}
    check(target.run(messages, **options), *words)
    assert tiktok.control("audiences").json() == []
    assert files_with_marker(tmp_path) == []


def test_a_stream_that_does_not_fit_can_be_skipped(target: Target, tiktok: Client) -> None:
    others = [schema("other", name=TEXT), record(1, "other", name="x")]
    outcome = target.run([*others, *GOOD], on_unmatched_stream="skip")
    assert outcome.exit_code == 0
    assert [a["name"] for a in tiktok.control("audiences").json()] == [STREAM]
    assert [(b["stream"], b["read"], b["unmatched"]) for b in outcome.report["unmatched"]] == [("other", 1, 1)]


def test_a_stream_that_no_entry_names(target: Target) -> None:
    check(target.run(GOOD, audiences=[{"stream": "orders"}]), STREAM, "`audiences`", "on_unmatched_stream")


def test_a_few_bad_records_into_a_living_audience_do_not_stop_it_for_ever(target: Target, tiktok: Client) -> None:
    tiktok.seed(name=STREAM, members=digests(1, 1000))
    outcome = target.run([schema(), record(1, email=None), record(2, email="nobody"), state()])
    assert (outcome.exit_code, outcome.audience["plan"]) == (0, "NOTHING")
    assert outcome.state
    many = [record(n, email="nobody") for n in range(20)]
    check(target.run([schema(), *many, state()]), "20 of 20 identifiers")


def test_feeds_that_cannot_share_an_audience(target: Target) -> None:
    feeds = [{"contract": "EMAIL_SHA256"}, {"contract": "PHONE_SHA256"}]
    check(target.run(GOOD, audiences=feeds), "`contract`", "EMAIL_SHA256 and PHONE_SHA256", "`audience_name`")


def test_two_feeds_that_reach_one_audience_by_name_and_by_id(target: Target, tiktok: Client) -> None:
    audience_id = tiktok.seed(name=STREAM, members=digests(1, 1000))
    check(target.run(GOOD, audiences=[{}, {"audience_id": audience_id}]), "already", "set `audience_id` in both")


def test_a_blank_mark_deletes_nobody(target: Target, tiktok: Client) -> None:
    rows = [record(n, email=email(n), _sdc_deleted_at=mark) for n, mark in enumerate([None, "", False] * 400)]
    outcome = target.run([schema(), *rows])
    assert outcome.audience["books"][0]["deleted"] == 0
    assert len(tiktok.members(outcome.audience["audience_id"])) == 1200


def test_identical_entries_are_one_feed(target: Target) -> None:
    outcome = target.run(GOOD, audiences=[{}, {}])
    assert [books["read"] for books in outcome.audience["books"]] == [1000]


def test_a_name_like_an_id_is_not_that_id(target: Target, tiktok: Client) -> None:
    audience_id = tiktok.seed(name="Other", members=digests(1, 1000))
    feeds = [{"stream": STREAM, "audience_name": f"#{audience_id}"}, {"stream": "b", "audience_id": audience_id}]
    target.run([*GOOD, *stream_of(2001, 2010, "b")], audiences=feeds)
    names = {audience["name"]: audience["rows"] for audience in tiktok.control("audiences").json()}
    assert names == {"Other": 1010, f"#{audience_id}": 1000}


@pytest.mark.parametrize("path", [".", "no/such/folder/report.json"])
def test_a_report_that_cannot_be_written_is_told_before_anything_is_sent(
    target: Target, tiktok: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(target.folder)
    outcome = target.run(GOOD, report_path=path)
    assert (outcome.exit_code, outcome.state, tiktok.requests()) == (1, None, [])
    assert "`report_path` cannot be written." in outcome.last_line
    assert f": {path}." in outcome.last_line, "as the user wrote it"


# What TikTok refuses


def test_two_audiences_of_one_name_stop_the_run_with_both_ids(target: Target, tiktok: Client) -> None:
    ids = [tiktok.seed(name=STREAM) for _ in range(2)]
    check(target.run(GOOD), *ids, "Set `audience_id`")
    assert [len(tiktok.members(audience_id)) for audience_id in ids] == [1000, 1000]


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        ({"audience_type": "Lookalike Audience"}, "Lookalike Audience"),
        ({"calculate_type": "PHONE_SHA256"}, "PHONE_SHA256"),
        ({"expired": True}, "expired"),
    ],
)
@pytest.mark.parametrize("pinned", [True, False])
def test_an_audience_that_cannot_be_filled(
    target: Target, tiktok: Client, seed: dict[str, Any], words: str, *, pinned: bool
) -> None:
    audience_id = tiktok.seed(name=STREAM, **seed)
    before = tiktok.members(audience_id)
    check(target.run(GOOD, audience_id=audience_id if pinned else None), audience_id, words)
    assert tiktok.members(audience_id) == before


def test_an_audience_that_another_advertiser_shares(target: Target, tiktok: Client) -> None:
    tiktok.control("advertisers", [{"advertiser_id": OTHER_ADVERTISER}])
    tiktok.seed(advertiser_id=OTHER_ADVERTISER, name=STREAM, shared_with=[ADVERTISER])
    check(target.run(GOOD), "another advertiser owns it")


def test_a_pinned_audience_that_does_not_exist(target: Target, tiktok: Client) -> None:
    check(target.run(GOOD, audience_id="123456789"), "has no audience 123456789")
    assert tiktok.control("audiences").json() == []


def test_as_many_audiences_as_tiktok_allows(target: Target, tiktok: Client) -> None:
    for number in range(400):
        tiktok.seed(name=f"Audience {number}", random_members=0)
    check(target.run(GOOD), "has 400 audiences")


def test_an_audience_that_stays_empty(target: Target, tiktok: Client) -> None:
    target.run(stream_of(1, 10), min_audience_size=1)
    tiktok.advance(49)
    check(target.run([schema(), *people(11, 12)]), "still empty 49 hours", "fewer than 1,000")


def test_an_audience_that_somebody_else_changes_is_waited_for(target: Target, tiktok: Client) -> None:
    tiktok.seed(name=STREAM, random_members=10, created_days_ago=30)
    outcome = target.run(GOOD)
    assert (outcome.exit_code, outcome.state, outcome.audience["outcome"]) == (0, None, "held")


def unread(outcome: Outcome) -> bool:
    """Tell whether the run has ended without its records."""
    return [audience["books"][0]["read"] for audience in outcome.report["audiences"]] == [0]


def test_a_token_that_is_wrong_is_told_before_any_record(target: Target, tiktok: Client) -> None:
    outcome = target.run(GOOD, access_token="emulator-SECRET")
    check(outcome, "40105", "request", "`target-tiktok-audiences connect`")
    assert outcome.log.count("`target-tiktok-audiences connect`") == 1, "said once"
    assert unread(outcome)
    assert tiktok.control("audiences").json() == []


@pytest.mark.parametrize("fault", [{"code": 50000}, {"code": 40100}, {"http_status": 403}, {"drop": "before"}])
def test_what_may_pass_until_the_end_stops_nobody_before(target: Target, tiktok: Client, fault: dict[str, Any]) -> None:
    tiktok.fault(path="/dmp/custom_audience/list/", **fault)
    outcome = target.run(GOOD)
    assert (outcome.exit_code, target.pauses) == (0, []), outcome.log
    assert tiktok.members(outcome.audience["audience_id"]) == digests(1, 1000)


def test_one_advertiser_that_is_refused_is_told_first_and_the_other_is_served(target: Target, tiktok: Client) -> None:
    feeds = [{"advertiser_id": ADVERTISER}, {"advertiser_id": "7999999999999999999"}]
    outcome = target.run(GOOD, audiences=feeds)
    check(outcome, "1 of 2 audiences failed", "40001")
    assert "Advertiser 7999999999999999999 will fail" in outcome.log.partition("completed processing")[0]
    (audience,) = tiktok.control("audiences").json()
    assert tiktok.members(audience["audience_id"]) == digests(1, 1000)


def test_a_token_without_permission(target: Target, tiktok: Client) -> None:
    tiktok.control("tokens", {"token": "emulator-reader", "scopes": [30], "advertiser_ids": [ADVERTISER]})
    check(target.run(GOOD, access_token="emulator-reader"), "40001", "scopes", "request")
    assert tiktok.control("audiences").json() == []


def test_an_advertiser_that_is_not_yours(target: Target) -> None:
    outcome = target.run(GOOD, advertiser_id="7999999999999999999")
    check(outcome, "40001", "No permission to operate advertiser")
    assert unread(outcome)
    kept = [path.name for path in (target.folder / "ledgers").iterdir() if not path.name.startswith(".")]
    assert kept == [], "no ledger stays of what never was"


def test_a_server_that_is_not_tiktok(target: Target, tiktok: Client) -> None:
    check(target.run(GOOD, api_url=f"{tiktok.url}/elsewhere"), "404", "`api_url`")


def test_nobody_listens(target: Target) -> None:
    check(target.run(GOOD, api_url="http://127.0.0.1:9/open_api/v1.3"), "cannot be reached", "`api_url`")
    assert 30 < sum(target.pauses) <= 120


# What is not said


def test_no_secret_and_no_identifier_anywhere(target: Target, tiktok: Client, tmp_path: Path) -> None:
    """Push the marker and a secret token through every refusal above, and look at all that was written."""
    faults: list[dict[str, Any]] = [
        {"code": 40002, "message": "Bad parameter"},
        {"code": 50000},
        {"http_status": 502},
        {"body": "<html>"},
        {"drop": "after"},
        {"truncate": True},
        {"http_status": 302, "location": "http://127.0.0.1:9/"},
    ]
    token = "emulator-SECRETTOKEN"
    tiktok.control("tokens", {"token": token, "scopes": [3], "advertiser_ids": [ADVERTISER]})
    logs = []
    for path in ("file/upload", "create", "list"):
        for fault in faults:
            tiktok.fault(path=f"/dmp/custom_audience/{path}/", times=None, **fault)
            logs.append(target.run(GOOD, access_token=token).log)
            tiktok.control("faults", method="DELETE")
    assert "SECRETTOKEN" not in "".join(logs)
    assert "SECRETTOKEN" not in "".join(path.read_text() for path in tmp_path.glob("*.json"))
    assert files_with_marker(tmp_path) == []


def test_a_filter_of_a_stream_map_prints_no_values(target: Target) -> None:
    outcome = target.run(GOOD, stream_maps={STREAM: {"__filter__": "email"}})
    assert outcome.exit_code == 0  # the marker is looked for in every run


def test_keys_that_identify_somebody_in_another_feed_are_left_out(target: Target, tmp_path: Path) -> None:
    keyed = schema()
    keyed["key_properties"] = ["email"]
    feeds = [{"audience_name": "A"}, {"audience_name": "B", "contract": "PHONE_SHA256"}]
    rejects = tmp_path / "rejects.jsonl"
    rows = [record(n, email=email(n), phone="no number") for n in range(30)]
    target.run([keyed, *rows], audiences=feeds, rejects_path=str(rejects), rejects_key=True)
    assert '"key": {}' in rejects.read_text()
    assert files_with_marker(tmp_path) == []


def test_an_error_text_of_tiktoks_that_quotes_the_token(target: Target, tiktok: Client) -> None:
    audience_id = tiktok.seed(name=STREAM, members=digests(1, 1000), error_msg="bad emulator-token here")
    outcome = target.run(stream_of(900, 1100), audience_id=audience_id)
    assert outcome.exit_code == 0
    assert "emulator-token" not in outcome.log + outcome.stdout + json.dumps(outcome.report)


def test_no_proxy_sees_the_token_on_its_way_to_this_machine(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert target.run(GOOD).exit_code == 0


def test_a_message_of_tiktoks_that_quotes_the_token(target: Target, tiktok: Client) -> None:
    tiktok.fault(path="/dmp/custom_audience/list/", code=40105, message="emulator-token is no good")
    assert "*** is no good" in target.run(GOOD).last_line


def test_a_fault_of_our_own_says_where_and_not_what(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError(email(1))

    monkeypatch.setattr("target_tiktok_audiences.ledger.staging.Part.add", broken)
    outcome = target.run(GOOD)
    check(outcome, "KeyError", "sinks.py", "please report")
    assert json.dumps(outcome.report).count(MARKER) == 0
