"""Ledgers in a store: a machine without a disk goes on where another left off, and of two at once one wins."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from click.testing import CliRunner
from support.child import run as run_elsewhere
from support.child import start_fork_server
from support.s3 import SECRET, serve_s3
from support.singer import STREAM, digests, email, people, record, schema, state, stream_of

from target_tiktok_audiences.cli.audiences import audiences
from target_tiktok_audiences.cli.check import check
from target_tiktok_audiences.cli.erase import erase_command
from target_tiktok_audiences.cli.forget import forget
from target_tiktok_audiences.cli.history import history
from target_tiktok_audiences.ledger import object_store, remote
from target_tiktok_audiences.ledger.object_store import ObjectStore, ObjectStoreFailed
from target_tiktok_audiences.sync import delivery
from target_tiktok_audiences.tiktok.client import TikTok

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click import Command
    from support.emulator_client import Client
    from support.s3 import S3
    from support.target import Outcome, Target


start_fork_server()


BOTH = pytest.mark.parametrize("s3", ["conditional", "ignores conditions"], indirect=True)
"""Amazon's, and one that only speaks like it."""


@pytest.fixture
def s3(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    monkeypatch.setattr(object_store, "SETTLE_S", 0.3)
    with serve_s3(monkeypatch, conditional=getattr(request, "param", "conditional") == "conditional") as served:
        yield served


@pytest.fixture
def target(target: Target, s3: S3) -> Target:
    target.config["ledger_path"] = s3.place
    return target


def with_state(outcome: Outcome) -> list[object]:
    """Give what Meltano gives to the next run."""
    return [{"type": "STATE", "value": outcome.state}] if outcome.state else []


def members(tiktok: Client) -> list[str]:
    (audience,) = tiktok.control("audiences").json()
    return tiktok.members(audience["audience_id"])


def command(target: Target, folder: Path, what: Command, *arguments: str, given: str = "") -> str:
    config = folder / "config.json"
    config.write_text(json.dumps(target.config))
    done = CliRunner().invoke(what, [*arguments, "--config", str(config)], input=given)
    assert done.exit_code == 0, done.output
    assert SECRET not in done.output
    return done.stdout


@contextmanager
def during(owner: Any, name: str, work: Callable[[], object]) -> Iterator[None]:
    """Do something once, just before a function of the run is called."""
    original = getattr(owner, name)
    done: list[bool] = []

    def first(*arguments: Any, **named: Any) -> Any:
        if not done:
            done.append(True)
            work()
        return original(*arguments, **named)

    with mock.patch.object(owner, name, first):
        yield


def test_each_run_is_on_a_new_machine_and_nothing_is_forgotten(target: Target, s3: S3) -> None:
    run = target.run(stream_of(1, 1200), load_method="upsert")
    assert run.exit_code == 0, run.log
    target.tiktok.advance(49)
    gone = [record(number, _sdc_deleted_at="2026-01-01T00:00:00Z") for number in range(1, 51)]
    run = target.run([*with_state(run), schema(), *gone, *people(1201, 1210), state(1210)], load_method="upsert")
    assert run.exit_code == 0, run.log
    assert run.state is not None
    target.tiktok.advance(49)
    run = target.run([*with_state(run), schema(), state(1210)], load_method="upsert")
    assert run.exit_code == 0, run.log
    target.tiktok.advance(49)
    assert members(target.tiktok) == digests(51, 1210)
    kept = s3.names()
    assert len(kept) == 2, "a card and a database; older ones, probes and claims are removed"
    assert SECRET not in run.log


def test_an_unchanged_table_is_silent(target: Target) -> None:
    table = [schema(), *people(1, 1200), {"type": "STATE", "value": {"bookmarks": {}}}]
    run = target.run(table, load_method="overwrite")
    target.tiktok.advance(49)
    sent = len(target.tiktok.requests())
    run = target.run([*with_state(run), *table], load_method="overwrite")
    assert run.exit_code == 0, run.log
    assert run.audience["plan"] == "NOTHING"
    assert not [each for each in target.tiktok.requests()[sent:] if each["method"] == "POST"]


@BOTH
@pytest.mark.parametrize("step", [(delivery, "write_files"), (TikTok, "update")], ids=["files", "call"])
def test_of_two_machines_at_once_one_wins_and_nothing_is_lost(
    target: Target, s3: S3, tmp_path: Path, step: tuple[Any, str]
) -> None:
    """The other machine begins while this one is about to write its intent, or to make its call."""
    assert target.run(stream_of(1, 1200)).exit_code == 0
    target.tiktok.advance(49)
    theirs: list[Any] = []
    other = {**target.config, "report_path": str(tmp_path / "other.json")}

    def begin() -> None:
        theirs.append(run_elsewhere(other, stream_of(1201, 1210), tmp_path, variables=s3.variables))

    with during(*step, begin):
        ours = target.run(stream_of(1211, 1220))
    (their,) = theirs
    assert sorted([ours.exit_code, their.exit_code]) == [0, 1]
    winner, loser, last_line = (1201, 1211, ours.last_line) if ours.exit_code else (1211, 1201, their.stderr)
    assert "another machine" in last_line
    assert (ours.stdout if ours.exit_code else their.stdout) == "", "STATE moves for the winner alone"
    assert (ours.exit_code == 1) == (step[1] == "write_files"), "whoever wrote first wins"
    target.tiktok.advance(49)
    assert members(target.tiktok) == sorted(digests(1, 1200) + digests(winner, winner + 9))
    again = target.run(stream_of(loser, loser + 9))
    assert again.exit_code == 0, again.log
    target.tiktok.advance(49)
    assert members(target.tiktok) == digests(1, 1220)
    assert len(s3.names()) == 2


def test_two_machines_create_one_audience(target: Target, s3: S3, tmp_path: Path) -> None:
    theirs: list[Any] = []

    def begin() -> None:
        theirs.append(run_elsewhere(target.config, stream_of(1, 1200), tmp_path, variables=s3.variables))

    with during(delivery, "write_files", begin):
        ours = target.run(stream_of(1, 1200))
    assert [ours.exit_code, theirs[0].exit_code] == [1, 0]
    target.tiktok.advance(49)
    assert members(target.tiktok) == digests(1, 1200)
    again = target.run(stream_of(1, 1200))
    assert again.exit_code == 0, again.log
    assert len(target.tiktok.control("audiences").json()) == 1


def test_who_was_killed_at_a_call_keeps_others_out_until_it_surely_ended(
    target: Target, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert target.run(stream_of(1, 1200)).exit_code == 0
    target.tiktok.advance(49)
    kill = ("call", "after", 0)
    killed = run_elsewhere(target.config, stream_of(1201, 1210), tmp_path, kill=kill, variables=s3.variables)
    assert killed.exit_code < 0
    early = target.run(stream_of(1211, 1220))
    assert early.exit_code == 1
    assert "being changed by a run on another machine" in early.last_line
    assert datetime.now(UTC).strftime("%H:") in early.last_line or "UTC" in early.last_line
    later = datetime.now(UTC) + remote.RESERVED_FOR + timedelta(seconds=1)
    monkeypatch.setattr(remote, "now", lambda: later)
    target.tiktok.advance(49)
    late = target.run(stream_of(1211, 1220))
    assert late.exit_code == 0, late.log
    target.tiktok.advance(49)
    assert members(target.tiktok) == digests(1, 1220)
    assert len(s3.names()) == 2


def test_a_signal_lets_others_in_at_once(target: Target, s3: S3, tmp_path: Path) -> None:
    """An orchestrator that stops a pod starts another one, which must not wait."""
    assert target.run(stream_of(1, 1200)).exit_code == 0
    target.tiktok.advance(49)
    target.tiktok.fault(path="/dmp/custom_audience/update/", delay_s=3, times=1)
    stop = [(2.5, 15)]
    stopped = run_elsewhere(target.config, stream_of(1201, 1210), tmp_path, signals=stop, variables=s3.variables)
    if stopped.exit_code == 143:  # else it was over before
        assert stopped.state is None
    target.tiktok.advance(49)
    again = target.run(stream_of(1201, 1210))
    assert again.exit_code == 0, again.log
    target.tiktok.advance(49)
    assert members(target.tiktok) == digests(1, 1210)


def test_the_store_fails_before_the_call(target: Target, s3: S3) -> None:
    first = target.run(stream_of(1, 1200))
    target.tiktok.advance(49)
    sent = len(target.tiktok.requests())

    def refuse(method: str, _path: str) -> None:
        if method == "PUT":
            raise ConnectionError

    s3.before.append(refuse)
    run = target.run([*with_state(first), *stream_of(1, 1210)])
    assert run.exit_code == 1
    assert "access is denied" in run.last_line
    assert "s3://ledgers/tiktok" in run.last_line
    assert run.stdout == ""
    assert not [each for each in target.tiktok.requests()[sent:] if "update" in each["path"]]
    s3.before.clear()
    run = target.run([*with_state(first), *stream_of(1, 1210)])
    assert run.exit_code == 0, run.log
    target.tiktok.advance(49)
    assert members(target.tiktok) == digests(1, 1210)


def test_the_store_fails_after_the_call(target: Target, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """TikTok has accepted it, and nobody can note that: it is sent once more."""
    first = target.run(stream_of(1, 1200))
    target.tiktok.advance(49)

    def refuse(method: str, _path: str) -> None:
        if method == "PUT" and any("update" in each["path"] for each in target.tiktok.requests()):
            raise ConnectionError

    s3.before.append(refuse)
    run = target.run([*with_state(first), *stream_of(1, 1210)])
    assert run.exit_code == 1
    assert run.stdout == "", "STATE must not name a commit that nobody has"
    s3.before.clear()
    monkeypatch.setattr(remote, "RESERVED_FOR", timedelta(0))
    reserved = json.loads(s3.read(next(name for name in s3.names() if ".json." in name)))
    if reserved["reserved_until"]:  # as if that time was over
        name = next(name for name in s3.names() if ".json." in name)
        s3.write(name, json.dumps({**reserved, "reserved_until": "2026-01-01T00:00:00Z"}).encode())
    target.tiktok.advance(49)
    run = target.run([*with_state(first), *stream_of(1, 1210)])
    assert run.exit_code == 0, run.log
    target.tiktok.advance(49)
    assert members(target.tiktok) == digests(1, 1210)


def test_a_database_that_is_lost_counts_as_a_ledger_that_is_gone(target: Target, s3: S3) -> None:
    first = target.run(stream_of(1, 1200))
    target.tiktok.advance(49)
    (database,) = (name for name in s3.names() if name.endswith(".duckdb"))
    s3.remove(database)
    run = target.run([*with_state(first), *stream_of(1, 1200)])
    assert run.exit_code == 0, run.log
    assert run.audience["plan"] == "NOTHING", "the digest in STATE proves that all are in"


def test_a_damaged_database_is_put_aside_in_the_store(target: Target, s3: S3) -> None:
    first = target.run(stream_of(1, 1200))
    target.tiktok.advance(49)
    (database,) = (name for name in s3.names() if name.endswith(".duckdb"))
    s3.write(database, b"no database")
    run = target.run([*with_state(first), *stream_of(1, 1200)])
    assert run.exit_code == 0, run.log
    (aside,) = (name for name in s3.names() if name.endswith(".corrupt"))
    assert f"s3://ledgers/tiktok/{aside}" in run.audience["warning"]
    assert s3.read(aside) == b"no database"


def test_a_card_that_cannot_be_read_stops_the_run(target: Target, s3: S3) -> None:
    target.run(stream_of(1, 1200))
    (card,) = (name for name in s3.names() if ".json." in name)
    s3.write(card, b"{}")
    run = target.run(stream_of(1, 1200))
    assert run.exit_code == 1
    assert card in run.last_line
    assert "newer version" in run.last_line


def test_a_dry_run_writes_nothing(target: Target, s3: S3) -> None:
    target.run(stream_of(1, 1200))
    target.tiktok.advance(49)
    before = s3.names()
    run = target.run(stream_of(1201, 1210), dry_run=True)
    assert run.audience["outcome"] == "planned", run.log
    assert s3.names() == before


def test_an_erasure_holds_for_every_machine(target: Target, s3: S3, tmp_path: Path) -> None:
    target.run(stream_of(1, 1200))
    target.tiktok.advance(49)
    for number, outcome in ((7, "removed"), (2000, "not_a_member")):
        erased = command(target, tmp_path, erase_command, "-", "--json", given=email(number))
        assert json.loads(erased)["audiences"][0]["outcome"] == outcome
        target.tiktok.advance(49)
    run = target.run(stream_of(1, 2000))
    assert run.exit_code == 0, run.log
    target.tiktok.advance(49)
    assert members(target.tiktok) == sorted(set(digests(1, 2000)) - set(digests(7, 7)) - set(digests(2000, 2000)))
    assert "erased-EMAIL_SHA256.txt.00000002" in s3.names()


def test_an_erasure_beats_a_run_on_another_machine_that_knows_nothing_of_it(target: Target, tmp_path: Path) -> None:
    target.run(stream_of(1, 1200))
    target.tiktok.advance(49)

    def erase_one() -> None:
        command(target, tmp_path, erase_command, "-", "--json", given=email(1205))

    with during(delivery, "write_files", erase_one):
        run = target.run(stream_of(1201, 1210))
    assert run.exit_code == 1
    again = target.run(stream_of(1201, 1210))
    assert again.exit_code == 0, again.log
    target.tiktok.advance(49)
    assert members(target.tiktok) == sorted(set(digests(1, 1210)) - set(digests(1205, 1205)))


def test_commands_see_what_is_in_the_store(target: Target, tmp_path: Path) -> None:
    target.run(stream_of(1, 1200))
    target.tiktok.advance(49)

    def see(what: Command, *arguments: str) -> str:
        return " ".join(command(target, tmp_path, what, *arguments).split())

    assert "1,200 of 1,200 delivered" in see(audiences)
    assert "s3://ledgers/tiktok is writable" in see(check)
    assert json.loads(see(history, "--json"))["audiences"][0]["runs"][0]["desired"] == 1200
    assert "removes 1,200 members" in see(forget, STREAM, "--force")
    assert json.loads(see(audiences, "--json"))["audiences"][0]["ledger"]["streams"] == []


def test_the_way_to_the_store_is_told_without_credentials(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)  # as if it were not installed
    for place, told in (
        ("s3://nobody-has-it/tiktok", "there is no such bucket"),
        ("gs://ledgers/tiktok", "Append `[gcs]` to"),
        ("nothing://user:marker.password@host/x", "nothing://host/x"),
    ):
        run = target.run(stream_of(1, 1200), ledger_path=place)
        assert run.exit_code == 1
        assert told in run.last_line, run.last_line
        assert "password" not in run.log
        assert target.tiktok.control("audiences").json() == []


@BOTH
def test_of_many_who_write_the_same_number_one_wins(s3: S3) -> None:
    def write(number: int) -> bool:
        return ObjectStore(s3.place).append("card.json", 1, str(number).encode())

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(write, range(6)))
    assert won.count(True) == 1
    assert ObjectStore(s3.place).newest("card.json") == (1, str(won.index(True)).encode())
    assert s3.names() == ["card.json.00000001"]


@BOTH
def test_a_number_that_was_removed_cannot_be_won_again(s3: S3) -> None:
    """Who has slept through two versions finds its number free."""
    ours = ObjectStore(s3.place)
    assert [ours.append("card.json", number, b"%d" % number) for number in (1, 2, 3)] == [True] * 3
    assert s3.names() == ["card.json.00000003"]
    assert not ObjectStore(s3.place).append("card.json", 2, b"late")
    assert s3.names() == ["card.json.00000003"]


def test_an_answer_that_was_lost_is_no_defeat(s3: S3) -> None:
    mine = ObjectStore(s3.place)
    s3.write("card.json.00000001", b"mine")
    assert mine.append("card.json", 1, b"mine")


def test_claims_of_the_dead_do_not_count(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.conditional = False
    s3.write(f"card.json.00000001.{'0' * 32}.claim", b"claimed")
    assert not ObjectStore(s3.place).append("card.json", 1, b"alive")
    monkeypatch.setattr(object_store, "CLAIM_LIVES", timedelta(seconds=-1))
    assert ObjectStore(s3.place).append("card.json", 1, b"alive")
    assert s3.names() == ["card.json.00000001"]


def test_an_empty_version_is_told(s3: S3) -> None:
    s3.write("card.json.00000001", b"")
    with pytest.raises(ObjectStoreFailed, match=r"card\.json\.00000001 in s3://ledgers/tiktok is empty"):
        ObjectStore(s3.place).newest("card.json")


def test_a_store_that_refuses_conditions_goes_by_claims(s3: S3) -> None:
    s3.refuses_conditions = True
    assert ObjectStore(s3.place).append("card.json", 1, b"one")
    assert not ObjectStore(s3.place).append("card.json", 1, b"another")
    assert s3.names() == ["card.json.00000001"]


def test_a_version_that_was_written_though_it_failed_is_free_at_the_end(target: Target, s3: S3) -> None:
    """The store takes the reservation, and fails at the next request: nothing was sent, so nobody has to wait."""
    assert target.run(stream_of(1, 1200)).exit_code == 0
    target.tiktok.advance(49)
    reserved: list[str] = []

    def fail_once(method: str, path: str) -> None:
        if method == "PUT" and ".json." in path:
            reserved.append(path)
        elif reserved and method == "GET" and path == "/ledgers" and len(reserved) == 1:
            reserved.append("failed")
            raise ConnectionError

    s3.before.append(fail_once)
    run = target.run(stream_of(1201, 1210))
    assert run.exit_code == 1
    s3.before.clear()
    again = target.run(stream_of(1201, 1210))
    assert again.exit_code == 0, again.log
    target.tiktok.advance(49)
    assert members(target.tiktok) == digests(1, 1210)


def test_of_an_audience_that_an_erasure_deleted_nothing_is_owed(target: Target, tmp_path: Path) -> None:
    target.run(stream_of(1, 1000))
    target.tiktok.advance(49)
    told = command(target, tmp_path, erase_command, "-", "--json", "--delete-audience-if-needed", given=email(1))
    assert json.loads(told)["audiences"][0]["outcome"] == "audience_deleted"
    run = target.run(stream_of(3001, 4200, "others"))
    assert run.exit_code == 0, run.log
    assert [each["name"] for each in target.tiktok.control("audiences").json()] == ["others"]


def test_one_card_that_cannot_be_read_stops_nobody_else(target: Target, s3: S3) -> None:
    s3.write("7000000000000000002-other-0123456789ab.json.00000001", b"{}")
    assert target.run(stream_of(1, 1200)).exit_code == 0


@pytest.mark.parametrize(
    "place",
    ["simplecache::ftp://user:marker.word@host/x", "ftp://user:marker/word@host/x", "sftp://user:marker#word@host/x"],
)
def test_a_url_that_may_show_a_password_is_refused_unseen(target: Target, place: str) -> None:
    run = target.run(stream_of(1, 1200), ledger_path=place)
    assert run.exit_code == 1
    assert "`ledger_path`" in run.last_line
    assert not any(word in run.log + json.dumps(run.report) for word in ("marker.word", "marker/word", "marker#word"))
