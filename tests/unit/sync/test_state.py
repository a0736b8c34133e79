"""Our entry in the tap's STATE."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_tiktok_audiences.sync.state import KEY, AudienceEntry, read, write

AUDIENCES = {
    "7/Customers": AudienceEntry(
        audience_id="195365740",
        origin="created",
        ledger="0123",
        commit=7,
        parts={"customers": 5000},
        desired=5000,
        digest="5000-ab",
        changed_at=datetime(2026, 1, 1, tzinfo=UTC),
        error="Some rows were not read",
        held=True,
    ),
    "7#17": AudienceEntry(audience_id="17", origin="set"),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_what_is_written_is_read_again() -> None:
    written = write({"bookmarks": {"customers": {"v": 1}}, "currently_syncing": "customers"}, AUDIENCES)
    assert read(written) == AUDIENCES
    assert written["bookmarks"]["customers"] == {"v": 1}
    assert written["currently_syncing"] == "customers"


def test_the_entry_is_one_that_no_tap_stumbles_over() -> None:
    entry = write({}, AUDIENCES)["bookmarks"][KEY]
    assert entry["last_replication_method"] == "FULL_TABLE"
    assert not entry.keys() & {"partitions", "progress_markers", "version", "lsn", "xmin"}
    for audience in entry["audiences"].values():
        assert audience.keys() == set(AudienceEntry.__struct_fields__)


def test_a_taps_state_is_not_changed_in_place() -> None:
    state: dict[str, Any] = {"bookmarks": {}}
    write(state, AUDIENCES)
    assert state == {"bookmarks": {}}


def test_bookmarks_that_are_no_object_are_left_alone() -> None:
    written = write({"bookmarks": [1, 2]}, AUDIENCES)
    assert written["bookmarks"] == [1, 2]
    assert read(written) == AUDIENCES


def test_made_by_hand_at_the_top() -> None:
    entry = write({}, AUDIENCES)["bookmarks"][KEY]
    assert read({KEY: entry}) == AUDIENCES


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {"audiences": []},
        {"audiences": {"a": None}},
        {"audiences": {"a": {"audience_id": 5, "origin": "set"}}},
        {"audiences": {"a": {"audience_id": "5"}}},
        {"audiences": {"a": {"audience_id": "5", "origin": "\ud800"}}},
        {"audiences": {"a": {"audience_id": "5\n", "origin": "set"}}},
        {"audiences": {"a": {"audience_id": "../5", "origin": "set"}}},
        {"audiences": {"a": {"audience_id": "5", "origin": "set", "changed_at": "yesterday"}}},
        {"audiences": {"a": {"audience_id": "5", "origin": "set", "changed_at": "2026-01-01T00:00:00"}}},
    ],
)
def test_what_is_malformed_is_passed_over(entry: object) -> None:
    assert read({"bookmarks": {KEY: entry}}) == {}


@given(JSON, JSON)
def test_no_state_of_any_tap_is_a_surprise(bookmarks: object, entry: object) -> None:
    for state in ({"bookmarks": bookmarks}, {"bookmarks": {KEY: entry}}, {KEY: {"audiences": entry}}):
        read(state)
        write(state, AUDIENCES)
