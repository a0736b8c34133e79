"""The example projects, run by Meltano where a machine has what they read, and checked by it where not."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from customers import Customer, customers, email_digests, phone_digests
from playground import TARGET, Project, emulator, place, postgres
from support.emulator_client import ADVERTISER, TOKEN
from support.singer import record, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playground import Database, Emulator
    from support.emulator_client import Client
    from support.target import Target

pytestmark = pytest.mark.xdist_group("end to end")  # Meltano is heavy: not beside the other projects

NOW = datetime.now(UTC)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Make a place for a project; it stays if a test fails."""
    with place(keep=lambda: request.session.testsfailed) as path:
        yield path


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with postgres(tmp_path_factory.mktemp("postgres") / "log") as running:
        running.create_table()
        running.write(customers(range(1, 3001), NOW - timedelta(days=90), NOW))
        with running.connect() as connection:
            connection.execute("alter table customers add column country text")
            connection.execute("update customers set country = case when id % 2 = 0 then 'DE' else 'FR' end")
        yield running


@contextmanager
def installed(project: Project, *advertisers: str) -> Iterator[Emulator]:
    """Install a project's plugins, and connect it to an emulator with these ad accounts."""
    done = project.meltano("install")
    assert done.returncode == 0, done.stderr
    flags = [flag for advertiser in advertisers for flag in ("--advertiser-id", advertiser)]
    with emulator(project.folder / "emulator.log", *flags) as tiktok:
        project.connect(tiktok)
        yield tiktok


def test_who_leaves_the_file_leaves_the_audience(folder: Path) -> None:
    file = folder / "customers.csv"
    project = Project(folder, example="csv-to-phone")

    def in_file() -> set[str]:
        with file.open() as lines:
            rows = [Customer(int(row["id"]), row["name"], None, row["phone"], NOW) for row in csv.DictReader(lines)]
        return phone_digests(rows)

    with installed(project) as tiktok:

        def run(*flags: str) -> tuple[int, str]:
            done = project.meltano("run", *flags, "tap-spreadsheets", TARGET)
            assert "5550" not in done.stdout + done.stderr
            return done.returncode, done.stderr

        rehearsal = ("--environment=prod", "run", "--full-refresh", "tap-spreadsheets", TARGET)
        done = project.meltano(*rehearsal, access_token=TOKEN, advertiser_id=ADVERTISER, dry_run="true")
        assert done.returncode == 0, done.stderr
        assert tiktok.audiences() == []
        exit_code, log = run("--full-refresh")
        assert exit_code == 0, log
        (audience,) = tiktok.audiences()
        assert audience["name"] == "Customers by phone"
        before = tiktok.members(audience["audience_id"])
        assert before == in_file()

        tiktok.advance(hours=48)
        kept = file.read_text().splitlines(keepends=True)
        file.write_text("".join([*kept[:-50], "9001,Mei Novak,(989) 555-0101\n", "9002,Jan Park,020 7946 0\n"]))
        exit_code, log = run("--full-refresh")
        assert exit_code == 0, log
        after = tiktok.members(audience["audience_id"])
        assert after == in_file()
        assert len(after - before) == 1
        assert len(before - after) > 1

        # The tap passes over a file that it knows: to the target that is an empty table.
        tiktok.advance(hours=48)
        exit_code, log = run()
        assert exit_code == 1
        assert tiktok.members(audience["audience_id"]) == after


def test_one_table_fills_three_advertisers(folder: Path, database: Database) -> None:
    ours = {"7000000000000000001": "Customers", "7000000000000000002": "Customers"}
    german = {"7000000000000000003": "Customers in Germany"}
    rows = list(customers(range(1, 3001), NOW, NOW))
    project = Project(folder, database, "several-advertisers")
    with installed(project, *ours, *german) as tiktok:

        def held() -> dict[str, set[str]]:
            assert {each["advertiser_id"]: each["name"] for each in tiktok.audiences()} == ours | german
            return {each["advertiser_id"]: tiktok.members(each["audience_id"]) for each in tiktok.audiences()}

        listed = project.meltano("invoke", f"{TARGET}:advertisers", "--json")
        assert listed.returncode == 0, listed.stderr
        assert [row["granted"] for row in json.loads(listed.stdout)["advertisers"]] == [True] * 3, listed.stderr
        done = project.meltano("run", "tap-postgres", TARGET)
        assert done.returncode == 0, done.stderr
        everybody = dict.fromkeys(ours, email_digests(rows))
        germans = email_digests(row for row in rows if row.id % 2 == 0)
        assert held() == everybody | dict.fromkeys(german, germans)

        tiktok.advance(hours=48)
        with database.connect() as connection:
            connection.execute("update customers set country = 'FR', updated_at = now() where id % 20 = 0")
        done = project.meltano("run", "tap-postgres", TARGET)
        assert done.returncode == 0, done.stderr
        stayed = email_digests(row for row in rows if row.id % 2 == 0 and row.id % 20)
        assert germans > stayed
        assert held() == everybody | dict.fromkeys(german, stayed)


def test_what_warehouses_send_fills_the_audiences(folder: Path, target: Target, tiktok: Client) -> None:
    """Meltano compiles the project; what its taps would send goes through the target as it is configured."""
    project = Project(folder, example="warehouse")
    compiled = project.meltano("compile", "--directory=compiled")
    assert compiled.returncode == 0, compiled.stderr
    manifest = json.loads((folder / "compiled/meltano-manifest.prod.json").read_text())
    (loader,) = manifest["plugins"]["loaders"]
    target.config |= loader["config"] | {"contract": None}
    rows = list(customers(range(1, 1501), NOW - timedelta(days=90), NOW))
    for stream, keys in (("customers", []), ("sales-customers", ["id"])):
        target.config["ledger_path"] = str(folder / stream)
        records = [record(row.id, stream, email=row.email, phone=row.phone) for row in rows]
        ended = target.run([schema(stream) | {"key_properties": keys}, *records, state(stream=stream)])
        assert ended.exit_code == 0, ended.log
        held = {each["name"]: set(tiktok.members(each["audience_id"])) for each in tiktok.control("audiences").json()}
        assert held == {"Customers by e-mail": email_digests(rows), "Customers by phone": phone_digests(rows)}
        tiktok.delete(*(each["audience_id"] for each in tiktok.control("audiences").json()))
