"""`kill -9` before and after each step of a run; then the table changes, and the next run must make it all good.

One case of each step is played for one load method, and those around the call for all; with TEST_LONG, all for all.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from support import child
from support.kills import become_calm, check
from support.source import STEPS, Change, Source

if TYPE_CHECKING:
    from support.emulator_client import Client
    from support.target import Target

METHODS = ("append-only", "upsert", "overwrite")
AROUND_THE_CALL = {"intent", "call", "outcome", "state"}

ON_A_DISK = [step for step in STEPS if step not in {"reserve", "save"}]
"""The others do something where ledgers are in a store, and are in the histories."""

CASES = [
    pytest.param(step, when, method, id=f"{method}-{when}-{step}")
    for number, (step, when) in enumerate((step, when) for step in ON_A_DISK for when in ("before", "after"))
    for method in METHODS
    if os.environ.get("TEST_LONG") or step in AROUND_THE_CALL or method == METHODS[number % 3]
]


@pytest.fixture(scope="module", autouse=True)
def _fork_server() -> None:
    child.start_fork_server()


def kill(target: Target, source: Source, step: str, when: str, skip: int = 0) -> None:
    """Run the target in a process that is killed, once the step has come so often.

    STATE that it had emitted by then is kept, as Meltano would.
    """
    ended = child.run(target.config, source.messages(), target.folder, kill=(step, when, skip))
    assert ended.exit_code == -signal.SIGKILL
    source.state = ended.state or source.state


@pytest.fixture
def source(target: Target, method: str) -> Source:
    target.config |= {"load_method": method, "audience_name": "Customers", "min_audience_size": 1}
    # The part that changes is small, so any change is a large share of it.
    target.config |= {"max_removal_percent": 100, "max_reject_percent": 100}
    source = Source(method)
    source.change(*(Change(row, "set", 2000 + row) for row in range(5)))
    return source


@pytest.mark.parametrize(("step", "when", "method"), CASES)
def test_a_first_run_that_is_killed(target: Target, tiktok: Client, source: Source, step: str, when: str) -> None:
    kill(target, source, step, when)
    source.change(Change(0, "set", 3000), Change(1, "deleted", 2001), Change(6, "set", 2006))
    become_calm(target, source)
    check(tiktok, source)


@pytest.mark.parametrize(("step", "when", "method"), CASES)
def test_a_later_run_that_is_killed(target: Target, tiktok: Client, source: Source, step: str, when: str) -> None:
    source.state = target.run(source.messages()).state
    tiktok.advance(60)
    source.change(Change(0, "set", 3000), Change(1, "deleted", 2001), Change(2, "null"), Change(6, "set", 2006))
    kill(target, source, step, when)
    source.change(Change(0, "set", 2000), Change(1, "set", 3001), Change(6, "bad"), Change(7, "set", 2007))
    become_calm(target, source)
    check(tiktok, source)


@pytest.mark.parametrize("method", ["overwrite"])
@pytest.mark.usefixtures("method")
def test_a_run_that_is_killed_after_40_of_49_uploads_goes_on_at_the_41st(
    target: Target, tiktok: Client, source: Source
) -> None:
    target.config["batch_size_rows"] = 22
    source.change(*(Change(row, "set", 2000 + row) for row in range(5, 12)))
    kill(target, source, "upload", "before", skip=40)
    before = len(tiktok.requests())
    outcome = target.run(source.messages())
    assert outcome.audience["files"] == 49
    assert "40 of 49 files are with TikTok already" in outcome.log
    uploads = [request for request in tiktok.requests()[before:] if request["path"].endswith("upload/")]
    assert len(uploads) == 9
    check(tiktok, source)
