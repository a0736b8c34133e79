"""The main job: records in, an audience at TikTok, STATE out."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER, emulated
from support.singer import STREAM, digests, email, people, record, schema, state, stream_of

from target_tiktok_audiences.sync.state import AudienceEntry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from support.emulator_client import Client
    from support.target import Target

KEY = "target-tiktok-audiences"


def held(tiktok: Client) -> dict[str, list[str]]:
    """Give what TikTok holds, by the audiences' names."""
    return {a["name"]: tiktok.members(a["audience_id"]) for a in tiktok.control("audiences").json()}


def changes(tiktok: Client) -> list[str]:
    """Give the changes that TikTok was asked for."""
    paths = (request["path"] for request in tiktok.requests())
    return [path.split("/")[-2] for path in paths if path.endswith(("upload/", "create/", "update/"))]


# Members


def test_a_stream_becomes_an_audience_of_its_name(target: Target, tiktok: Client) -> None:
    outcome = target.run(stream_of(1, 1200))
    assert outcome.exit_code == 0
    assert held(tiktok) == {STREAM: digests(1, 1200)}
    assert changes(tiktok) == ["upload", "create"]


def test_a_second_run_finds_its_audience_in_state_and_appends(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1200))
    tiktok.advance(48)
    assert first.state
    second = target.run([{"type": "STATE", "value": first.state}, *stream_of(1201, 1210)])
    assert held(tiktok) == {STREAM: digests(1, 1210)}
    assert changes(tiktok) == ["upload", "create", "upload", "update"]
    assert (second.audience["origin"], second.audience["sent"]) == ("created", 10)


def test_a_run_without_state_finds_the_audience_by_its_name(target: Target, tiktok: Client) -> None:
    target.run(stream_of(1, 1200))
    tiktok.advance(48)
    outcome = target.run(stream_of(1195, 1205), ledger_path=":memory:")
    assert held(tiktok) == {STREAM: digests(1, 1205)}
    assert outcome.audience["origin"] == "found"


def test_no_new_people_no_call_that_changes_anything(target: Target, tiktok: Client) -> None:
    target.run(stream_of(1, 1200))
    tiktok.advance(48)
    before = changes(tiktok)
    outcome = target.run([schema(), state(1200)])
    assert (outcome.exit_code, outcome.audience["plan"]) == (0, "NOTHING")
    assert changes(tiktok) == before
    assert outcome.state


def test_the_name_comes_from_the_setting_else_the_title_else_the_stream(target: Target, tiktok: Client) -> None:
    titled = schema()
    titled["schema"]["title"] = "Winter buyers"
    target.run([titled, *people(1, 1000)])
    target.run([titled, *people(1, 1000)], audience_name="x" * 128)
    assert set(held(tiktok)) == {"Winter buyers", "x" * 128}


@pytest.mark.parametrize("number", [int, str])
def test_a_pinned_audience_is_filled_whatever_its_name(target: Target, tiktok: Client, number: type) -> None:
    audience_id = tiktok.seed(name="Old name", members=digests(1, 1000))
    outcome = target.run(stream_of(500, 1100), audience_id=number(audience_id), advertiser_id=number(ADVERTISER))
    assert held(tiktok) == {"Old name": digests(1, 1100)}
    assert outcome.audience["origin"] == "set"


def test_an_audience_of_the_state_that_is_gone_is_looked_for_by_name(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1200))
    assert first.state
    tiktok.delete(first.audience["audience_id"])
    second = target.run([{"type": "STATE", "value": first.state}, *stream_of(1, 1300)])
    assert held(tiktok) == {STREAM: digests(1, 1300)}
    assert second.audience["audience_id"] != first.audience["audience_id"]
    assert f"{first.audience['audience_id']}, known from before, is gone" in second.log


def test_records_marked_deleted_add_nobody(target: Target, tiktok: Client) -> None:
    gone = [record(n, email=email(n), _sdc_deleted_at="2026-01-01T00:00:00Z") for n in range(2000, 2010)]
    kept = [record(n, email=email(n), _sdc_deleted_at=None) for n in range(1001, 1011)]
    for options in ({}, {"add_record_metadata": True}):
        outcome = target.run([schema(), *people(1, 1000), *gone, *kept], audience_name=str(options), **options)
        assert outcome.report["audiences"][0]["books"][0]["deleted"] == 10
    assert list(held(tiktok).values()) == [digests(1, 1010)] * 2


def test_hashed_identifiers_are_sent_as_they_are(target: Target, tiktok: Client) -> None:
    hashed = [record(n, sha=digest.upper()) for n, digest in enumerate(digests(1, 1000))]
    messages = [schema(sha={"type": "string"}), *hashed]
    assert target.run(messages, apply_hashing=False, identifier_field="sha").exit_code == 0
    assert held(tiktok) == {STREAM: digests(1, 1000)}


def test_stream_maps_come_first(target: Target, tiktok: Client) -> None:
    maps = {STREAM: {"__alias__": "renamed", "email": "mail", "__filter__": "id <= 1000", "id": "id", "__else__": None}}
    messages = [schema(mail={"type": "string"}), *(record(n, mail=email(n)) for n in range(1, 1100))]
    assert target.run(messages, stream_maps=maps).exit_code == 0
    assert held(tiktok) == {"renamed": digests(1, 1000)}


def test_a_stream_that_a_map_drops_asks_for_nothing(target: Target, tiktok: Client) -> None:
    orders = [schema("orders", total={"type": "number"}), record(1, "orders", total=5), *people(1, 9, "old")]
    messages = [*stream_of(1, 1000), schema("old"), *orders]
    outcome = target.run(messages, stream_maps={"orders": None, "old": None}, load_method="overwrite")
    assert outcome.exit_code == 0, outcome.log
    assert held(tiktok) == {STREAM: digests(1, 1000)}


DELETED = {"type": ["string", "null"]}


@pytest.mark.parametrize(
    ("maps", "told"),
    [
        ({STREAM: {"__filter__": "id < 5000"}}, "`email: _.get('email') if ... else None`"),
        ({"cust*": {"__filter__": "id < 5000"}}, "`__filter__`"),
        ({"part": {"__source__": STREAM, "__filter__": "id < 5000"}}, "Stream part has a `__filter__`"),
        ({STREAM: {"id": "id", "email": "email", "__else__": None}}, "drops `_sdc_deleted_at`"),
        ({STREAM: {"_sdc_deleted_at": None}}, "Keep it: `_sdc_deleted_at: _.get('_sdc_deleted_at')`."),
    ],
)
def test_a_stream_map_that_would_hide_deletions_is_refused(
    maps: dict[str, Any], told: str, target: Target, tiktok: Client
) -> None:
    keyed = schema(email=DELETED, _sdc_deleted_at=DELETED)
    outcome = target.run([keyed, *people(1, 1100)], stream_maps=maps, load_method="upsert")
    assert outcome.exit_code == 1
    assert told in outcome.last_line
    assert held(tiktok) == {}


def test_deletions_come_through_stream_maps(target: Target, tiktok: Client) -> None:
    keyed = schema(contact=DELETED, consent={"type": "boolean"}, _sdc_deleted_at=DELETED)
    maps = {
        STREAM: {"email": "_.get('contact') if _.get('consent') else None", "contact": None},
        "hashed": {
            "__source__": STREAM,
            "__else__": None,
            "id": "id",
            "email": "sha256(_.get('contact').lower()) if _.get('contact') else None",
            "_sdc_deleted_at": "_.get('_sdc_deleted_at')",
        },
    }
    feeds = [{"stream": STREAM}, {"stream": "hashed", "apply_hashing": False}]
    target.config |= {"stream_maps": maps, "audiences": feeds, "load_method": "upsert"}
    first = target.run([keyed, *(record(n, contact=email(n), consent=n <= 1100) for n in range(1, 1201))])
    assert first.exit_code == 0, first.log
    assert held(tiktok) == {STREAM: digests(1, 1100), "hashed": digests(1, 1200)}
    tiktok.advance(48)
    gone = [record(n, _sdc_deleted_at="2026-01-01T00:00:00Z") for n in range(1, 11)]  # as a log tells it: the key alone
    second = target.run([keyed, *gone, *(record(n, contact=email(n), consent=False) for n in range(11, 21))])
    assert second.exit_code == 0, second.log
    assert held(tiktok) == {STREAM: digests(21, 1100), "hashed": digests(11, 1200)}


def test_files_are_sorted_lower_case_lines_without_a_header_and_as_large_as_asked(
    target: Target, tiktok: Client
) -> None:
    outcome = target.run(stream_of(1, 1200), batch_size_rows=500)
    assert held(tiktok) == {STREAM: digests(1, 1200)}
    (created,) = [request for request in tiktok.requests() if request["path"].endswith("create/")]
    assert created["files"] == 3
    assert (outcome.audience["files"], outcome.audience["bytes"]) == (3, 1200 * 65)
    few_files = target.run(stream_of(1, 1200), batch_size_rows=10, audience_name="Many")
    assert few_files.report["audiences"][0]["files"] == 48


# Feeds


def test_one_stream_feeds_an_email_and_a_phone_audience(target: Target, tiktok: Client) -> None:
    target.config["audiences"] = [
        {"stream": STREAM, "audience_name": "By mail"},
        {"stream": "cust*", "audience_name": "By phone", "contract": "PHONE_SHA256", "default_country": "us"},
    ]
    rows = [record(n, email=email(n), phone=f"(657) 777-{n:04}") for n in range(1, 1101)]
    outcome = target.run([schema(), *rows])
    assert outcome.exit_code == 0
    assert {name: len(members) for name, members in held(tiktok).items()} == {"By mail": 1100, "By phone": 1100}
    types = {a["name"]: a["calculate_type"] for a in tiktok.control("audiences").json()}
    assert types == {"By mail": "EMAIL_SHA256", "By phone": "PHONE_SHA256"}


def test_several_advertisers_from_one_stream(target: Target) -> None:
    with emulated(advertiser_ids=[ADVERTISER, OTHER_ADVERTISER]) as tiktok:
        feeds = [{"advertiser_id": int(ADVERTISER)}, {"advertiser_id": OTHER_ADVERTISER}]
        outcome = target.run(stream_of(1, 1000), api_url=tiktok.base, audiences=feeds, advertiser_id=None)
        owners = sorted((a["advertiser_id"], a["rows"]) for a in tiktok.control("audiences").json())
    assert owners == [(ADVERTISER, 1000), (OTHER_ADVERTISER, 1000)]
    assert outcome.state
    assert len(outcome.state["bookmarks"][KEY]["audiences"]) == 2


def test_several_streams_feed_one_audience(target: Target, tiktok: Client) -> None:
    outcome = target.run([*stream_of(1, 800, "a"), *stream_of(701, 1200, "b")], audience_name="Both")
    assert held(tiktok) == {"Both": digests(1, 1200)}
    assert [(b["stream"], b["accepted"]) for b in outcome.audience["books"]] == [("a", 800), ("b", 500)]


def test_one_audience_that_fails_does_not_stop_the_others_and_no_state_goes_out(target: Target, tiktok: Client) -> None:
    target.config["audiences"] = [
        {"audience_name": "Small", "contract": "PHONE_SHA256", "default_country": "US"},
        {"audience_name": "Large"},
    ]
    rows = [*people(1, 1000), record(1001, phone="657 777 0000")]
    outcome = target.run([schema(), *rows, state()])
    assert held(tiktok) == {"Large": digests(1, 1000)}
    assert (outcome.exit_code, outcome.state) == (1, None)
    assert [a["outcome"] for a in outcome.report["audiences"]] == ["failed", "ok"]
    assert "1 of 2 audiences failed" in outcome.last_line
    assert '"Small"' in outcome.last_line


# STATE


def test_state_is_the_taps_own_with_one_entry_more(target: Target) -> None:
    given = {"bookmarks": {STREAM: {"v": 1.10, "big": 2**70, "text": "ü"}}, "currently_syncing": None}
    outcome = target.run([*stream_of(1, 1000)[:-1], state(), '{"type": "STATE", "value": ' + json.dumps(given) + "}"])
    emitted = outcome.state
    assert emitted
    entry = emitted["bookmarks"].pop(KEY)
    assert emitted == given
    assert entry["last_replication_method"] == "FULL_TABLE"
    (audience,) = entry["audiences"].items()
    assert audience[0] == f"{ADVERTISER}/{STREAM}"
    assert audience[1].keys() == set(AudienceEntry.__struct_fields__)
    assert audience[1]["audience_id"] == outcome.audience["audience_id"]


def test_state_is_never_invented(target: Target) -> None:
    outcome = target.run(stream_of(1, 1000)[:-1])
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert "set `audience_id` to pin this audience" in outcome.log
    assert outcome.audience["audience_id"] in outcome.last_line


def test_audiences_of_other_streams_stay_in_the_state(target: Target) -> None:
    first = target.run(stream_of(1, 1000, "a"))
    assert first.state
    second = target.run([{"type": "STATE", "value": first.state}, *stream_of(1, 1000, "b")[:-1]])
    assert second.state
    assert set(second.state["bookmarks"][KEY]["audiences"]) == {f"{ADVERTISER}/a", f"{ADVERTISER}/b"}


def test_a_change_that_is_processed_holds_the_next_one_back(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(1)
    second = target.run([{"type": "STATE", "value": first.state}, *stream_of(1001, 1010)])
    assert (second.exit_code, second.audience["outcome"], second.audience["waiting"]) == (0, "held", 10)
    assert "processing an earlier change" in second.log
    assert second.state, "the ledger has proved to last, so the tap need not send again"
    tiktok.advance(48)
    third = target.run([{"type": "STATE", "value": second.state}])
    assert third.audience["books"] == [], "no stream came"
    assert held(tiktok) == {STREAM: digests(1, 1010)}


def test_an_audience_that_looks_ready_and_is_refused_is_held(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(48)
    message = "Audience is not editable, please check audience status"
    tiktok.fault(path="/dmp/custom_audience/update/", code=40002, message=message)
    second = target.run([{"type": "STATE", "value": first.state}, *stream_of(1001, 1010)])
    assert (second.exit_code, second.audience["outcome"]) == (0, "held")
    assert held(tiktok) == {STREAM: digests(1, 1000)}


def test_a_change_that_failed_after_it_was_accepted_is_told(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(48)
    tiktok.fault(path="/dmp/custom_audience/update/", fail_later="The file could not be matched")
    second = target.run([{"type": "STATE", "value": first.state}, *stream_of(1001, 1010)])
    tiktok.advance(48)
    third = target.run([{"type": "STATE", "value": second.state}, *stream_of(1011, 1020)])
    assert "The file could not be matched" in third.audience["warning"]
    tiktok.advance(48)
    fourth = target.run([{"type": "STATE", "value": third.state}, *stream_of(1021, 1030)])
    assert fourth.audience["warning"] == ""


# Figures and files


def test_the_books_tell_what_became_of_each_record(target: Target, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    rows: Iterable[Any] = [
        *people(1, 1000),
        *people(1, 5),
        record(2001, email=None),
        record(2002),
        record(2003, email=email(1).replace("@", "")),
        record(2004, email="0" * 64),
        record(2005, email=email(1), _sdc_deleted_at="2026-01-01"),
    ]
    outcome = target.run([schema(), *rows], rejects_path=str(rejects))
    assert outcome.audience["books"] == [
        {
            "stream": STREAM,
            "read": 1010,
            "accepted": 1000,
            "duplicate": 5,
            "superseded": 0,
            "missing": 2,
            "rejected": {"email_syntax": 1, "already_hashed": 1},
            "deleted": 1,
            "unmatched": 0,
        }
    ]
    written = [json.loads(line) for line in rejects.read_text().splitlines()]
    fields = {"stream": STREAM, "contract": "EMAIL_SHA256"}
    assert written == [
        {"line": 1009, **fields, "reason": "email_syntax"},
        {"line": 1010, **fields, "reason": "already_hashed"},
    ]
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600


def test_keys_of_rejected_records_on_request_but_never_the_identifier(target: Target, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    keyed = schema()
    keyed["key_properties"] = ["id", "email"]
    target.run([keyed, record(7, email="nobody"), *people(1, 1000)], rejects_path=str(rejects), rejects_key=True)
    assert json.loads(rejects.read_text())["key"] == {"id": 7}


def test_a_dry_run_reports_and_changes_nothing(target: Target, tiktok: Client) -> None:
    outcome = target.run(stream_of(1, 1200), dry_run=True)
    assert (outcome.exit_code, outcome.state) == (0, None)
    assert (outcome.audience["plan"], outcome.audience["desired"], outcome.audience["files"]) == ("CREATE", 1200, 0)
    assert outcome.audience["message"] == "Would send 1,200 identifiers in 1 file."
    assert changes(tiktok) == []
    assert not (target.folder / "ledgers").exists()


def test_the_report_names_tiktoks_request(target: Target) -> None:
    outcome = target.run(stream_of(1, 1000))
    (request_id,) = outcome.audience["request_ids"]
    assert len(request_id) == 34
    assert request_id in outcome.log
    assert outcome.report["run"]["outcome"] == "ok"
    assert outcome.report["run"]["state_published"] is True


def test_a_schema_that_changes_in_mid_stream_loses_nothing(target: Target, tiktok: Client) -> None:
    text = {"type": "string"}
    messages = [schema(), *people(1, 600), schema(email=text, more=text), *people(601, 1200), state()]
    outcome = target.run(messages)
    assert held(tiktok) == {STREAM: digests(1, 1200)}
    assert outcome.audience["books"][0]["read"] == 1200


def test_a_lost_creation_is_found_again(target: Target, tiktok: Client) -> None:
    tiktok.fault(path="/dmp/custom_audience/create/", drop="after")
    outcome = target.run(stream_of(1, 1000))
    assert outcome.exit_code == 0
    assert outcome.state
    assert held(tiktok) == {STREAM: digests(1, 1000)}
    assert changes(tiktok) == ["upload", "create"]


def test_a_creation_without_effect_is_not_repeated_in_the_same_run(target: Target, tiktok: Client) -> None:
    tiktok.fault(path="/dmp/custom_audience/create/", drop="before")
    outcome = target.run(stream_of(1, 1000))
    assert (outcome.exit_code, outcome.state, held(tiktok)) == (1, None, {})
    assert "looks for it before it creates one" in outcome.last_line


def test_meltanos_test_stream_checks_the_credentials_and_touches_nothing(target: Target, tiktok: Client) -> None:
    messages = [
        schema("meltano_test_stream", name={"type": "string"}),
        record(1, "meltano_test_stream", name="x"),
        {"type": "STATE", "value": {"bookmarks": {}}},
    ]
    good = target.run(messages)
    assert good.exit_code == 0
    assert not {word for word in ("error", "exception") if word in good.log.lower().replace("debug", "")}
    target.run(stream_of(1, 1000))
    target.run(stream_of(1001, 1010))  # held
    tiktok.advance(48)
    sent = changes(tiktok)
    assert target.run(messages).exit_code == 0
    assert changes(tiktok) == sent, "what waits in a ledger is left to a real run"
    bad = target.run(messages, access_token="emulator-wrong")
    assert bad.exit_code == 1
    assert "40105" in bad.last_line
    assert changes(tiktok) == sent
