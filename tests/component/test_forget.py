"""`forget`, and streams that move from one audience to another."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from support.emulated import run_forget
from support.singer import STREAM, digests, stream_of

from target_tiktok_audiences.ledger.ledger import Ledger

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from support.emulator_client import Client
    from support.target import Target

    from target_tiktok_audiences.ledger.ledger import Revision


@pytest.fixture
def filled(target: Target, tiktok: Client) -> Target:
    """Fill one audience from two streams that share some people, and let TikTok process that."""
    target.config["audience_name"] = "Both"
    target.run([*stream_of(1, 1500, "a"), *stream_of(1401, 1600, "b")])
    tiktok.advance(49)
    return target


def test_whom_only_that_stream_brought_leaves_with_the_next_run(filled: Target, tiktok: Client) -> None:
    told = run_forget(filled, "b")
    assert told.exit_code == 0, told.output
    assert "the next run removes 100 members and keeps 1,500" in told.output
    (audience,) = tiktok.control("audiences").json()
    assert tiktok.members(audience["audience_id"]) == digests(1, 1600), "nothing is sent by the command"
    outcome = filled.run([])
    assert (outcome.exit_code, outcome.audience["plan"], outcome.audience["removed"]) == (0, "REMOVE", 100)
    assert tiktok.members(audience["audience_id"]) == digests(1, 1500)


def test_it_is_guarded(filled: Target) -> None:
    told = run_forget(filled, "a", "--audience", "Both")
    assert told.exit_code == 1
    assert "1,400 of 1,600 members" in told.output
    assert "max_removal_percent" in told.output
    assert run_forget(filled, "a", "--force").exit_code == 0


def test_a_signal_ends_it_between_two_ledgers(filled: Target, tiktok: Client) -> None:
    forgetting = Ledger.forgetting

    def forget_and_be_signalled(ledger: Ledger, stream: str) -> AbstractContextManager[Revision]:
        os.kill(os.getpid(), signal.SIGTERM)
        return forgetting(ledger, stream)

    filled.run(stream_of(1, 1600, "b"), audience_name="Other")
    with mock.patch.object(Ledger, "forgetting", forget_and_be_signalled):
        told = run_forget(filled, "b")
    assert (told.exit_code, told.output.count("was deleted from the ledger of")) == (128 + signal.SIGTERM, 1)
    tiktok.advance(49)
    assert run_forget(filled, "b", "--force").output.count("was deleted from the ledger of") == 1


def test_what_nobody_knows_is_no_success(filled: Target) -> None:
    for arguments in (["c"], ["a", "--audience", "Other"]):
        told = run_forget(filled, *arguments)
        assert (told.exit_code, "no ledger" in told.output) == (1, True)
    assert run_forget(filled, "a", contract="FAX").exit_code == 2


def test_a_stream_that_moves_is_stopped_until_its_old_part_is_forgotten(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1100), audience_name="Old")
    tiktok.advance(49)
    messages = [{"type": "STATE", "value": first.state}, *stream_of(1, 1200)]
    moved = target.run(messages, audience_name="New")
    assert (moved.exit_code, moved.state) == (1, None)
    assert 'filled audience "Old"' in moved.last_line
    assert [audience["name"] for audience in tiktok.control("audiences").json()] == ["Old"]
    assert "TikTok rejects removals that leave fewer than 1,000" in run_forget(target, STREAM, "--force").output
    outcome = target.run(messages, audience_name="New")
    new = next(audience for audience in outcome.report["audiences"] if audience["audience"] == "New")
    assert new["outcome"] == "ok", new["message"]


def test_a_second_audience_of_a_stream_is_no_move(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1100), audience_name="Old")
    tiktok.advance(49)
    both = [{"audience_name": "Old"}, {"audience_name": "New"}]
    messages = [{"type": "STATE", "value": first.state}, *stream_of(1101, 2200)]
    assert target.run(messages, audiences=both).exit_code == 0


def test_a_stream_of_an_audience_that_was_never_created_is_forgotten_for_good(target: Target, tiktok: Client) -> None:
    assert target.run(stream_of(1, 999, "small")).exit_code == 1
    assert target.run(stream_of(1, 1000)).exit_code == 1
    result = run_forget(target, "small")
    assert (result.exit_code, "delete the audience" in result.output) == (0, False)
    tiktok.advance(49)
    assert target.run(stream_of(1, 1000)).exit_code == 0
