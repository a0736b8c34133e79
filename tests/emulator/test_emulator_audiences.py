"""What becomes of an audience over time: processing, the floor of 1,000, failures, expiry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator_client import digests, emulated

from target_tiktok_audiences.emulator.audiences import Audience, Change, HistoryEntry, accept, expected_members, settle
from target_tiktok_audiences.emulator.options import Options
from target_tiktok_audiences.tiktok.models import CalculateType, UpdateAction

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

NOT_EDITABLE = "Audience is not editable, please check audience status"


def time_of(shown: str) -> datetime:
    return datetime.fromisoformat(shown)


def test_a_new_audience_is_processed_and_locked_meanwhile() -> None:
    with emulated(processing_hours=24) as tiktok:
        audience_id = tiktok.create(digests(1500))
        tiktok.advance(23.9)
        (item,) = tiktok.listing()["data"]["list"]
        assert (item["is_valid"], item["cover_num"], item["expired_time"]) == (False, 0, "2038-01-01 00:00:00")
        for action in ("APPEND", "REMOVE", "REPLACE"):
            answer = tiktok.update(audience_id, digests(1), action=action)
            assert (answer["code"], answer["message"]) == (40002, NOT_EDITABLE)
        tiktok.advance(0.1)
        (item,) = tiktok.listing()["data"]["list"]
        assert (item["is_valid"], item["cover_num"]) == (True, 1500)
        assert time_of(item["expired_time"]) - time_of(item["create_time"]) == timedelta(days=365)


def test_members_count_from_acceptance_or_on_demand_from_processing() -> None:
    with emulated(processing_hours=24) as tiktok:
        audience_id = tiktok.create(digests(1000))
        assert len(tiktok.members(audience_id)) == 1000
        assert tiktok.members(audience_id, "?processed=true") == []
        (shown,) = tiktok.control("audiences").json()
        assert (shown["rows"], shown["processed_rows"], shown["processing"]) == (1000, 0, True)
        tiktok.advance(24)
        (shown,) = tiktok.control("audiences").json()
        assert (shown["rows"], shown["processed_rows"], shown["processing"]) == (1000, 1000, False)


def test_a_rename_and_a_deletion_are_possible_while_processing() -> None:
    with emulated(processing_hours=24) as tiktok:
        audience_id = tiktok.create(digests(1000))
        assert tiktok.update(audience_id, custom_audience_name="Renamed")["code"] == 0
        assert tiktok.delete(audience_id)["code"] == 0


def test_an_audience_of_fewer_than_1000_matches_stays_at_size_0() -> None:
    with emulated(match_rate=0.5) as tiktok:
        small, enough = tiktok.create(digests(1998)), tiktok.create(digests(2000))
        tiktok.advance(1000)
        details = tiktok.details(small)
        assert (details["is_valid"], details["cover_num"], details["error_msg"]) == (False, 0, None)
        assert tiktok.update(small, digests(5000), action="APPEND")["message"] == NOT_EDITABLE
        assert (tiktok.details(enough)["is_valid"], tiktok.details(enough)["cover_num"]) == (True, 1000)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("APPEND", digests(2500)),
        ("REMOVE", digests(1000)),
        ("REPLACE", digests(1500, 1000)),
        (None, digests(1500, 1000)),
    ],
)
def test_what_the_actions_do(action: str | None, expected: list[str]) -> None:
    with emulated() as tiktok:
        audience_id = tiktok.create(digests(2000))
        answer = tiktok.update(audience_id, digests(1500, 1000), **({"action": action} if action else {}))
        assert (answer["code"], answer["data"]) == (0, {})
        assert tiktok.members(audience_id) == sorted(expected)
        assert tiktok.details(audience_id)["cover_num"] == len(expected)
        assert tiktok.history(audience_id)[0]["action"] == (action or "REPLACE").lower()


def test_an_update_locks_the_audience_until_it_is_processed() -> None:
    with emulated(processing_hours=24) as tiktok:
        audience_id = tiktok.seed()
        assert tiktok.update(audience_id, digests(1), action="APPEND")["code"] == 0
        details = tiktok.details(audience_id)
        assert (details["is_valid"], details["cover_num"]) == (False, 0)
        assert tiktok.update(audience_id, digests(1), action="APPEND")["message"] == NOT_EDITABLE
        tiktok.advance(24)
        details = tiktok.details(audience_id)
        assert (details["is_valid"], details["cover_num"]) == (True, 1001)


@pytest.mark.parametrize("editable", [False, True])
def test_a_second_replace_is_refused_while_one_is_unfinished(editable: bool) -> None:  # noqa: FBT001
    with emulated(processing_hours=24, editable_while_processing=editable) as tiktok:
        audience_id = tiktok.seed()
        assert tiktok.update(audience_id, digests(2000))["code"] == 0
        answer = tiktok.update(audience_id, digests(2000))
        assert answer["code"] == 40002
        assert answer["message"] == (
            "This replace operation is rejected as there is an existing unfinished replace operation for this "
            "audience. Please wait until the current operation completes on this audience before re trying. "
            "Recommend no more than one replace operation per day."
        )
        tiktok.advance(24)
        assert tiktok.update(audience_id, digests(2000))["code"] == 0


def test_changes_are_taken_while_processing_if_so_chosen() -> None:
    with emulated(processing_hours=24, editable_while_processing=True) as tiktok:
        audience_id = tiktok.create(digests(2000))
        assert tiktok.update(audience_id, digests(1), action="APPEND")["message"] == NOT_EDITABLE
        tiktok.advance(24)
        assert tiktok.update(audience_id, digests(100, 2000), action="APPEND")["code"] == 0
        tiktok.advance(12)
        assert tiktok.update(audience_id, digests(50), action="REMOVE")["code"] == 0
        details = tiktok.details(audience_id)
        assert (details["is_valid"], details["cover_num"]) == (True, 2000)
        tiktok.advance(12)
        assert tiktok.members(audience_id, "?processed=true") == sorted(digests(2100))
        tiktok.advance(12)
        assert tiktok.members(audience_id, "?processed=true") == sorted(digests(2050, 50))


@pytest.mark.parametrize("change", [{"rows": digests(1500), "action": "REMOVE"}, {"rows": digests(999)}], ids=str)
def test_a_change_below_the_floor_fails_when_processed(change: dict[str, Any]) -> None:
    with emulated(processing_hours=24) as tiktok:
        audience_id = tiktok.seed(members=digests(2000))
        assert tiktok.update(audience_id, **change)["code"] == 0
        assert tiktok.details(audience_id)["error_msg"] is None
        tiktok.advance(24)
        details = tiktok.details(audience_id)
        assert details["is_valid"]
        assert "1000" in details["error_msg"]
        assert tiktok.history(audience_id)[0]["msg"] == details["error_msg"]
        assert tiktok.members(audience_id) == sorted(digests(2000))


def test_a_change_below_the_floor_is_refused_at_once_if_so_chosen() -> None:
    with emulated(floor="sync") as tiktok:
        audience_id = tiktok.create(digests(2000))
        assert tiktok.update(audience_id, digests(1001), action="REMOVE")["code"] == 40002
        assert tiktok.update(audience_id, digests(1000), action="REMOVE")["code"] == 0
        assert tiktok.update(audience_id, digests(999), action="REPLACE")["code"] == 40002
        assert tiktok.details(audience_id)["error_msg"] is None


@pytest.mark.parametrize(("counts", "code"), [("rows", 0), ("matched", 40002)])
def test_the_floor_counts_what_is_chosen(counts: str, code: int) -> None:
    with emulated(floor="sync", floor_counts=counts, match_rate=0.5) as tiktok:
        audience_id = tiktok.create(digests(2000))
        assert tiktok.update(audience_id, digests(1), action="REMOVE")["code"] == code


def test_a_change_can_be_made_to_fail_when_processed() -> None:
    with emulated(processing_hours=24) as tiktok:
        audience_id = tiktok.seed(members=digests(2000))
        tiktok.fault(path="/dmp/custom_audience/update/", fail_later="Matching failed.")
        assert tiktok.update(audience_id, digests(5), action="REMOVE")["code"] == 0
        tiktok.advance(24)
        details = tiktok.details(audience_id)
        assert (details["error_msg"], details["is_valid"], details["cover_num"]) == ("Matching failed.", True, 2000)
        assert tiktok.history(audience_id)[0]["msg"] == "Matching failed."
        assert tiktok.members(audience_id) == sorted(digests(2000))
        # The next change that takes clears the error.
        tiktok.update(audience_id, digests(5), action="REMOVE")
        tiktok.advance(24)
        assert tiktok.details(audience_id)["error_msg"] is None
        assert len(tiktok.members(audience_id)) == 1995


def test_a_creation_can_be_made_to_fail_when_processed() -> None:
    with emulated(processing_hours=24) as tiktok:
        tiktok.fault(path="/dmp/custom_audience/create/", fail_later="Matching failed.")
        audience_id = tiktok.create(digests(2000))
        tiktok.advance(24)
        details = tiktok.details(audience_id)
        assert (details["error_msg"], details["is_valid"]) == ("Matching failed.", False)
        assert tiktok.members(audience_id) == []


def test_an_audience_expires_a_year_after_its_last_modification() -> None:
    with emulated() as tiktok:
        audience_id = tiktok.create(digests(1000))
        tiktok.advance(24 * 304)
        assert not tiktok.details(audience_id)["is_expiring"]
        tiktok.advance(24 * 2)
        assert tiktok.details(audience_id)["is_expiring"]
        tiktok.update(audience_id, digests(1), action="APPEND")
        details = tiktok.details(audience_id)
        assert not details["is_expiring"]
        expected = timedelta(days=365 + 306)
        assert time_of(details["expired_time"]) - time_of(details["create_time"]) >= expected
        tiktok.advance(24 * 300)
        tiktok.update(audience_id, custom_audience_name="Renamed")
        tiktok.advance(24 * 364)
        assert tiktok.details(audience_id)["is_valid"]
        tiktok.advance(24)
        details = tiktok.details(audience_id)
        assert (details["is_valid"], details["cover_num"], details["is_expiring"]) == (False, 0, False)


def test_a_retention_is_fixed_at_creation() -> None:
    with emulated() as tiktok:
        audience_id = tiktok.create(digests(1000), retention_in_days=30)
        tiktok.advance(24 * 29)
        tiktok.update(audience_id, digests(1), action="APPEND")
        details = tiktok.details(audience_id)
        assert time_of(details["expired_time"]) - time_of(details["create_time"]) == timedelta(days=30)
        assert details["is_expiring"]
        tiktok.advance(24)
        assert not tiktok.details(audience_id)["is_valid"]


def test_an_expired_audience_can_only_be_deleted() -> None:
    with emulated() as tiktok:
        audience_id = tiktok.seed(expired=True)
        details = tiktok.details(audience_id)
        assert (details["is_valid"], details["cover_num"]) == (False, 0)
        for change in (
            {"rows": digests(2000)},
            {"custom_audience_name": "Renamed"},
            {"audience_sub_type": "REACH_FREQUENCY"},
        ):
            answer = tiktok.update(audience_id, **change)
            assert (answer["code"], answer["message"]) == (40002, NOT_EDITABLE)
        assert tiktok.delete(audience_id)["code"] == 0


BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


NUMBERS = st.builds(
    lambda start, size: frozenset(range(start, start + size)), st.integers(0, 2000), st.integers(0, 1500)
)


@given(st.lists(st.tuples(st.sampled_from(UpdateAction), NUMBERS, st.booleans()), max_size=8))
def test_it_does_not_matter_when_one_looks(changes: list[tuple[UpdateAction, frozenset[int], bool]]) -> None:
    """Changes that are processed one by one leave what all of them leave at once, and what plain sets would."""
    options = Options()
    first = frozenset(range(1000, 2010))
    watched, ignored = (
        Audience(
            audience_id="1",
            owner_id="1",
            name="",
            create_time=BEGINNING,
            modify_time=BEGINNING,
            calculate_type=CalculateType.EMAIL_SHA256,
            members=_as_members(first),
        )
        for _ in range(2)
    )
    expected = set(first)
    now = BEGINNING
    for action, numbers, fails in changes:
        after = {
            UpdateAction.APPEND: expected | numbers,
            UpdateAction.REMOVE: expected - numbers,
            UpdateAction.REPLACE: set(numbers),
        }
        if not fails and len(after[action]) >= 1000:
            expected = after[action]
        for audience in (watched, ignored):
            done = now + timedelta(hours=24)
            failure = "Failed." if fails else None
            entry = HistoryEntry(action.value, now)
            accept(audience, Change(action, _as_members(numbers), len(numbers), 0, done, entry, failure))
        now += timedelta(hours=24)
        settle(watched, now, options)
    settle(ignored, now, options)
    assert watched.members == ignored.members == expected_members(ignored) == _as_members(expected)
    assert watched.error_msg == ignored.error_msg


def _as_members(numbers: AbstractSet[int]) -> frozenset[bytes]:
    return frozenset(number.to_bytes(32, "big") for number in numbers)
