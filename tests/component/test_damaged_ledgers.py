"""Ledgers and cards that are damaged, lost, locked or too new: put aside and as if lost, or left where they are."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import duckdb
import msgspec
import pytest
from support.emulated import after, changes, ledger_of
from support.singer import STREAM, digests, stream_of
from support.source import interrupted

from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.ledger.metadata import LedgerMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from support.emulator_client import Client
    from support.target import Target

DEADLINE_S = 60
LONG = bool(os.environ.get("TEST_LONG"))


@pytest.fixture(scope="module", autouse=True)
def _fork_server() -> None:
    """Start it before a test watches its temporary files; its own stay until the end."""
    modules = ["target_tiktok_audiences.target", "target_tiktok_audiences.emulator", "pytest"]
    multiprocessing.get_context("forkserver").set_forkserver_preload(modules)
    forkserver.ensure_running()


def members(tiktok: Client, name: str = STREAM) -> list[str]:
    (audience_id,) = [a["audience_id"] for a in tiktok.control("audiences").json() if a["name"] == name]
    return tiktok.members(audience_id)


def flip(path: Path, place: int, bit: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ (1 << bit)]))


def query(path: Path, *queries: str) -> None:
    with duckdb.connect(str(path)) as database:
        for each in queries:
            database.execute(each)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_text("no database at all\n" * 1000),
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "header": lambda path: flip(path, 4096 + 20),
    "block": lambda path: flip(path, 12288 + 100),
    "table missing": lambda path: query(path, "DROP TABLE delivered"),
    "facts missing": lambda path: query(path, "DELETE FROM facts"),
    "facts no JSON": lambda path: query(path, "UPDATE facts SET value = '{'"),
    "facts null": lambda path: query(path, "UPDATE facts SET value = NULL"),
    "version missing": lambda path: query(path, "DELETE FROM schema_version"),
    "binding no JSON": lambda path: query(path, "UPDATE part SET binding = '{'"),
    "time no time": lambda path: query(path, "INSERT INTO change VALUES (9, 'APPEND', 'yesterday')"),
    "gone, but for its log": lambda path: path.rename(f"{path}.wal"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_is_put_aside_and_as_if_lost(target: Target, tiktok: Client, damage: str) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(60)
    sent = changes(tiktok)
    unused = ledger_of(target)
    for number in range(2 if damage == "empty" else 1):
        database = ledger_of(target)
        DAMAGES[damage](database)
        outcome = target.run(after(first, stream_of(1, 1000)))
        # The digest in STATE proves that all are in.
        assert (outcome.exit_code, outcome.audience["plan"], changes(tiktok)) == (0, "NOTHING", sent), outcome.log
        aside = database.with_suffix(".damaged-2.corrupt" if number else ".damaged.corrupt")
        files = [aside, aside.with_name(f"{aside.name}.wal")]
        assert any(file.exists() for file in files)
        warning = outcome.audience["warning"]
        assert f"it is quarantined as {aside}, and the run continues as if the ledger were lost" in warning
        assert warning in outcome.log
        first = outcome
    assert ledger_of(target) == unused
    tiktok.advance(60)
    last = target.run(after(first, stream_of(1001, 1010)))
    assert (last.exit_code, last.audience["warning"], members(tiktok)) == (0, "", digests(1, 1010))


def test_a_damaged_ledger_that_held_something_asks_for_a_rebuild(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1000))
    held = target.run(after(first, stream_of(1001, 1010)))
    assert held.audience["outcome"] == "held"
    tiktok.advance(60)
    flip(ledger_of(target), 4096 + 20)
    for _ in range(2):
        stopped = target.run(after(held, stream_of(1011, 1020)))
        assert (stopped.exit_code, stopped.state, members(tiktok)) == (1, None, digests(1, 1000))
        assert "held pending changes" in stopped.last_line
        assert "Rebuild it" in stopped.last_line
    pinned = {"audience_id": first.audience["audience_id"]}
    rebuilt = target.run(stream_of(1, 1020), load_method="overwrite", max_removal_percent=100, **pinned)
    assert (rebuilt.exit_code, members(tiktok)) == (0, digests(1, 1020))


def test_a_dry_run_leaves_a_damaged_ledger_where_it_is(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(60)
    flip(ledger_of(target), 4096 + 20)
    before = {path: path.read_bytes() for path in (target.folder / "ledgers").iterdir()}
    dry = target.run(after(first, stream_of(1001, 1010)), dry_run=True)
    assert (dry.exit_code, dry.audience["outcome"]) == (0, "planned")
    assert "a run without `dry_run` quarantines it" in dry.audience["warning"]
    assert {path: path.read_bytes() for path in (target.folder / "ledgers").iterdir()} == before


def use(folder: str, seed: int, count: int) -> None:
    """Flip bits of a ledger and of its log, and use it as a run does; the process must live."""
    random_bits, now = random.Random(seed), datetime(2026, 1, 1, tzinfo=UTC)
    original = {path.name: path.read_bytes() for path in Path(folder).glob("*.duckdb*")}
    (card,) = [path.read_bytes() for path in Path(folder).glob("*.json")]
    for number in range(count):
        place = Path(folder) / str(number)
        place.mkdir()
        (place / "customers.json").write_bytes(card)
        for name, content in original.items():
            (place / f"customers{name[name.index('.') :]}").write_bytes(content)
        path = random_bits.choice(list(place.glob("customers.duckdb*")))
        for _ in range(random_bits.choice([1, 1, 1, 8])):
            flip(path, random_bits.randrange(path.stat().st_size), random_bits.randrange(8))
        wanted = msgspec.json.decode(card, type=LedgerMetadata)
        opened = LedgerCatalog(place, place).open(wanted)
        ledger = opened.ledger
        ledger.clamp_future_timestamps(now)
        ledger.counts()
        ledger.confirm(None, now, ready=True)
        rows = ledger.call_rows("REPLACE")
        assert ledger.write_lines(0, rows, place / "lines") == rows in {0, 1000, 1010}
        ledger.accepted(ledger.intend("REPLACE", now), "REPLACE", "7", now)
        ledger.set_digest()
        ledger.journal({}, now)
        opened.close()
        shutil.rmtree(place)


def test_flipped_bits_end_in_a_ledger_or_in_one_put_aside(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(60)
    kept = target.folder / "kept"
    copy = partial(shutil.copytree, target.folder / "ledgers", kept)
    with interrupted("journal", "before", copy):
        target.run(after(first, stream_of(1001, 1010)))
    assert [path.stat().st_size > 0 for path in kept.glob("*.wal")] == [True]
    process = multiprocessing.get_context("forkserver").Process(
        target=use, args=(str(kept), 1, 600 if LONG else 60), daemon=True
    )
    process.start()
    process.join(DEADLINE_S * (10 if LONG else 1))
    assert process.exitcode == 0
    process.close()


NEWER = 'Error opening "x": file was written with a storage version greater than the latest version supported by this'
"""What DuckDB 2 says of a file of a newer version; `OLDER` is what DuckDB 1 says."""
OLDER = "Trying to read a database file with version number 99, but we can only read versions between 64 and 67."


@contextmanager
def held_by_another(database: Path) -> Iterator[None]:
    command = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", command, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield
        process.communicate(timeout=DEADLINE_S)


@contextmanager
def opened_as(database: Path, error: str) -> Iterator[None]:
    """Let DuckDB fail to open a file, with what it says then."""
    connect = duckdb.connect

    def refuse(path: str) -> Any:
        if path == str(database):
            raise duckdb.IOException(error)
        return connect(path)

    with mock.patch.object(duckdb, "connect", refuse):
        yield


@contextmanager
def of_a_newer_program(database: Path) -> Iterator[None]:
    query(database, "INSERT INTO schema_version VALUES (99)")
    yield
    query(database, "DELETE FROM schema_version WHERE version = 99")


@contextmanager
def a_folder(database: Path) -> Iterator[None]:
    away = database.rename(f"{database}.away")
    database.mkdir()
    yield
    database.rmdir()
    away.rename(database)


@pytest.mark.parametrize(
    ("hindered", "words"),
    [
        (of_a_newer_program, "it has version 99, and this program knows"),
        (partial(opened_as, error=NEWER), "Install a newer version of DuckDB"),
        (partial(opened_as, error=OLDER), "Install a newer version of DuckDB"),
        (
            partial(opened_as, error='IO Error: Cannot open file "x": Permission denied'),
            "Give this user write permission there",
        ),
        (held_by_another, "Close the program that has it open"),
        (a_folder, "Is a directory. Correct the path, and run again."),
    ],
)
def test_a_ledger_that_cannot_be_used_now_stays_where_it_is_and_the_others_go_on(
    target: Target, tiktok: Client, hindered: Callable[[Path], AbstractContextManager[None]], words: str
) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(60)
    database = ledger_of(target)
    with hindered(database):
        stopped = target.run(after(first, [*stream_of(1001, 1010), *stream_of(1, 1000, "others")[:-1]]))
        assert (stopped.exit_code, stopped.state, members(tiktok, STREAM)) == (1, None, digests(1, 1000))
        assert members(tiktok, "others") == digests(1, 1000)
        assert str(database) in stopped.last_line
        assert "is unchanged, and nothing is sent without it" in stopped.last_line
        assert words in stopped.last_line
        assert words in stopped.log.partition("completed processing")[0], "told at the start, too"
    assert list(database.parent.glob("*.corrupt*")) == []
    last = target.run(after(first, stream_of(1001, 1010)))
    assert (last.exit_code, members(tiktok, STREAM)) == (0, digests(1, 1010))


@pytest.mark.parametrize("lost", [True, False])
def test_a_ledger_whose_card_is_lost_is_found_all_the_same(target: Target, tiktok: Client, *, lost: bool) -> None:
    held = target.run(after(target.run(stream_of(1, 1000)), stream_of(1001, 1010)))
    (card,) = (target.folder / "ledgers").glob("*.json")
    card.unlink() if lost else card.write_text("{")
    tiktok.advance(60)
    last = target.run(after(held, stream_of(1011, 1011)))
    assert (last.exit_code, members(tiktok)) == (0, [*digests(1, 1011)])
    assert json.loads(card.read_text())["name"] == STREAM


def test_a_card_whose_ledger_is_gone(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1000))
    tiktok.advance(60)
    ledger_of(target).unlink()
    last = target.run(after(first, stream_of(1001, 1010)))
    assert (last.exit_code, members(tiktok)) == (0, digests(1, 1010))
    assert last.audience["warning"].startswith("Ledger missing or outdated: STATE refers to another or newer ledger")
