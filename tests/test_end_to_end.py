"""Rows of a real PostgreSQL reach TikTok audiences through real Meltano and real HTTP, and nothing else happens."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from customers import customers, email_digests, phone_digests
from playground import ROOT, STATE_ID, TARGET, Database, Emulator, Project, emulator, postgres

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from customers import Customer

ROWS = 5000
BY_EMAIL, BY_PHONE = "Customers by e-mail", "Customers by phone"


@pytest.fixture(scope="session")
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Make a place for the project and the logs; it stays if a test fails."""
    (ROOT / ".demo").mkdir(exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="test-", dir=ROOT / ".demo"))
    yield path
    if not request.session.testsfailed:
        shutil.rmtree(path)


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
    now = datetime.now(timezone.utc)
    database.create_table()
    database.write(customers(range(1, ROWS + 1), now - timedelta(days=90), now))
    return database


@pytest.fixture
def tiktok(folder: Path) -> Iterator[Emulator]:
    with emulator(folder / "emulator.log") as running:
        yield running


@pytest.fixture
def pipeline(project: Project, table: Database, tiktok: Emulator, request: pytest.FixtureRequest) -> Pipeline:
    """Give the example project with a table, a TikTok and a state that no other test has seen."""
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

    def run(self, *flags: str, **settings: str) -> Run:
        report = self.project.folder / "report.json"
        report.unlink(missing_ok=True)
        command = ("run", f"--state-id-suffix={self.suffix}", *flags, "tap-postgres", TARGET)
        done = self.project.meltano(*command, report_path=str(report), **settings)
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

    def forget_state(self) -> None:
        cleared = self.project.meltano("state", "clear", "--force", f"{STATE_ID}:{self.suffix}")
        assert cleared.returncode == 0, cleared.stderr

    def change_table(self) -> list[Customer]:
        """Give the table new customers, new addresses and numbers of old ones, and some nonsense."""
        seeded = self.table.read()[-1].updated_at
        now = datetime.now(timezone.utc)
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


def test_every_row_arrives_and_a_second_run_sends_what_is_new(pipeline: Pipeline, tiktok: Emulator) -> None:
    before = pipeline.table.read()
    first = pipeline.run()
    assert first.exit_code == 0, first.output
    assert members(tiktok) == {BY_EMAIL: email_digests(before), BY_PHONE: phone_digests(before)}
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
    assert members(tiktok) == {
        BY_EMAIL: email_digests(before) | email_digests(changed),
        BY_PHONE: phone_digests(before) | phone_digests(changed),
    }
    for name, expected in ((BY_EMAIL, email_digests), (BY_PHONE, phone_digests)):
        entry = second.audiences[name]
        assert entry["plan"] == "APPEND"
        assert sum(book["read"] for book in entry["books"]) == len(fresh)
        assert len(expected(changed) - expected(before)) <= entry["sent"] <= len(expected(fresh))

    output = first.output + second.output
    assert not [row.id for row in fresh if row.email and "@" in row.email and row.email.strip() in output]


def test_a_run_without_its_state_finds_the_audiences_by_name(pipeline: Pipeline, tiktok: Emulator) -> None:
    assert pipeline.run().exit_code == 0
    created, given = ids(tiktok), members(tiktok)
    tiktok.advance(hours=48)
    pipeline.forget_state()
    again = pipeline.run()
    assert again.exit_code == 0, again.output
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


def test_one_stream_fills_audiences_of_several_advertisers(pipeline: Pipeline, tiktok: Emulator) -> None:
    advertisers = ["7000000000000000001", "7000000000000000002"]
    tiktok.add_advertisers(advertisers)
    feeds = [
        {"stream": "public-*", "contract": "EMAIL_SHA256", "advertiser_id": advertiser, "audience_name": "Everybody"}
        for advertiser in advertisers
    ]
    run = pipeline.run(audiences=json.dumps(feeds))
    assert run.exit_code == 0, run.output
    held = {audience["advertiser_id"]: tiktok.members(audience["audience_id"]) for audience in tiktok.audiences()}
    assert held == dict.fromkeys(advertisers, email_digests(pipeline.table.read()))


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
