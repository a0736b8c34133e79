"""Random histories: a table that changes, runs that die anywhere, a TikTok that refuses, goes silent and fails late.

Whatever happened, once it is calm the audience holds exactly what the table says. A history is known by its seed.
"""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

from click.testing import CliRunner

from support import child
from support.emulator_client import ADVERTISER, TOKEN, Client, emulated
from support.singer import email
from support.source import BASE, STEPS, VARYING, Change, Killed, Source, digest, killed, once
from support.target import MARKER, Outcome, Target
from target_tiktok_audiences.cli.erase import erase_command
from target_tiktok_audiences.ledger import remote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

METHODS = ("append-only", "upsert", "overwrite")
ROWS, PEOPLE = 14, 10
MOST_HOURS_BACK = 6
FIRST_GUESS_S = 0.3
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

    hours: float
    """Less than 0 if the clock is set back."""
    changes: tuple[Change, ...]
    streams: tuple[str, ...] = (BASE, VARYING)
    fault: dict[str, Any] | None = None
    kill: tuple[str, str] | None = None
    """In this process, which lives on: the ledger is as a kill would leave it."""
    dies: float | None = None
    """A process of its own is killed, at this share of the time that a run takes."""
    max_removal_percent: int = 100
    overlap: tuple[str, str] | None = None
    """A run on another machine begins, and ends, before or after a step of this one."""
    erased: tuple[int, ...] = ()
    """People who are erased before the run; what goes wrong goes wrong then, too."""


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
    deaths: float = 0
    """How many processes are killed."""
    jumps: float = 0
    """How often the clock jumps, either way."""
    erasures: float = 0
    """How often people are erased."""
    overlaps: float = 0
    """How often two machines run at once, where ledgers are in a store."""


ERASING = tuple(Mood(faults, kills, erasures=0.4) for faults, kills in ((0, 0), (0.5, 0.2), (0.3, 0.6)))
OVERLAPPING = tuple(Mood(faults, kills, overlaps=0.6) for faults, kills in ((0, 0), (0.5, 0.2), (0.3, 0.6)))
MOODS = (Mood(0.5, 0.2), Mood(0.9, 0, ("create", "update", "update", "update")), Mood(0.3, 0.6))


def random_step(rng: random.Random, load_method: str, mood: Mood) -> Step:
    fault = None
    if rng.random() < mood.faults:
        path = rng.choice(mood.paths)
        fault = {"path": f"/dmp/custom_audience/{path}/", **rng.choice(FAULTS[path])}
    hours: float = rng.choice([1, 2, 12, 25, 47, 49, 60, 72])
    if mood.jumps and rng.random() < mood.jumps:
        hours = rng.choice([-rng.uniform(0, MOST_HOURS_BACK), rng.uniform(100, 1000)])
    return Step(
        hours=hours,
        changes=tuple(random_change(rng, load_method) for _ in range(rng.choice([0, 1, 2, 3, 6]))),
        streams=rng.choice([(VARYING,), (VARYING,), (VARYING,), (BASE, VARYING), (BASE,), ()]),
        fault=fault,
        kill=_moment(rng) if rng.random() < mood.kills else None,
        overlap=_moment(rng) if mood.overlaps and rng.random() < mood.overlaps else None,
        dies=rng.random() if mood.deaths and rng.random() < mood.deaths else None,
        max_removal_percent=rng.choice([10, 100, 100, 100]),
        erased=random_people(rng) if mood.erasures and rng.random() < mood.erasures else (),
    )


def _moment(rng: random.Random) -> tuple[str, str]:
    return rng.choice(KILLS), rng.choice(["before", "after"])


def random_people(rng: random.Random) -> tuple[int, ...]:
    """Give some of those who come and go, and of those who would stay."""
    return tuple(rng.sample([*(5000 + person for person in range(1, PEOPLE)), *range(20)], rng.choice([1, 2])))


class Pipeline:
    """One tap, the target and an emulated TikTok, run after run."""

    def __init__(
        self, load_method: str, tiktok: Client, folder: Path, figures: Counter[str], ledgers: Path | str
    ) -> None:
        self.ledgers = ledgers
        self.tiktok, self.source, self.figures = tiktok, Source(load_method), figures
        self._seconds = FIRST_GUESS_S
        self._hours = 0.0
        self.erased: set[str] = set()
        self._out: set[str] = set()
        self._fails_late = False
        self.target = Target(
            tiktok,
            folder,
            {
                "access_token": TOKEN,
                "advertiser_id": ADVERTISER,
                "contract": "EMAIL_SHA256",
                "api_url": tiktok.base,
                "audience_name": "Customers",
                "ledger_path": str(ledgers),
                "load_method": load_method,
                "min_audience_size": 1,
                "max_reject_percent": 100,
            },
        )

    def now(self) -> datetime:
        """Give the time of every machine."""
        return datetime.now(UTC) + timedelta(hours=self._hours)

    def play(self, step: Step) -> Outcome:
        """Let a step happen, and check what must be true at any time."""
        self.source.change(*step.changes)
        self.tiktok.advance(step.hours)
        self._hours += step.hours
        if step.fault:
            self.tiktok.fault(**step.fault)
            self._fails_late = self._fails_late or "fail_later" in step.fault
        if step.erased:
            self._erase(step)
        acknowledged = (self.source.state or {}).get("bookmarks", {})
        messages = self.source.messages(*(step.streams if BASE in acknowledged else (BASE, VARYING)))
        outcome = self._run(messages, step)
        self.tiktok.control("faults", method="DELETE")
        self.source.state = outcome.state or self.source.state
        self._count(step, outcome)
        self.check(outcome)
        return outcome

    def _erase(self, step: Step) -> None:
        """Erase people; the process may be killed on the way, and nobody runs the command again."""
        config = self.target.folder / "erase.json"
        config.write_text(json.dumps(self.target.config))
        given = "".join(f"{email(person)}\n" for person in step.erased)
        told = None
        with ExitStack() as around:
            happened = around.enter_context(killed(*step.kill, self.ledgers)) if step.kill else []
            with suppress(Killed):
                told = CliRunner().invoke(erase_command, ["-", "--json", "--config", str(config)], input=given)
        assert told is None or MARKER not in told.output
        if told is None or '"audiences"' in told.output:
            self.erased |= {digest(person) for person in step.erased}
        self.figures["erased"] += len(step.erased)
        self.figures["erasures killed"] += bool(happened)

    def _run(self, messages: list[dict[str, Any]], step: Step) -> Outcome:
        if step.dies is not None:
            return self._run_and_kill(messages, step, step.dies * self._seconds)
        with ExitStack() as around:
            if step.kill:
                around.enter_context(killed(*step.kill, self.ledgers))
            elif step.overlap:
                around.enter_context(once(*step.overlap, lambda: self._run_elsewhere(messages)))
            return self.target.run(messages, max_removal_percent=step.max_removal_percent)

    def _run_elsewhere(self, messages: list[dict[str, Any]]) -> None:
        """Let another machine do the same at the same time; STATE is whose that is emitted last."""
        folder = self.target.folder / "elsewhere"
        folder.mkdir(exist_ok=True)
        outcome = replace(self.target, folder=folder).run(messages)
        assert "nternal error" not in outcome.log, outcome.log
        self.source.state = outcome.state or self.source.state
        self.figures["runs elsewhere"] += 1
        self.figures["runs elsewhere that won"] += not outcome.exit_code

    def _run_and_kill(self, messages: list[dict[str, Any]], step: Step, seconds: float) -> Outcome:
        report = self.target.folder / "report.json"
        report.unlink(missing_ok=True)
        config = {**self.target.config, "report_path": str(report), "max_removal_percent": step.max_removal_percent}
        ended = child.run(config, messages, self.target.folder, signals=[(seconds, signal.SIGKILL)])
        if ended.exit_code == -signal.SIGKILL:
            return Outcome(ended.exit_code, json.dumps(ended.state) if ended.state else "", ended.stderr, {})
        self._seconds = ended.seconds
        return Outcome(ended.exit_code, ended.stdout, ended.stderr, json.loads(report.read_text()))

    def _count(self, step: Step, outcome: Outcome) -> None:
        died = outcome.exit_code == -signal.SIGKILL
        self.figures["runs"] += 1
        self.figures["processes killed"] += died
        self.figures["kills at a step"] += Killed.__name__ in outcome.log
        self.figures["clock set back"] += step.hours < 0
        self.figures["clock set forward"] += step.hours >= 100
        if step.fault:
            kind = next(
                kind for kind in ("fail_later", "drop", "http_status", "truncate", "code") if kind in step.fault
            )
            self.figures[f"faults: {kind}"] += 1

    def check(self, outcome: Outcome) -> None:
        killed_now = Killed.__name__ in outcome.log or outcome.exit_code == -signal.SIGKILL
        assert killed_now or "nternal error" not in outcome.log, outcome.log
        for audience in [] if killed_now else outcome.report["audiences"]:
            for books in audience["books"]:
                counts = [count for name, count in books.items() if name not in {"stream", "read", "rejected"}]
                assert books["read"] == sum(counts) + sum(books["rejected"].values())
        audiences = self.tiktok.control("audiences").json()
        assert len(audiences) <= 1
        for audience in audiences:
            members = set(self.tiktok.members(audience["audience_id"]))
            assert self.source.staying - self.erased <= members
            if not self._fails_late:  # TikTok has then accepted what it does not do
                assert not self._out & members, "who was erased has come back"
            self._out = self.erased - members

    def become_calm(self) -> None:
        """Run without faults until nothing is to be done; that must not take long."""
        for _ in range(7):
            outcome = self.play(Step(60, ()))
            if outcome.audience["plan"] == "NOTHING" and not outcome.audience["in_flight"]:
                break
        else:
            raise AssertionError(f"no end: {outcome.audience}")
        assert outcome.exit_code == 0, outcome.log
        assert outcome.state
        audiences = self.tiktok.control("audiences").json()
        members = set(self.tiktok.members(audiences[0]["audience_id"], "?processed=true"))
        wanted = set(self.source.wanted) - self.erased
        self.figures["people checked"] += len(wanted)
        self.figures["lost"] += len(wanted - members)
        self.figures["wrong"] += len(members - wanted)
        self.figures["duplicates"] += len(audiences) - 1
        assert (len(audiences), members) == (1, wanted)


def play(
    load_method: str,
    seed: int | str,
    folder: Path,
    moods: Sequence[Mood] = MOODS,
    figures: Counter[str] | None = None,
    ledgers: str = "",
) -> None:
    """Play one history, and count what happens in it; an error tells it whole. `ledgers` is the URL of a store."""
    figures = Counter() if figures is None else figures
    rng = random.Random(seed)
    mood = rng.choice(moods)
    steps = [random_step(rng, load_method, mood) for _ in range(rng.randrange(5, 12))]
    with emulated(processing_hours=rng.choice([1, 5, 24, 40]), list_lag_seconds=rng.choice([0, 1800])) as tiktok:
        pipeline = Pipeline(load_method, tiktok, folder, figures, ledgers or folder / "ledgers")
        try:
            with mock.patch.object(remote, "now", pipeline.now):
                for step in steps:
                    pipeline.play(step)
                pipeline.become_calm()
        except Exception as error:
            history = "\n".join(map(str, steps))
            raise AssertionError(f"{error}\n{load_method}, seed {seed!r}:\n{history}") from error
