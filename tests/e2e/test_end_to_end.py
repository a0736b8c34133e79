"""Rows of a real PostgreSQL reach TikTok audiences through real Meltano and real HTTP, and nothing else happens."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from customers import customers, email_digests, phone_digests
from playground import STATE_ID, TARGET, Database, Emulator, Project, emulator, place, postgres

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from customers import Customer

pytestmark = pytest.mark.xdist_group("end to end")  # one database and one Meltano project for all

ROWS = 5000
STREAM = "public-customers"
BY_EMAIL, BY_PHONE = "Customers by e-mail", "Customers by phone"
CHANGING = ("/file/upload/", "/create/", "/update/", "/delete/")


@pytest.fixture(scope="session")
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Make a place for the project and the logs; it stays if a test fails."""
    with place(keep=lambda: request.session.testsfailed) as path:
        yield path


@pytest.fixture(scope="session")
def database(folder: Path) -> Iterator[Database]:
    with postgres(folder / "postgres.log") as running:
        yield running


@pytest.fixture(scope="session")
def project(folder: Path, database: Database) -> Project:
    project = Project(folder, database)
    installed = project.meltano("install")
    assert installed.returncode == 0, installed.stderr
    return project


@pytest.fixture
def table(database: Database) -> Database:
    """Give the database with the rows that each test begins with."""
    now = datetime.now(UTC)
    database.create_table()
    database.write(customers(range(1, ROWS + 1), now - timedelta(days=90), now))
    return database


@pytest.fixture
def tiktok(folder: Path) -> Iterator[Emulator]:
    with emulator(folder / "emulator.log") as running:
        yield running


@pytest.fixture
def pipeline(project: Project, table: Database, tiktok: Emulator, request: pytest.FixtureRequest) -> Pipeline:
    """Give the example project with a table, a TikTok, a state and a ledger that no other test has seen."""
    project.connect(tiktok)
    return Pipeline(project, table, state=request.node.name)


@dataclass(frozen=True)
class Run:
    """One `meltano run`."""

    exit_code: int
    output: str
    report: dict[str, Any]

    @property
    def audiences(self) -> dict[str, dict[str, Any]]:
        """The report's entries by the audience's name."""
        return {entry["audience"]: entry for entry in self.report["audiences"]}


class Pipeline:
    """`meltano run tap-postgres target-tiktok-audiences`, and what surrounds it."""

    def __init__(self, project: Project, table: Database, state: str) -> None:
        self.project = project
        self.table = table
        self.suffix = state
        self.ledger = project.folder / "ledgers" / state

    def run(self, *flags: str, **settings: str) -> Run:
        report = self.project.folder / "report.json"
        report.unlink(missing_ok=True)
        command = ("run", f"--state-id-suffix={self.suffix}", *flags, "tap-postgres", TARGET)
        settings = {"ledger_path": str(self.ledger), "report_path": str(report), **settings}
        done = self.project.meltano(*command, **settings)
        return Run(done.returncode, done.stdout + done.stderr, json.loads(report.read_text()))

    def credentials_pass(self, **settings: str) -> bool:
        """Run `meltano config test` for the target.

        Its exit code tells nothing: having said how the loader did, Meltano 4.4 falls over ending the loader's process,
        which has ended already.
        """
        done = self.project.meltano("--environment=emulator", "config", "test", TARGET, **settings)
        return "Test data was written to your target system" in done.stderr

    def state(self) -> dict[str, Any]:
        """Give what Meltano has stored; nothing if it has not."""
        stored = self.project.meltano("state", "get", f"{STATE_ID}:{self.suffix}").stdout
        state: dict[str, Any] = json.loads(stored or "{}").get("singer_state", {})
        return state

    def remembers(self, audience_ids: Iterable[str]) -> bool:
        """Tell whether the stored state names these audiences."""
        state = json.dumps(self.state())
        return all(audience_id in state for audience_id in audience_ids)

    def bookmark(self) -> datetime:
        """Give how far the tap has come, as Meltano has stored it."""
        return datetime.fromisoformat(self.state()["bookmarks"][STREAM]["replication_key_value"])

    def forget_ledger(self) -> None:
        shutil.rmtree(self.ledger)

    def forget_state(self) -> None:
        cleared = self.project.meltano("state", "clear", "--force", f"{STATE_ID}:{self.suffix}")
        assert cleared.returncode == 0, cleared.stderr

    def change_table(self) -> list[Customer]:
        """Give the table new customers, new addresses and numbers of old ones, and some nonsense."""
        seeded = self.table.read()[-1].updated_at
        now = datetime.now(UTC)
        changed = [
            *customers(range(ROWS + 1, ROWS + 301), seeded, now),
            *customers(range(2001, 2201), seeded, now, edition=1),
        ]
        self.table.write(changed)
        return changed


def ids(tiktok: Emulator) -> dict[str, str]:
    return {audience["name"]: audience["audience_id"] for audience in tiktok.audiences()}


def members(tiktok: Emulator) -> dict[str, set[str]]:
    return {name: tiktok.members(audience_id) for name, audience_id in ids(tiktok).items()}


def digests(rows: Iterable[Customer]) -> dict[str, set[str]]:
    """Give what both audiences must hold for these rows."""
    rows = list(rows)
    return {BY_EMAIL: email_digests(rows), BY_PHONE: phone_digests(rows)}


def changes(tiktok: Emulator) -> list[dict[str, Any]]:
    """Give the calls that could change anything, uploads among them."""
    return [call for call in tiktok.requests() if call["path"].endswith(CHANGING)]


def test_every_row_arrives_and_a_second_run_sends_what_is_new(pipeline: Pipeline, tiktok: Emulator) -> None:
    before = pipeline.table.read()
    first = pipeline.run()
    assert first.exit_code == 0, first.output
    assert members(tiktok) == digests(before)
    assert {entry["plan"] for entry in first.audiences.values()} == {"CREATE"}
    assert all(book["read"] == len(before) for entry in first.audiences.values() for book in entry["books"])
    created = ids(tiktok)
    assert pipeline.remembers(created.values())

    tiktok.advance(hours=48)
    changed = pipeline.change_table()
    second = pipeline.run()
    assert second.exit_code == 0, second.output
    assert ids(tiktok) == created
    # The tap reads the last row that it knows once more.
    fresh = [before[-1], *changed]
    everybody = digests([*before, *changed])
    assert members(tiktok) == everybody
    for name, known in digests(before).items():
        entry = second.audiences[name]
        assert entry["plan"] == "APPEND"
        assert sum(book["read"] for book in entry["books"]) == len(fresh)
        assert entry["sent"] == entry["added"] == len(everybody[name] - known)
        assert (entry["removed"], entry["waiting"]) == (0, 0)
        assert entry["desired"] == entry["delivered"] == len(everybody[name])

    output = first.output + second.output
    assert not [row.id for row in fresh if row.email and "@" in row.email and row.email.strip() in output]


def test_a_run_without_state_and_ledger_finds_the_audiences_by_name(pipeline: Pipeline, tiktok: Emulator) -> None:
    assert pipeline.run().exit_code == 0
    created, given = ids(tiktok), members(tiktok)
    tiktok.advance(hours=48)
    pipeline.forget_state()
    pipeline.forget_ledger()
    again = pipeline.run()
    assert again.exit_code == 0, again.output
    assert {entry["origin"] for entry in again.audiences.values()} == {"found"}
    assert ids(tiktok) == created
    assert members(tiktok) == given
    assert pipeline.remembers(created.values())


def test_a_full_refresh_creates_nothing_twice(pipeline: Pipeline, tiktok: Emulator) -> None:
    assert pipeline.run().exit_code == 0
    created, given = ids(tiktok), members(tiktok)
    tiktok.advance(hours=48)
    refreshed = pipeline.run("--full-refresh")
    assert refreshed.exit_code == 0, refreshed.output
    assert refreshed.audiences[BY_EMAIL]["books"][0]["read"] == len(pipeline.table.read())
    assert ids(tiktok) == created
    assert members(tiktok) == given
    assert {entry["plan"] for entry in refreshed.audiences.values()} == {"NOTHING"}


def test_upsert_follows_what_becomes_of_each_row(pipeline: Pipeline, tiktok: Emulator) -> None:
    columns = ("id", "email", "phone", "updated_at", "deleted_at")
    pipeline.project.changed["TAP_POSTGRES__SELECT"] = json.dumps([f"{STREAM}.{column}" for column in columns])
    maps = json.dumps({STREAM: {"_sdc_deleted_at": "deleted_at"}})
    upsert = {"load_method": "upsert", "stream_maps": maps}
    before = pipeline.table.read()
    first = pipeline.run(**upsert)
    assert first.exit_code == 0, first.output
    given = members(tiktok)
    assert given == digests(before)

    # TikTok processes that still: what changes meanwhile waits in the ledger, and the tap goes on.
    pipeline.change_table()
    now = datetime.now(UTC)
    times = [now + timedelta(microseconds=place) for place in range(150)]
    leavers = [replace(row, updated_at=time) for row, time in zip(before, times, strict=False)]
    pipeline.table.write(replace(row, deleted_at=now) for row in leavers[:100])
    pipeline.table.write(replace(row, email=None, phone="") for row in leavers[100:])
    held = pipeline.run(**upsert)
    assert held.exit_code == 0, held.output
    wanted = digests(pipeline.table.read())
    for name, entry in held.audiences.items():
        assert (entry["plan"], entry["outcome"]) == ("HOLD", "held")
        assert entry["waiting"] == len(wanted[name] ^ given[name])
    assert members(tiktok) == given
    assert pipeline.bookmark() == times[-1]

    # So no row comes again, and yet all of it arrives: first those who leave, then those who come.
    for plan, expected in (("REMOVE", {name: given[name] & wanted[name] for name in given}), ("APPEND", wanted)):
        tiktok.advance(hours=48)
        run = pipeline.run(**upsert)
        assert run.exit_code == 0, run.output
        assert members(tiktok) == expected
        assert {entry["plan"] for entry in run.audiences.values()} == {plan}
        # The tap reads the last row that it knows once more.
        assert {entry["books"][0]["read"] for entry in run.audiences.values()} == {1}


def test_upsert_refuses_to_go_on_without_its_ledger(pipeline: Pipeline, tiktok: Emulator) -> None:
    assert pipeline.run(load_method="upsert").exit_code == 0
    given, sent = members(tiktok), changes(tiktok)
    tiktok.advance(hours=48)
    pipeline.change_table()
    pipeline.forget_ledger()
    run = pipeline.run(load_method="upsert")
    assert run.exit_code == 1
    assert "Run once with `--full-refresh`. Keep `ledger_path` between runs." in run.output
    assert (members(tiktok), changes(tiktok)) == (given, sent)
    assert not run.report["run"]["state_published"]


def test_overwrite_follows_the_whole_table_and_stops_at_half_of_it(pipeline: Pipeline, tiktok: Emulator) -> None:
    whole = {STREAM: {"replication-method": "FULL_TABLE"}}
    pipeline.project.changed["TAP_POSTGRES__METADATA"] = json.dumps(whole)
    assert pipeline.run(load_method="overwrite").exit_code == 0
    assert members(tiktok) == digests(pipeline.table.read())

    tiktok.advance(hours=48)
    pipeline.table.delete(range(1, 101))
    gone = pipeline.run(load_method="overwrite")
    assert gone.exit_code == 0, gone.output
    assert {entry["plan"] for entry in gone.audiences.values()} == {"REMOVE"}
    assert members(tiktok) == digests(pipeline.table.read())

    tiktok.advance(hours=48)
    given, sent = members(tiktok), changes(tiktok)
    pipeline.table.delete(range(1, ROWS // 2))
    pipeline.change_table()
    halved = pipeline.run(load_method="overwrite")
    assert halved.exit_code == 1
    wanted = digests(pipeline.table.read())
    for name, entry in halved.audiences.items():
        assert (
            f'{len(given[name] - wanted[name]):,} of {len(given[name]):,} members of stream "{STREAM}" would be removed'
            in entry["message"]
        )
        assert "TARGET_TIKTOK_AUDIENCES_MAX_REMOVAL_PERCENT=100" in entry["message"]
        assert entry["message"] in halved.output
    assert (members(tiktok), changes(tiktok)) == (given, sent)

    allowed = pipeline.run(load_method="overwrite", max_removal_percent="100")
    assert allowed.exit_code == 0, allowed.output
    assert {entry["plan"] for entry in allowed.audiences.values()} == {"REPLACE"}
    assert members(tiktok) == wanted


def test_two_audiences_of_one_name_stop_the_run(pipeline: Pipeline, tiktok: Emulator) -> None:
    twins = [tiktok.seed(advertiser_id="7000000000000000001", name=BY_EMAIL) for _ in range(2)]
    given = [tiktok.members(twin) for twin in twins]
    run = pipeline.run()
    assert run.exit_code == 1
    assert all(twin in run.output for twin in twins)
    assert all(twin in run.audiences[BY_EMAIL]["message"] for twin in twins)
    assert [tiktok.members(twin) for twin in twins] == given
    assert not pipeline.state()


def test_meltano_can_test_the_credentials(pipeline: Pipeline, tiktok: Emulator) -> None:
    assert pipeline.credentials_pass()
    assert not pipeline.credentials_pass(access_token="emulator-other")
    assert not pipeline.credentials_pass(advertiser_id="7999999999999999999")
    assert not tiktok.audiences()
