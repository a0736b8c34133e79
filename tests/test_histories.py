"""Random histories: a table that changes, runs that die anywhere, a TikTok that refuses, goes silent and fails late.

Whatever happened, once it is calm the audience holds exactly what the table says. A history is known by its seed: `-k
'upsert and 7'` plays one again. With TEST_LONG there are far more of them.
"""

from __future__ import annotations

import os
import random
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Target
from emulator_client import ADVERTISER, TOKEN, Client, emulated
from tap import BASE, STEPS, VARYING, Change, Killed, Source, killed

from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Outcome

METHODS = ("append-only", "upsert", "overwrite")
SEEDS = range(100) if os.environ.get("TEST_LONG") else range(4)
ROWS, PEOPLE = 14, 10
KILLS = sorted(STEPS.keys() - {"close"})  # this process would keep the ledger open

NOT_EDITABLE = "Audience is not editable, please check audience status"
ANYWHERE: list[dict[str, Any]] = [
    {"code": 40100, "message": "App reaches the QPS limit 10"},
    {"code": 40100, "message": "App reaches the QPD limit 100"},
    {"code": 60001, "message": "The service is under maintenance"},
    {"code": 50000, "message": "System error", "times": None},
    {"http_status": 502, "times": None},
    {"drop": "before"},
]
CHANGING: list[dict[str, Any]] = [
    *ANYWHERE,
    {"drop": "after"},
    {"truncate": True},
    {"code": 40202, "message": "Write conflict"},
    {"code": 50000, "message": "System error", "after_effect": True},
    {"code": 40050, "message": "Duplicated request", "after_effect": True},
    {"code": 40905, "message": "The file does not exist"},
    {"http_status": 504, "after_effect": True},
]
UPDATING: list[dict[str, Any]] = [
    *CHANGING,
    {"code": 40002, "message": NOT_EDITABLE},
    *[{"fail_later": "Matching failed."}] * 6,
]
FAULTS = {"list": ANYWHERE, "get": ANYWHERE, "file/upload": ANYWHERE, "create": CHANGING, "update": UPDATING}


@dataclass(frozen=True)
class Step:
    """What happens until a run has ended."""

    hours: int
    changes: tuple[Change, ...]
    streams: tuple[str, ...] = (BASE, VARYING)
    fault: dict[str, Any] | None = None
    kill: tuple[str, str] | None = None
    max_removal_percent: int = 100


def random_change(rng: random.Random, load_method: str) -> Change:
    kinds = ["set"] * 5 + ["null", "bad", "absent", "deleted"] + (["key"] if load_method == "upsert" else [])
    person = rng.randrange(PEOPLE)
    # Person 0 is also one of those who stay: leaving the table that changes must not take her from the audience.
    return Change(rng.randrange(ROWS), rng.choice(kinds), 5000 + person if person else 0)


@dataclass(frozen=True)
class Mood:
    """How much goes wrong in a history, and what."""

    faults: float
    kills: float
    paths: tuple[str, ...] = (*FAULTS, "create", "update", "update", "update")


MOODS = (Mood(0.5, 0.2), Mood(0.9, 0, ("create", "update", "update", "update")), Mood(0.3, 0.6))


def random_step(rng: random.Random, load_method: str, mood: Mood) -> Step:
    fault = None
    if rng.random() < mood.faults:
        path = rng.choice(mood.paths)
        fault = {"path": f"/dmp/custom_audience/{path}/", **rng.choice(FAULTS[path])}
    return Step(
        hours=rng.choice([1, 2, 12, 25, 47, 49, 60, 72]),
        changes=tuple(random_change(rng, load_method) for _ in range(rng.choice([0, 1, 2, 3, 6]))),
        streams=rng.choice([(VARYING,), (VARYING,), (VARYING,), (BASE, VARYING), (BASE,), ()]),
        fault=fault,
        kill=(rng.choice(KILLS), rng.choice(["before", "after"])) if rng.random() < mood.kills else None,
        max_removal_percent=rng.choice([10, 100, 100, 100]),
    )


class Pipeline:
    """One tap, the target and an emulated TikTok, run after run."""

    def __init__(self, load_method: str, tiktok: Client, folder: Path) -> None:
        self.tiktok, self.source = tiktok, Source(load_method)
        self.target = Target(
            tiktok,
            folder,
            {
                "access_token": TOKEN,
                "advertiser_id": ADVERTISER,
                "contract": "EMAIL_SHA256",
                "api_url": tiktok.base,
                "audience_name": "Customers",
                "ledger_path": str(folder / "ledgers"),
                "load_method": load_method,
                "min_audience_size": 1,
                "max_reject_percent": 100,
            },
        )

    def play(self, step: Step) -> Outcome:
        """Let a step happen, and check what must be true at any time."""
        self.source.change(*step.changes)
        self.tiktok.advance(step.hours)
        if step.fault:
            self.tiktok.fault(**step.fault)
        acknowledged = (self.source.state or {}).get("bookmarks", {})
        messages = self.source.messages(*(step.streams if BASE in acknowledged else (BASE, VARYING)))
        with ExitStack() as around:
            if step.kill:
                around.enter_context(killed(*step.kill, self.target.folder / "ledgers"))
            outcome = self.target.run(messages, max_removal_percent=step.max_removal_percent)
        self.tiktok.control("faults", method="DELETE")
        self.source.state = outcome.state or self.source.state
        self.check(outcome)
        return outcome

    def check(self, outcome: Outcome) -> None:
        killed_now = Killed.__name__ in outcome.log
        assert killed_now or "fault of the target" not in outcome.log, outcome.log
        for audience in [] if killed_now else outcome.report["audiences"]:
            for books in audience["books"]:
                counts = [count for name, count in books.items() if name not in {"stream", "read", "rejected"}]
                assert books["read"] == sum(counts) + sum(books["rejected"].values())
        audiences = self.tiktok.control("audiences").json()
        assert len(audiences) <= 1
        for audience in audiences:
            assert self.source.staying <= set(self.tiktok.members(audience["audience_id"]))

    def become_calm(self) -> None:
        """Run without faults until nothing is to be done; that must not take long."""
        for _ in range(7):
            outcome = self.play(Step(60, ()))
            if outcome.audience["plan"] == "NOTHING" and not outcome.audience["in_flight"]:
                break
        else:
            pytest.fail(f"no end: {outcome.audience}")
        assert outcome.exit_code == 0, outcome.log
        assert outcome.state
        (audience,) = self.tiktok.control("audiences").json()
        assert self.tiktok.members(audience["audience_id"], "?processed=true") == self.source.wanted


def play(load_method: str, seed: int, folder: Path) -> None:
    rng = random.Random(seed)
    mood = rng.choice(MOODS)
    steps = [random_step(rng, load_method, mood) for _ in range(rng.randrange(5, 12))]
    with emulated(processing_hours=rng.choice([1, 5, 24, 40]), list_lag_seconds=rng.choice([0, 1800])) as tiktok:
        pipeline = Pipeline(load_method, tiktok, folder)
        for step in steps:
            pipeline.play(step)
        pipeline.become_calm()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("load_method", METHODS)
def test_after_any_history_the_audience_is_the_table(
    load_method: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TargetTikTokAudiences, "sleep", staticmethod(lambda _: None))
    play(load_method, seed, tmp_path)
