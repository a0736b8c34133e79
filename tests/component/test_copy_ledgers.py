"""`copy-ledgers`: from a disk to a store and back, and the runs go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from support.s3 import S3, serve_s3
from support.singer import digests, email, people, record, schema, state, stream_of

from target_tiktok_audiences.cli.copy_ledgers import copy_ledgers
from target_tiktok_audiences.cli.erase import erase_command
from target_tiktok_audiences.cli.history import history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click import Command
    from support.emulator_client import Client
    from support.target import Target


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    with serve_s3(monkeypatch) as served:
        yield served


def command(target: Target, what: Command, *arguments: str, given: str = "") -> Result:
    path = target.folder / "config.json"
    path.write_text(json.dumps(target.config))
    return CliRunner().invoke(what, [*arguments, "--config", str(path)], input=given)


def test_from_a_disk_to_a_store_and_back(target: Target, tiktok: Client, s3: S3) -> None:
    target.config["load_method"] = "upsert"
    first = target.run(stream_of(1, 1200))
    tiktok.advance(49)
    assert command(target, erase_command, "-", given=email(1)).exit_code == 0
    tiktok.advance(49)
    gone: set[int] = {1}
    known = [{"type": "STATE", "value": first.state}]
    old = target.config["ledger_path"]
    for number, place in enumerate((s3.place, str(target.folder / "back")), 2):
        done = command(target, copy_ledgers, "--to", place)
        assert done.exit_code == 0, done.output
        assert f"Set `ledger_path` to {place} now." in done.output
        target.config["ledger_path"] = place
        leaves = record(number, _sdc_deleted_at="2026-01-01T00:00:00Z")
        run = target.run([*known, schema(), leaves, *people(1, 1), state(number)])
        assert run.exit_code == 0, run.log
        known = [{"type": "STATE", "value": run.state}]
        gone.add(number)
        tiktok.advance(49)
        (audience,) = tiktok.control("audiences").json()
        assert tiktok.members(audience["audience_id"]) == sorted(set(digests(1, 1200)) - set(digests(1, number)))
    told = json.loads(command(target, history, "--json").stdout)
    assert len(told["audiences"][0]["runs"]) == 4
    target.config["ledger_path"] = old
    run = target.run([*known, schema(), state(4)])
    assert run.exit_code == 1, "the old ledger is out of date, so nobody reads it"
    assert "Keep `ledger_path` between runs" in run.last_line


def test_no_ledger_is_overwritten(target: Target) -> None:
    target.run(stream_of(1, 1200))
    place = str(target.folder / "there")
    assert command(target, copy_ledgers, "--to", place).exit_code == 0
    again = command(target, copy_ledgers, "--to", place)
    assert again.exit_code == 1
    assert f'{place} already has a ledger of audience "customers"; it is unchanged.' in again.output


@pytest.mark.parametrize(
    ("place", "told"),
    [("s3:/bucket/x", "only one slash"), ("", "empty"), (":memory:", "does not outlast this process")],
)
def test_a_place_that_keeps_nothing_is_told(target: Target, place: str, told: str) -> None:
    target.run(stream_of(1, 1200))
    done = command(target, copy_ledgers, "--to", place)
    assert (done.exit_code, told in done.output) == (1, True), done.output


def test_nothing_to_copy_is_told(target: Target) -> None:
    done = command(target, copy_ledgers, "--to", str(target.folder / "there"))
    assert done.exit_code == 1
    assert "there is no ledger" in done.output
