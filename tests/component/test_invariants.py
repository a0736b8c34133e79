"""What must hold whatever happens: STATE, a ledger that is gone, whose audience it is, who may leave, who may run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.emulated import Messages, after, changes, members
from support.emulator_client import ADVERTISER
from support.singer import STREAM, digests, email, people, record, schema, state, stream_of
from support.target import MARKER

from target_tiktok_audiences.ledger.staging import Part
from target_tiktok_audiences.sync.state import AudienceEntry
from target_tiktok_audiences.tiktok.client import TikTok

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.emulator_client import Client
    from support.target import Outcome, Target

KEY = "target-tiktok-audiences"
METHODS = ("append-only", "upsert", "overwrite")
UPDATE = "/dmp/custom_audience/update/"


def whole(first: int, last: int, stream: str = STREAM) -> Messages:
    """Give a table as a full-table replication sends it: its bookmark says nothing of where to go on."""
    value: dict[str, Any] = {"bookmarks": {stream: {}}}
    return [schema(stream), *people(first, last, stream), {"type": "STATE", "value": value}]


def entry(outcome: Outcome) -> dict[str, Any]:
    """Give the one audience's entry in the STATE that was emitted."""
    assert outcome.state
    (found,) = outcome.state["bookmarks"][KEY]["audiences"].values()
    remembered: dict[str, Any] = found
    return remembered


# STATE


def test_a_hold_keeps_state_back_until_the_ledger_has_proved_to_last(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1000))
    unproved = target.run(stream_of(1001, 1010))
    assert (unproved.exit_code, unproved.audience["outcome"], unproved.state) == (0, "held", None)
    proved = target.run(after(first, stream_of(1001, 1010)))
    assert (proved.exit_code, proved.audience["outcome"]) == (0, "held")
    assert entry(proved)["held"] is True
    assert entry(proved)["digest"] is None
    tiktok.advance(48)
    third = target.run(after(proved, [state(1010)]))
    assert members(tiktok) == digests(1, 1010)
    assert entry(third)["held"] is False
    assert entry(third)["digest"].startswith("1010-")


@pytest.mark.parametrize("proved", [True, False])
def test_state_goes_by_what_is_safe_not_by_the_exit_code(target: Target, tiktok: Client, *, proved: bool) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(48)
    tiktok.fault(path=UPDATE, code=60001, message="The service is under maintenance")
    second = target.run(after(first if proved else None, stream_of(1001, 1010)))
    assert second.exit_code == 1
    assert (second.state is not None) is proved
    if proved:
        assert entry(second)["held"] is True
        third = target.run(after(second, []))
        assert (third.exit_code, members(tiktok)) == (0, digests(1, 1010))


def test_what_makes_no_audience_keeps_state_back(target: Target, tiktok: Client) -> None:
    small = target.run(stream_of(1, 999))
    assert (small.exit_code, small.audience["reason"], small.state) == (1, "below_minimum", None)
    large = target.run(after(small, stream_of(1000, 1000)))
    assert (large.exit_code, members(tiktok)) == (0, digests(1, 1000)), "the ledger has kept those of the first run"


def test_every_key_is_written_each_time(target: Target, tiktok: Client) -> None:
    keys = set(AudienceEntry.__struct_fields__)
    first = target.run(stream_of(1, 1000))
    held = target.run(after(first, stream_of(1001, 1001)))
    tiktok.advance(48)
    sent = target.run(after(held, []))
    tiktok.advance(48)
    without = target.run(after(sent, stream_of(1, 1001)), ledger_path=":memory:")
    for outcome in (first, held, sent, without):
        assert entry(outcome).keys() == keys
        assert MARKER not in outcome.stdout


# A ledger that is gone


def lose_it(target: Target) -> None:
    shutil.rmtree(target.config["ledger_path"])


def exchange_it(target: Target) -> None:
    """Put another ledger of the same audience in its place."""
    lose_it(target)
    for _ in range(6):  # so often that it has more commits than the one that was there
        target.run(stream_of(1, 3))


def roll_it_back(target: Target) -> None:
    """Put the copy back that `backed_up` made."""
    lose_it(target)
    shutil.copytree(target.folder / "backup", target.config["ledger_path"])


LOSSES = [lose_it, exchange_it, roll_it_back]


def backed_up(target: Target) -> None:
    shutil.copytree(target.config["ledger_path"], target.folder / "backup")


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("load_method", ["append-only", "overwrite"])
def test_a_ledger_that_is_gone_and_held_something_stops_the_run(
    target: Target, tiktok: Client, lose: Callable[[Target], None], load_method: str
) -> None:
    first = target.run(whole(1, 1000), load_method=load_method)
    backed_up(target)
    held = target.run(after(first, whole(1, 1010)), load_method=load_method)
    assert entry(held)["held"] is True
    tiktok.advance(48)
    lose(target)
    tiktok.advance(48)
    before, sent = members(tiktok), len(changes(tiktok))
    stopped = target.run(after(held, whole(1, 1020)), load_method=load_method)
    assert (stopped.exit_code, stopped.state, members(tiktok), len(changes(tiktok))) == (1, None, before, sent)
    assert "held pending changes" in stopped.last_line
    assert "Rebuild it" in stopped.last_line


@pytest.mark.parametrize("lose", [lose_it, roll_it_back])
def test_a_ledger_that_is_gone_and_a_change_that_failed_stop_the_run(
    target: Target, tiktok: Client, lose: Callable[[Target], None]
) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(48)
    backed_up(target)
    tiktok.fault(path=UPDATE, fail_later="Matching failed.")
    second = target.run(after(first, stream_of(1001, 1010)))
    tiktok.advance(48)
    lose(target)
    sent = len(changes(tiktok))
    for _ in range(2):
        stopped = target.run(after(second, stream_of(1011, 1020)))
        assert (stopped.exit_code, stopped.state, len(changes(tiktok))) == (1, None, sent)
        assert "Matching failed" in stopped.last_line


@pytest.mark.parametrize("lose", [lose_it, roll_it_back])
def test_an_unchanged_table_is_silent_without_its_ledger(
    target: Target, tiktok: Client, lose: Callable[[Target], None]
) -> None:
    first = target.run(whole(1, 1000), load_method="overwrite")
    backed_up(target)
    tiktok.advance(48)
    second = target.run(after(first, whole(1, 1010)), load_method="overwrite")
    sent = changes(tiktok)
    for hours in (1, 60):
        tiktok.advance(hours)
        lose(target)
        came = target.run(after(second, whole(1, 1010)), load_method="overwrite")
        plan = "HOLD" if hours == 1 else "NOTHING"  # what is processed may yet fail
        assert (came.exit_code, came.audience["plan"], changes(tiktok)) == (0, plan, sent)
        second = came if came.state else second
    tiktok.advance(48)
    lose(target)
    changed = target.run(after(second, whole(6, 1012)), load_method="overwrite")
    assert (changed.exit_code, changed.audience["plan"], members(tiktok)) == (0, "REPLACE", digests(6, 1012))


@pytest.mark.parametrize(
    ("load_method", "lasting"),
    [("append-only", True), ("append-only", False), ("upsert", True), ("overwrite", True), ("overwrite", False)],
)
def test_nothing_changed_nothing_sent(target: Target, tiktok: Client, load_method: str, *, lasting: bool) -> None:
    settings = {"load_method": load_method, **({} if lasting else {"ledger_path": ":memory:"})}
    outcome = target.run(whole(1, 1000), **settings)
    sent = changes(tiktok)
    assert sent
    for hours in (0, 25, 60):
        tiktok.advance(hours)
        came = target.run(after(outcome, whole(1, 1000)), **settings)
        # STATE's digest is believed of a valid audience alone: what is processed may yet fail.
        plan = "NOTHING" if lasting or hours else "HOLD"
        assert (came.exit_code, came.audience["plan"], changes(tiktok)) == (0, plan, sent)
        assert (came.state is not None) is (plan == "NOTHING")
        outcome = came if came.state else outcome


# Without a volume


@pytest.mark.parametrize("path", [None, ":memory:"])
def test_append_only_and_overwrite_stay_right_without_a_volume(
    target: Target, tiktok: Client, path: str | None
) -> None:
    for load_method in ("append-only", "overwrite"):
        settings = {"load_method": load_method, "audience_name": load_method} | ({"ledger_path": path} if path else {})
        outcome: Outcome | None = None
        for first, hours in ((1, 60), (6, 1), (11, 60), (11, 60), (16, 60)):
            shutil.rmtree(target.config["ledger_path"], ignore_errors=True)
            # What STATE acknowledged need not come again to append-only; overwrite has the whole table each time.
            came = target.run(after(outcome, whole(first, 1100 + first)), **settings)
            assert came.exit_code == 0, came.log
            assert (came.state is None) is (came.audience["outcome"] == "held")
            outcome = came if came.state else outcome
            tiktok.advance(hours)
        (audience,) = [a for a in tiktok.control("audiences").json() if a["name"] == load_method]
        assert tiktok.members(audience["audience_id"]) == digests(16 if load_method == "overwrite" else 1, 1116)


def test_append_only_goes_on_from_a_bookmark_without_a_volume(target: Target, tiktok: Client) -> None:
    outcome = target.run(stream_of(1, 1000), ledger_path=":memory:")
    for first in (1001, 1011, 1021):
        tiktok.advance(60)
        outcome = target.run(after(outcome, stream_of(first, first + 9)), ledger_path=":memory:")
        assert outcome.exit_code == 0, outcome.log
    assert members(tiktok) == digests(1, 1030)


def test_upsert_refuses_to_keep_no_ledger(target: Target, tiktok: Client) -> None:
    refused = target.run(stream_of(1, 1000), load_method="upsert", ledger_path=":memory:")
    assert (refused.exit_code, refused.state, changes(tiktok)) == (1, None, [])
    assert "`ledger_path: :memory:` keeps none" in refused.last_line


@pytest.mark.parametrize("lose", [lose_it, roll_it_back])
def test_upsert_does_not_go_on_without_its_ledger(
    target: Target, tiktok: Client, lose: Callable[[Target], None]
) -> None:
    first = target.run(stream_of(1, 1000), load_method="upsert")
    backed_up(target)
    tiktok.advance(60)
    second = target.run(after(first, stream_of(1001, 1001)), load_method="upsert")
    tiktok.advance(60)
    sent = changes(tiktok)
    lose(target)
    # So many come that the guard alone would let them pass.
    stopped = target.run(after(second, stream_of(1, 995)), load_method="upsert")
    assert (stopped.exit_code, stopped.state, changes(tiktok)) == (1, None, sent)
    assert "Keep `ledger_path` between runs" in stopped.last_line


def test_overwrite_needs_the_whole_table(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1000), load_method="overwrite")
    tiktok.advance(60)
    sent = changes(tiktok)
    stopped = target.run(after(first, stream_of(1, 1000)), load_method="overwrite")
    assert (stopped.exit_code, stopped.state, changes(tiktok)) == (1, None, sent)
    assert "needs the whole table" in stopped.last_line


# Whose audience it is


def test_one_found_by_its_name_is_only_added_to_until_its_id_is_set(target: Target, tiktok: Client) -> None:
    audience_id = tiktok.seed(name=STREAM, members=digests(1, 1100))
    for load_method in ("upsert", "overwrite"):
        stopped = target.run(
            whole(1001, 2100),
            load_method=load_method,
            ledger_path=str(target.folder / load_method),
            max_removal_percent=100,
        )
        assert (stopped.exit_code, stopped.audience["reason"]) == (1, "only_found")
        assert "Set `audience_id`" in stopped.last_line
    assert changes(tiktok) == []
    added = target.run(whole(1001, 1200))
    assert (added.exit_code, added.audience["origin"], members(tiktok)) == (0, "found", digests(1, 1200))
    tiktok.advance(60)
    settings = {"load_method": "overwrite", "audience_id": audience_id, "max_removal_percent": 100}
    replaced = target.run(after(added, whole(1001, 2200)), **settings)
    assert (replaced.exit_code, replaced.audience["origin"], members(tiktok)) == (0, "set", digests(1001, 2200))


def test_two_of_one_name_stop_the_run(target: Target, tiktok: Client) -> None:
    ids = [tiktok.seed(name=STREAM) for _ in range(2)]
    stopped = target.run(stream_of(1, 1000))
    assert (stopped.exit_code, changes(tiktok)) == (1, [])
    assert all(audience_id in stopped.last_line for audience_id in ids)


def test_every_update_names_its_action(target: Target, tiktok: Client) -> None:
    outcome = target.run(whole(1, 1100), load_method="overwrite")
    for first, last in ((1, 1110), (5, 1110), (9, 1120)):
        tiktok.advance(60)
        outcome = target.run(after(outcome, whole(first, last)), load_method="overwrite")
        assert members(tiktok) == digests(first, last)
    actions = [request["action"] for request in tiktok.requests() if request["path"] == UPDATE]
    assert actions == ["APPEND", "REMOVE", "REPLACE"]


# What TikTok fails later


def test_a_change_that_fails_twice_with_the_same_words_is_sent_a_third_time(target: Target, tiktok: Client) -> None:
    outcome = target.run(stream_of(1, 1000))
    tiktok.fault(path=UPDATE, times=2, fail_later="Matching failed.")
    for _ in range(4):
        tiktok.advance(60)
        outcome = target.run(after(outcome, stream_of(1001, 1010)))
        assert outcome.exit_code == 0
    assert [request["path"] for request in tiktok.requests()].count(UPDATE) == 3
    (audience,) = tiktok.control("audiences").json()
    assert tiktok.members(audience["audience_id"], "?processed=true") == digests(1, 1010)


def test_a_failed_change_is_sent_again_though_state_says_that_all_is_well(target: Target, tiktok: Client) -> None:
    tiktok.seed(name=STREAM, members=digests(1, 1100))  # found, so that the ledger never knows all members
    outcome = target.run(whole(1101, 1110))
    tiktok.advance(60)
    tiktok.fault(path=UPDATE, fail_later="Matching failed.")
    for _ in range(3):
        outcome = target.run(after(outcome, whole(1101, 1120)))
        tiktok.advance(60)
    (audience,) = tiktok.control("audiences").json()
    assert tiktok.members(audience["audience_id"], "?processed=true") == digests(1, 1120)


def test_a_first_replacement_that_fails_later_leaves_no_strangers_in(target: Target, tiktok: Client) -> None:
    audience_id = tiktok.seed(name="Old", members=digests(1, 1100))
    tiktok.fault(path=UPDATE, fail_later="Matching failed.")
    settings = {"load_method": "overwrite", "audience_id": audience_id, "max_removal_percent": 100}
    outcome = target.run(whole(1001, 2100), **settings)
    for _ in range(2):
        tiktok.advance(60)
        outcome = target.run(after(outcome, whole(1001, 2100)), **settings)
    tiktok.advance(60)
    assert tiktok.members(audience_id, "?processed=true") == digests(1001, 2100)


@pytest.mark.parametrize("fault", [{"drop": "after"}, {"drop": "before"}, {"http_status": 504, "after_effect": True}])
@pytest.mark.parametrize(("lost", "then"), [((1, 1060), (1, 1050)), ((6, 1050), (1, 1050)), ((6, 1060), (1, 1050))])
def test_a_lost_answer_leaves_nobody_in_or_out_by_mistake(
    target: Target, tiktok: Client, fault: dict[str, Any], lost: tuple[int, int], then: tuple[int, int]
) -> None:
    outcome = target.run(whole(1, 1050), load_method="overwrite")
    tiktok.advance(60)
    tiktok.fault(path=UPDATE, **fault)
    outcome = target.run(after(outcome, whole(*lost)), load_method="overwrite")
    assert outcome.exit_code == 1
    for _ in range(2):  # the table is again what it was
        tiktok.advance(60)
        outcome = target.run(after(outcome, whole(*then)), load_method="overwrite")
        assert outcome.exit_code == 0
    assert members(tiktok) == digests(*then)


# Blast radius


def test_a_stream_cut_at_any_tenth_removes_nobody_and_the_next_good_run_repairs(target: Target, tiktok: Client) -> None:
    good = target.run(whole(1, 1500), load_method="overwrite")
    for tenths in range(10):
        tiktok.advance(60)
        sent = changes(tiktok)
        cut = [schema(), *people(1, 150 * tenths)]
        if tenths == 9:  # ten per cent is what may go
            cut = cut[:-1]
        stopped = target.run(after(good, cut), load_method="overwrite")
        assert (stopped.exit_code, stopped.state, changes(tiktok)) == (1, None, sent)
        assert ("is empty but previously had" if tenths == 0 else "would be removed") in stopped.last_line
        assert "TARGET_TIKTOK_AUDIENCES_MAX_REMOVAL_PERCENT=100" in stopped.last_line
        good = target.run(after(good, whole(1, 1500)), load_method="overwrite")
        assert (good.exit_code, good.audience["plan"], changes(tiktok)) == (0, "NOTHING", sent)
    assert members(tiktok) == digests(1, 1500)


def test_a_tenth_may_go_and_comes_back(target: Target, tiktok: Client) -> None:
    first = target.run(whole(1, 1500), load_method="overwrite")
    tiktok.advance(60)
    cut = target.run(after(first, whole(1, 1350)), load_method="overwrite")
    assert (cut.exit_code, members(tiktok)) == (0, digests(1, 1350))
    tiktok.advance(60)
    assert target.run(after(cut, whole(1, 1500)), load_method="overwrite").exit_code == 0
    assert members(tiktok) == digests(1, 1500)


@pytest.mark.parametrize("durable", [True, False])
def test_each_part_is_guarded_by_itself(target: Target, tiktok: Client, *, durable: bool) -> None:
    settings = {"load_method": "overwrite", "audience_name": "Both"} | ({} if durable else {"ledger_path": ":memory:"})
    first = target.run([*whole(1, 1500, "large"), *whole(1501, 1550, "small")], **settings)
    tiktok.advance(60)
    sent = changes(tiktok)
    for last in range(1500, 1545, 5):
        cut = [*whole(1, 1500, "large"), schema("small"), *people(1501, last, "small")]
        stopped = target.run(after(first, cut), **settings)
        assert (stopped.exit_code, stopped.state, changes(tiktok)) == (1, None, sent)
        assert "small" in stopped.last_line
    good = target.run(after(first, [*whole(1, 1500, "large"), *whole(1501, 1550, "small")]), **settings)
    assert (good.exit_code, good.audience["plan"]) == (0, "NOTHING")


def test_all_parts_together_are_guarded(target: Target, tiktok: Client) -> None:
    settings = {"load_method": "overwrite", "audience_name": "Both"}
    # Most are in both streams; each loses a tenth that only it has, and together that is more.
    first = target.run([*whole(1, 2000, "a"), *whole(201, 2200, "b")], **settings)
    tiktok.advance(60)
    sent = changes(tiktok)
    cut = target.run(after(first, [*whole(201, 2000, "a"), *whole(201, 2000, "b")]), **settings)
    assert (cut.exit_code, cut.state, changes(tiktok)) == (1, None, sent)
    assert "400 of 2,200 members of all streams would be removed" in cut.last_line
    kept = target.run(after(first, [*whole(1, 2000, "a"), *whole(201, 2200, "b")]), **settings)
    assert (kept.audience["plan"], len(members(tiktok))) == ("NOTHING", 2200)


def test_nothing_to_compare_a_replacement_with_needs_the_override(target: Target, tiktok: Client) -> None:
    audience_id = tiktok.seed(name="Old", members=digests(1, 1500))
    settings = {"load_method": "overwrite", "audience_id": audience_id}
    stopped = target.run(whole(1, 1450), **settings)
    assert (stopped.exit_code, changes(tiktok)) == (1, [])
    assert target.run(whole(1, 1450), **settings, max_removal_percent=100).exit_code == 0
    assert members(tiktok) == digests(1, 1450)


def test_one_of_two_streams_does_not_replace_an_audience_whose_ledger_is_gone(target: Target, tiktok: Client) -> None:
    settings = {"load_method": "overwrite", "audience_name": "Both", "max_removal_percent": 100}
    first = target.run([*whole(1, 800, "a"), *whole(801, 1900, "b")], **settings)
    tiktok.advance(60)
    lose_it(target)
    stopped = target.run(after(first, whole(801, 1901, "b")), **settings)
    assert (stopped.exit_code, stopped.audience["reason"], members(tiktok)) == (1, "parts_missing", digests(1, 1900))


# Bindings


@pytest.mark.parametrize(
    "changed",
    [
        {"apply_hashing": False},
        {"default_country": "DE"},
        {"identifier_field": "phone"},
        {"load_method": "append-only"},
    ],
)
def test_a_stream_stays_bound_until_a_rebuild(target: Target, tiktok: Client, changed: dict[str, Any]) -> None:
    def rows(last: int) -> Messages:
        raw = changed.get("apply_hashing", True)
        hashed = digests(1, last)
        values = [email(n) if raw else hashed[n - 1] for n in range(1, last + 1)]
        return [schema(), *(record(n, email=v, phone=v) for n, v in enumerate(values, 1))]

    first = target.run([*stream_of(1, 1000)], load_method="upsert")
    tiktok.advance(60)
    sent = changes(tiktok)
    settings = {"load_method": "upsert", **changed}
    stopped = target.run(after(first, rows(1010)), **settings)
    assert (stopped.exit_code, stopped.state, changes(tiktok)) == (1, None, sent)
    assert f"`{next(iter(changed))}` from" in stopped.last_line
    rebuilt = target.run(rows(1010), **{**settings, "load_method": "overwrite", "max_removal_percent": 100})
    assert rebuilt.exit_code == 0, rebuilt.log
    tiktok.advance(60)
    assert target.run(after(rebuilt, rows(1020)), **settings).exit_code == 0
    assert members(tiktok) == digests(1, 1020)


@pytest.mark.parametrize("load_method", METHODS)
def test_a_changed_title_renames_nothing(target: Target, tiktok: Client, load_method: str) -> None:
    first = target.run(whole(1, 1000), load_method=load_method)
    tiktok.advance(60)
    titled = whole(1, 1010)
    titled[0]["schema"]["title"] = "Another"
    second = target.run(after(first, titled), load_method=load_method)
    assert len(tiktok.control("audiences").json()) == 1
    assert second.exit_code == 1 or members(tiktok) == digests(1, 1010)


def test_the_rebuild(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1100), load_method="upsert")
    held = target.run(after(first, stream_of(1101, 1110)), load_method="upsert")
    tiktok.advance(60)
    lose_it(target)
    stopped = target.run(after(held, stream_of(1111, 1120)), load_method="upsert")
    assert "Rebuild" in stopped.last_line or "full-refresh" in stopped.last_line
    pinned = {"audience_id": first.audience["audience_id"]}
    rebuilt = target.run(stream_of(3, 1120), load_method="overwrite", max_removal_percent=100, **pinned)
    assert (rebuilt.exit_code, rebuilt.audience["plan"], members(tiktok)) == (0, "REPLACE", digests(3, 1120))
    gone = [schema(), record(1120, _sdc_deleted_at="2026-01-01"), *people(1121, 1121), state(1121)]
    outcome = rebuilt
    for _ in range(2):
        tiktok.advance(60)
        outcome = target.run(after(outcome, gone), load_method="upsert", **pinned)
        assert outcome.exit_code == 0, outcome.log
    assert members(tiktok) == sorted([*digests(3, 1119), *digests(1121, 1121)])


# What waits for a stream that does not come


@pytest.mark.parametrize("fault", [{"fail_later": "Matching failed."}, {"drop": "before"}])
def test_a_rebuild_that_fails_is_made_again_by_any_method(
    target: Target, tiktok: Client, fault: dict[str, Any]
) -> None:
    audience_id = tiktok.seed(name="Old", members=digests(1, 1100))
    tiktok.fault(path=UPDATE, **fault)
    outcome = target.run(whole(1001, 2100), load_method="overwrite", audience_id=audience_id, max_removal_percent=100)
    for number in range(3):
        tiktok.advance(60)
        messages = after(outcome, stream_of(2101 + number, 2101 + number)[:-1])
        outcome = target.run(messages, load_method="upsert", audience_id=audience_id)
    assert members(tiktok) == digests(1001, 2103)


def test_what_was_held_goes_out_though_its_stream_does_not_come(target: Target, tiktok: Client) -> None:
    def held(name: str) -> list[str]:
        return next(tiktok.members(a["audience_id"]) for a in tiktok.control("audiences").json() if a["name"] == name)

    first = target.run(stream_of(1, 1000, "a"))
    second = target.run(after(first, stream_of(1001, 1010, "a")))
    assert second.audience["outcome"] == "held"
    third = target.run(after(second, stream_of(1, 1000, "b")))
    assert third.exit_code == 0
    assert (held("a"), held("b")) == (digests(1, 1000), digests(1, 1000))
    tiktok.advance(60)
    fourth = target.run(after(third, stream_of(1001, 1001, "b")))
    assert (fourth.exit_code, held("a"), held("b")) == (0, digests(1, 1010), digests(1, 1001))


def test_another_taps_hold_does_not_keep_this_taps_state_back(target: Target) -> None:
    first = target.run(stream_of(1, 1000, "a"))
    assert target.run(after(first, stream_of(1001, 1010, "a"))).audience["outcome"] == "held"
    other = target.run(stream_of(1, 1000, "b"))
    assert (other.exit_code, other.state is not None) == (0, True)


# One run at a time


def in_mid_run(
    target: Target, monkeypatch: pytest.MonkeyPatch, messages: Messages, what: Callable[[], None]
) -> Outcome:
    """Run, and do something right before the upload."""
    original = TikTok.upload

    def upload(*arguments: Any) -> str:
        what()
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TikTok, "upload", upload)
        return target.run(messages)


@pytest.mark.parametrize("known", ["name", "id", "not yet"])
@pytest.mark.parametrize("second", ["name", "id"])
def test_a_second_run_stops_at_once(
    target: Target, tiktok: Client, monkeypatch: pytest.MonkeyPatch, known: str, second: str
) -> None:
    first = None
    if known == "not yet":
        audience_id = tiktok.seed(name=STREAM, members=digests(1, 1000))
    else:
        first = target.run(stream_of(1, 1000))
        audience_id = first.audience["audience_id"]
    tiktok.advance(60)
    ended: list[subprocess.CompletedProcess[str]] = []

    def run_another() -> None:
        by_id = {"audience_id": audience_id, "audience_name": "As another calls it"}
        settings = {**target.config, **by_id} if second == "id" else {**target.config, "audience_id": None}
        settings = {name: value for name, value in settings.items() if value is not None}
        config = target.folder / "second.json"
        config.write_text(json.dumps(settings))
        given = "".join(f"{json.dumps(message)}\n" for message in stream_of(1, 1100))
        command = [sys.executable, "-m", "target_tiktok_audiences", "--config", str(config)]
        ended.append(
            subprocess.run(
                command, input=given, capture_output=True, text=True, timeout=60, check=False, cwd=target.folder
            )
        )

    if known == "id":
        target.config["audience_id"] = audience_id
    outcome = in_mid_run(target, monkeypatch, after(first, stream_of(1001, 1010)), run_another)
    (other,) = ended
    assert (other.returncode, other.stdout) == (1, "")
    assert "is being filled already" in other.stderr.splitlines()[-1]
    assert (outcome.exit_code, members(tiktok)) == (0, digests(1, 1010))
    assert outcome.state
    tiktok.advance(60)
    assert target.run(after(outcome, stream_of(1011, 1011))).exit_code == 0, "the second has left no lock behind"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_publishes_nothing_more(
    target: Target, tiktok: Client, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(60)
    monkeypatch.setattr(target, "config", {**target.config})
    previous = signal.getsignal(number)
    stopped = in_mid_run(target, monkeypatch, after(first, stream_of(1001, 1010)), lambda: os.kill(os.getpid(), number))
    signal.signal(number, previous)
    assert (stopped.exit_code, stopped.stdout, members(tiktok)) == (128 + number, "", digests(1, 1000))
    assert target.run(after(first, stream_of(1001, 1010))).exit_code == 0
    assert members(tiktok) == digests(1, 1010)


# Books and files


def test_a_record_that_gets_lost_on_the_way_stops_the_run(
    target: Target, tiktok: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, lost = Part.add, bytes.fromhex(digests(7, 7)[0])
    monkeypatch.setattr(Part, "add", lambda part, found: original(part, [each for each in found if each != lost]))
    outcome = target.run(stream_of(1, 1000))
    assert (outcome.exit_code, outcome.state, changes(tiktok)) == (1, None, [])
    assert "1,000 records were read and 999 are accounted for" in outcome.last_line


def test_the_ledger_is_nobody_elses_and_holds_no_identifier(target: Target) -> None:
    first = target.run(stream_of(1, 1000), load_method="upsert")
    target.run(after(first, stream_of(1001, 1010)), load_method="upsert")
    folder: Path = target.folder / "ledgers"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert MARKER.encode() not in file.read_bytes()
        assert ADVERTISER in file.name or file.name.startswith(".")


# What came by a key, and then without; who was in before us


def test_who_came_by_a_key_is_counted_once_without_one(target: Target, tiktok: Client) -> None:
    target.run(stream_of(1, 1100), load_method="overwrite")
    tiktok.advance(49)
    added = target.run([schema(), *people(1, 1200)], load_method="append-only").audience
    assert (added["desired"], added["added"], members(tiktok)) == (1200, 100, digests(1, 1200))
    tiktok.advance(49)
    refused = target.run(stream_of(1, 1010), load_method="overwrite")
    assert (refused.exit_code, "190 of 1,200" in refused.last_line) == (1, True)
    tiktok.delete(tiktok.control("audiences").json()[0]["audience_id"])
    again = target.run([schema(), *people(1, 1200)], load_method="append-only")
    assert (again.exit_code, again.audience["plan"], again.audience["sent"]) == (0, "CREATE", 1200)


def test_overwrite_removes_strangers_though_a_digest_says_that_all_of_ours_are_in(
    target: Target, tiktok: Client
) -> None:
    target.config["audience_id"] = tiktok.create(digests(1, 1000) + digests(2001, 2300))
    tiktok.advance(49)
    first = target.run(stream_of(1, 1100))
    tiktok.advance(49)
    second = target.run(after(first, stream_of(1, 1100)))
    tiktok.advance(49)
    shutil.rmtree(target.folder / "ledgers")
    messages = [schema(), *people(1, 1100), {"type": "STATE", "value": {"bookmarks": {}}}]
    old = {"bookmarks": {KEY: second.state["bookmarks"][KEY]}} if second.state else {}
    options = {"load_method": "overwrite", "max_removal_percent": 100}
    outcome = target.run([{"type": "STATE", "value": old}, *messages], **options)
    assert (outcome.exit_code, outcome.audience["plan"]) == (0, "REPLACE")
    (audience,) = tiktok.control("audiences").json()
    assert tiktok.members(audience["audience_id"]) == digests(1, 1100)


def test_two_feeds_of_one_column_into_one_audience_must_be_one(target: Target, tiktok: Client) -> None:
    feeds = [{"audience_name": "X", "default_country": country} for country in ("US", "GB")]
    outcome = target.run(
        [schema(), record(1, phone="2015550123")], contract="PHONE_SHA256", audiences=feeds, max_reject_percent=100
    )
    assert (outcome.exit_code, "Two feeds send column `phone`" in outcome.last_line) == (1, True)
    assert tiktok.control("audiences").json() == []
