"""A clock that jumps: nothing waits for a day that is years away, and nothing is taken as done too early."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest
from support.emulated import after, ledger_of, members
from support.singer import digests, stream_of

from target_tiktok_audiences.tiktok.client import TikTok

if TYPE_CHECKING:
    from support.emulator_client import Client
    from support.target import Target

UPDATE = "/dmp/custom_audience/update/"


def move_times(target: Target, by: timedelta) -> None:
    """Move every time that the ledger has noted."""
    with duckdb.connect(str(ledger_of(target))) as database:
        (text,) = database.execute("SELECT value FROM facts").fetchall()[0]
        facts = json.loads(text)
        for name in ("changed_at", "creating_since", "held_since"):
            facts[name] = facts[name] and (datetime.fromisoformat(facts[name]) + by).isoformat()
        database.execute("UPDATE facts SET value = ?", [json.dumps(facts)])
        for number, at in database.execute("SELECT id, accepted_at FROM change").fetchall():
            moved = at and (datetime.fromisoformat(at) + by).isoformat()
            database.execute("UPDATE change SET accepted_at = ? WHERE id = ?", [moved, number])


AHEAD = [timedelta(minutes=5), timedelta(days=10), timedelta(days=3650)]


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_change_noted_in_the_future_is_confirmed_in_its_time(
    target: Target, tiktok: Client, ahead: timedelta
) -> None:
    outcome = target.run(stream_of(1, 1000))
    tiktok.advance(30)  # processed, and not yet quiet for 48 hours
    move_times(target, timedelta(hours=30) + ahead)
    for hours, in_flight in ((0, 1), (40, 1), (9, 0)):
        tiktok.advance(hours)
        outcome = target.run(after(outcome, stream_of(1000, 1000)))
        assert (outcome.exit_code, outcome.audience["in_flight"]) == (0, in_flight), outcome.log


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_creation_lost_in_the_future_is_made_again(target: Target, tiktok: Client, ahead: timedelta) -> None:
    tiktok.fault(path="/dmp/custom_audience/create/", drop="before")
    target.run(stream_of(1, 1000))
    move_times(target, ahead)
    held = target.run(stream_of(1, 1000))
    assert (held.exit_code, held.audience["reason"]) == (0, "create_unknown")
    tiktok.advance(2)
    last = target.run(stream_of(1, 1000))
    assert (last.exit_code, members(tiktok)) == (0, digests(1, 1000))


def test_a_hold_since_the_future_is_overdue_in_its_time(target: Target, tiktok: Client) -> None:
    tiktok.fault(path=UPDATE, times=None, code=40002, message="The audience is not editable")
    outcome = target.run(stream_of(1, 1000))
    tiktok.advance(60)
    outcome = target.run(after(outcome, stream_of(1, 1010)))
    move_times(target, timedelta(days=3650))
    for hours, code in ((0, 0), (71, 0), (2, 1)):
        tiktok.advance(hours)
        outcome = target.run(after(outcome, stream_of(1, 1010)))
        assert (outcome.exit_code, outcome.audience["plan"]) == (code, "HOLD")


def test_an_audience_that_stays_empty_is_told_though_the_future_was_noted(target: Target, tiktok: Client) -> None:
    outcome = target.run(stream_of(1, 10), min_audience_size=1)
    move_times(target, timedelta(days=3650))
    for hours, code in ((0, 0), (47, 0), (2, 1)):
        tiktok.advance(hours)
        outcome = target.run(after(outcome, stream_of(1, 10)), min_audience_size=1)
        assert outcome.exit_code == code, outcome.log
        assert outcome.audience["reason"] == ("too_small" if code else "")


def test_the_time_is_what_two_of_three_clocks_say(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    tiktok = TikTok("emulator-token", "http://127.0.0.1:9")
    assert abs(tiktok.now - now) < hour
    for noted, date, right in (
        (now - hour, now + 900 * hour, now + 900 * hour),  # TikTok's clock counts
        (now - hour, now - 900 * hour, now),  # it has gone back, says the ledger, and this machine
        (now + 900 * hour, now, now),  # the ledger was wrong
        (now + 900 * hour, now + 800 * hour, now + 800 * hour),
        (None, now - 900 * hour, now - 900 * hour),
    ):
        answered = (date, time.monotonic() - 600) if date else None
        monkeypatch.setattr(tiktok._transport, "_dated", answered)  # noqa: SLF001 - as an answer of ten minutes ago
        tiktok.not_before = noted
        ago = timedelta(minutes=10 if date and right == date else 0)
        assert abs(tiktok.now - right - ago) < timedelta(minutes=1), "TikTok's clock goes on between two answers"
    tiktok.close()
