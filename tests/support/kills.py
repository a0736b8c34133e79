"""What holds after a run that was killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.emulator_client import Client
    from support.source import Source
    from support.target import Outcome, Target


def become_calm(target: Target, source: Source) -> Outcome:
    """Run, days apart, until nothing is to be done."""
    for _ in range(5):
        target.tiktok.advance(60)
        outcome = target.run(source.messages())
        assert outcome.exit_code == 0, outcome.log
        source.state = outcome.state or source.state
        if outcome.audience["plan"] == "NOTHING":
            return outcome
    pytest.fail(f"no end: {outcome.audience}")


def check(tiktok: Client, source: Source) -> None:
    (audience,) = tiktok.control("audiences").json()
    assert tiktok.members(audience["audience_id"]) == source.wanted
    assert [r["path"] for r in tiktok.requests() if r["path"].endswith("create/")] == ["/dmp/custom_audience/create/"]
