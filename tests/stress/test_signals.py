"""SIGTERM, SIGINT and SIGHUP at random moments of a run: it stops at once and cleanly, and the next one makes it good.

The moments lie between the one from which the target watches for signals (before it Python starts, for about a second,
and a signal just ends it) and the end of a run as long as the one before. With TEST_LONG there are ten times as many.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Timer
from typing import TYPE_CHECKING, Any
from unittest import mock

import duckdb
import pytest
from support import child
from support.emulator_client import ADVERTISER, TOKEN, Client, emulated
from support.singer import digests, stream_of
from support.source import KEY, STEPS, Change, Source, interrupted

from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.ledger.ledger import Ledger
from target_tiktok_audiences.runtime.files import PrivateFolder
from target_tiktok_audiences.sync import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.child import Ended
    from support.target import Outcome, Target

METHODS = ("append-only", "upsert", "overwrite")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SIGNALLED_RUNS = 1000 if os.environ.get("TEST_LONG") else 108
IN_A_CHAIN = 4
SEEDS = range(SIGNALLED_RUNS // IN_A_CHAIN // len(METHODS))
AT_ONCE = 3
FIRST_GUESS_S = 0.4
WORDS = "Stopped by a signal"


def changes(tiktok: Client) -> int:
    return sum(request["path"].endswith(("create/", "update/")) for request in tiktok.requests())


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    """Let go of a connection that a signal has cut off before anybody held it, before another test is blamed for it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _fork_server() -> None:
    child.start_fork_server()


@dataclass
class Chain:
    """Runs of one pipeline, every second of which gets a signal."""

    load_method: str
    rng: random.Random
    tiktok: Client
    folder: Path
    seconds: float = FIRST_GUESS_S
    """How long the last run took that got none."""
    source: Source = field(init=False)
    figures: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.source = Source(self.load_method)

    @property
    def config(self) -> dict[str, Any]:
        return {
            "access_token": TOKEN,
            "advertiser_id": ADVERTISER,
            "contract": "EMAIL_SHA256",
            "api_url": self.tiktok.base,
            "audience_name": "Customers",
            "ledger_path": str(self.folder / "ledgers"),
            "load_method": self.load_method,
            "min_audience_size": 1,
            "max_reject_percent": 100,
            "max_removal_percent": 100,
        }

    def play(self) -> None:
        landed = 0
        for _ in range(3 * IN_A_CHAIN):
            landed += self.signalled()
            self.good()
            if landed == IN_A_CHAIN:
                break
        else:
            pytest.fail(f"only {landed} signals came before the end of a run")
        self.become_calm()
        (audience,) = self.tiktok.control("audiences").json()
        assert self.tiktok.members(audience["audience_id"], "?processed=true") == self.source.wanted

    def become_calm(self) -> None:
        for _ in range(5):
            before = changes(self.tiktok)
            self.good()
            if changes(self.tiktok) == before:
                return
        pytest.fail("no end")

    def change(self) -> None:
        self.tiktok.advance(60)
        rows = (self.rng.randrange(8) for _ in range(self.rng.choice([0, 1, 3])))
        self.source.change(
            *(Change(row, self.rng.choice(["set", "set", "null", "deleted"]), 5000 + row % 5) for row in rows)
        )

    def signalled(self) -> bool:
        """Let a run be signalled, once or twice; tell whether that came before its end."""
        self.change()
        signals = [(self.rng.uniform(0, self.seconds), self.rng.choice(SIGNALS))]
        if self.rng.random() < 0.25:
            signals.append((self.rng.choice([0, 0.0005, 0.005, 0.02]), self.rng.choice(SIGNALS)))
        asked, changed = len(self.tiktok.requests()), changes(self.tiktok)
        ended = child.run(self.config, self.source.messages(), self.folder, signals=signals)
        self.source.state = ended.state or self.source.state
        assert ended.temporary == [], ended
        lines = ended.stderr.splitlines()
        assert all(line.startswith(("INFO ", "WARNING ", "ERROR ")) for line in lines), ended
        if ended.exit_code == 0:
            assert ended.state, ended
            return False
        # Of two signals that come at once Python hands on first the one with the lower number.
        assert ended.exit_code in {128 + number for _, number in signals}, ended
        assert WORDS in lines[-1], ended
        assert [line for line in lines if line.startswith("ERROR ")] == lines[-1:], ended
        self.figures["signalled runs"] += 1
        self.figures["of them twice"] += len(signals) - 1
        self.figures["before any call"] += len(self.tiktok.requests()) == asked
        self.figures["after the change"] += changes(self.tiktok) > changed
        self.figures["after STATE"] += ended.state is not None
        return True

    def good(self) -> Ended:
        """Run without a signal; after it the emulator holds what the ledger says, and what the source says."""
        self.tiktok.advance(60)
        ended = child.run(self.config, self.source.messages(), self.folder)
        assert (ended.exit_code, ended.temporary) == (0, []), ended
        assert ended.state, ended
        self.seconds = ended.seconds
        (audience,) = self.tiktok.control("audiences").json()
        members = set(self.tiktok.members(audience["audience_id"]))
        sure, unsure = self.delivered()
        assert sure <= members <= sure | unsure
        assert self.source.staying <= members
        (entry,) = ended.state["bookmarks"][KEY]["audiences"].values()
        if not entry["held"]:
            assert sorted(members) == self.source.wanted
        self.source.state = ended.state
        return ended

    def delivered(self) -> tuple[set[str], set[str]]:
        """Give who is in, and of whom nobody knows, as the ledger says."""
        (ledger,) = (self.folder / "ledgers").glob("*.duckdb")
        with duckdb.connect(str(ledger), read_only=True) as database:
            rows = database.execute("SELECT lower(hex(digest)), sure FROM delivered").fetchall()
        return {digest for digest, sure in rows if sure}, {digest for digest, sure in rows if not sure}


@pytest.mark.parametrize("load_method", METHODS)
def test_a_run_is_signalled_at_a_random_moment(
    load_method: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    def play(seed: int) -> Counter[str]:
        folder = tmp_path / str(seed)
        folder.mkdir()
        with emulated(processing_hours=1) as tiktok:
            try:
                chain = Chain(load_method, random.Random(f"{load_method} {seed}"), tiktok, folder)
                chain.play()
            except AssertionError as error:
                raise AssertionError(f"chain {seed} of {load_method}: {error}") from error
        return chain.figures

    with ThreadPoolExecutor(AT_ONCE) as pool:
        figures = sum(pool.map(play, SEEDS), Counter())
    record_property("figures", f"{load_method}: {', '.join(f'{kind} {count}' for kind, count in figures.items())}")
    assert figures["signalled runs"] == IN_A_CHAIN * len(SEEDS)


# At a certain step


STEPS_OF_A_RUN = [(step, when) for step in STEPS for when in ("before", "after")]
STATE_IS_OUT = {("state", "after"), ("close", "before"), ("close", "after")}


def send(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


class Dropped:
    """Dies with a signal; what a handler raises then, Python drops."""

    def __del__(self) -> None:
        send()


def send_in_vain() -> None:
    Dropped()


def two_audiences(target: Target) -> list[dict[str, Any]]:
    target.config["audiences"] = [{"stream": "customers"}, {"stream": "guests"}]
    return [*stream_of(1, 1000), *stream_of(1, 1000, "guests")]


def check_stopped(outcome: Outcome, tiktok: Client, number: int = signal.SIGTERM) -> None:
    assert outcome.exit_code == outcome.report["run"]["exit_code"] == 128 + number
    assert WORDS in outcome.last_line
    assert "Traceback" not in outcome.log
    assert outcome.state is None
    assert tiktok.control("audiences").json() == []
    assert changes(tiktok) == 0


@pytest.mark.parametrize(("step", "when"), STEPS_OF_A_RUN)
def test_nothing_is_published_after_a_signal(target: Target, tiktok: Client, step: str, when: str) -> None:
    number = SIGNALS[STEPS_OF_A_RUN.index((step, when)) % 3]
    done: list[int] = []

    def stop() -> None:
        if not done:
            done.append(changes(tiktok))
            send(number)

    with interrupted(step, when, stop):
        outcome = target.run(stream_of(1, 1000))
    assert outcome.exit_code == 128 + number
    assert WORDS in outcome.last_line
    assert (outcome.state is not None) == ((step, when) in STATE_IS_OUT)
    assert changes(tiktok) == done[0]
    tiktok.advance(60)
    remembered = [{"type": "STATE", "value": outcome.state}] if outcome.state else []
    assert target.run([*remembered, *stream_of(1, 1000)]).exit_code == 0
    (audience,) = tiktok.control("audiences").json()
    assert tiktok.members(audience["audience_id"]) == digests(1, 1000)


def test_a_signal_during_a_long_query(target: Target, tiktok: Client) -> None:
    messages, began = two_audiences(target), time.monotonic()

    def count_slowly(ledger: Ledger, _action: str) -> int:
        Timer(0.1, send).start()
        query = "CREATE TEMP TABLE slow AS SELECT hash(range) FROM range(200000000)"
        ledger._database.execute(query)  # noqa: SLF001
        return 0

    with mock.patch.object(Ledger, "call_rows", count_slowly):
        check_stopped(target.run(messages), tiktok)
    assert time.monotonic() - began < child.DEADLINE_S


@pytest.mark.parametrize("step", ["stage", "commit", "plan", "files", "intent"])
@pytest.mark.parametrize("error", [duckdb.InterruptException, duckdb.Error, RuntimeError, OSError])
def test_a_signal_that_comes_as_an_error(target: Target, tiktok: Client, step: str, error: type[Exception]) -> None:
    def stop() -> None:
        try:
            send()
        except SystemExit:
            raise error("Interrupted") from None

    with interrupted(step, "before", stop):
        check_stopped(target.run(two_audiences(target)), tiktok)


# What the dropped signal interrupts may leave a socket to the garbage collector.
@pytest.mark.filterwarnings(r"ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("step", ["stage", "plan", "intent"])
def test_a_signal_that_python_drops(
    target: Target, tiktok: Client, capfd: pytest.CaptureFixture[str], step: str
) -> None:
    with interrupted(step, "before", send_in_vain):
        check_stopped(target.run(two_audiences(target)), tiktok)
    assert capfd.readouterr().err == ""


def test_a_signal_that_python_drops_is_raised_again(target: Target, tiktok: Client) -> None:
    began = time.monotonic()

    def wait_for_the_tap() -> None:
        send_in_vain()
        time.sleep(child.DEADLINE_S)

    with interrupted("stage", "before", wait_for_the_tap):
        check_stopped(target.run(two_audiences(target)), tiktok)
    assert time.monotonic() - began < child.DEADLINE_S


def test_signals_while_the_run_is_cleaned_up(target: Target, tiktok: Client) -> None:
    with interrupted("files", "after", lambda: send(signal.SIGINT)), interrupted("close", "before", send):
        check_stopped(target.run(stream_of(1, 1000)), tiktok, signal.SIGINT)


def test_a_signal_while_the_target_is_made(target: Target, tiktok: Client) -> None:
    made = PrivateFolder.__init__

    def make(folder: PrivateFolder) -> None:
        send()
        made(folder)
        send(signal.SIGINT)

    with mock.patch.object(PrivateFolder, "__init__", make):
        check_stopped(target.run(stream_of(1, 1000)), tiktok)


def test_a_signal_while_duckdb_is_loaded(target: Target, tiktok: Client) -> None:
    loaded = []

    def load() -> None:
        send()
        loaded.append(True)

    with mock.patch.object(run, "load_database", load), mock.patch.object(LedgerCatalog, "open", loaded.clear):
        check_stopped(target.run(stream_of(1, 1000)), tiktok)
    assert loaded == [True]


def test_nohup_stays_in_force(target: Target, tiktok: Client) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interrupted("call", "before", lambda: send(signal.SIGHUP)):
        assert target.run(stream_of(1, 1000)).exit_code == 0
    (audience,) = tiktok.control("audiences").json()
    assert tiktok.members(audience["audience_id"]) == digests(1, 1000)
