"""Taps of others keep audiences in step, in real processes; docs/reference/taps.md tells what was seen.

`TEST_WRITE=1` writes its rows anew, those of servers that are not here excepted.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from customers import customers, email_digests
from playground import ROOT, Database, postgres
from support import foreign_taps as taps
from support.emulator_client import ADVERTISER, TOKEN
from support.foreign_taps import (
    FILES,
    SDK,
    SINGER_PYTHON,
    File,
    MariaDB,
    MeltanoPipe,
    Pipe,
    Ran,
    Table,
    Tap,
    logical_postgres,
)

from target_tiktok_audiences.sync.state import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from customers import Customer
    from support.emulator_client import Client

PAGE = ROOT / "docs/reference/taps.md"
TEXT = PAGE.read_text()


BEGIN, END = "<!-- seen: begin (tests/e2e/test_taps.py) -->\n", "<!-- seen: end -->\n"


VERSIONS = dict(pin.split("==") for pin in (*SDK, *SINGER_PYTHON, *FILES))
CHANGING = ("/file/upload/", "/create/", "/update/", "/delete/")

NOW = datetime.now(UTC)


ROWS = 1500
NEWCOMERS, CHANGED, LEAVERS = range(ROWS + 1, ROWS + 31), range(101, 121), range(1, 16)


# --- What is mapped, and what must become of it ---


def everybody(rows: Iterable[Customer]) -> set[str]:
    return email_digests(rows)


def nine_in_ten(rows: Iterable[Customer]) -> set[str]:
    return email_digests(row for row in rows if row.id % 10)


def as_they_are(rows: Iterable[Customer]) -> set[str]:
    texts = [row.email.strip().lower() for row in rows if row.email and "@" in row.email]
    return {hashlib.sha256(text.encode()).hexdigest() for text in texts}


Wanted = dict[str, "Callable[[Iterable[Customer]], set[str]]"]
"""For each audience, who of a table should be in it."""
WANTED: dict[str, Wanted] = {
    "plain": {"everybody": everybody},
    "filtered": {"nine in ten": nine_in_ten},
    "split": {"renamed": everybody, "emptied": nine_in_ten, "hashed": as_they_are},
}


def shown(word: str) -> Any:
    """Give the YAML that the page shows users; so it is what they see that is run here."""
    (block,) = (block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if word in block)
    return yaml.safe_load(block)


SPLIT_FEEDS = [
    {"stream": "renamed", "audience_name": "renamed", "identifier_field": "mail"},
    {"stream": "emptied", "audience_name": "emptied"},
    {"stream": "hashed", "audience_name": "hashed", "identifier_field": "digest", "apply_hashing": False},
]


# --- The rows of the page ---


@dataclass(frozen=True)
class Case:
    """What is tried: the left half of a row of the page."""

    package: str
    method: str
    load_method: str
    mapper: str = ""
    pipe: type[Pipe] = Pipe
    wanted: str = "plain"

    @property
    def cells(self) -> list[str]:
        mapper = {"": "none", "stream_maps": "`stream_maps`"}.get(
            self.mapper
        ) or f"{self.mapper} {VERSIONS[self.mapper]}"
        through = "Meltano" if self.pipe is MeltanoPipe else "pipe"
        return [f"{self.package} {VERSIONS[self.package]}", self.method, f"`{self.load_method}`", mapper, through]


CASES = [
    Case("meltanolabs-tap-postgres", "FULL_TABLE", "overwrite"),
    Case("meltanolabs-tap-postgres", "INCREMENTAL", "append-only"),
    Case("meltanolabs-tap-postgres", "LOG_BASED", "upsert", "stream_maps", Pipe, "split"),
    Case("meltanolabs-tap-postgres", "LOG_BASED", "upsert", "meltano-map-transform", MeltanoPipe, "split"),
    Case("pipelinewise-tap-postgres", "FULL_TABLE", "overwrite"),
    Case("pipelinewise-tap-postgres", "INCREMENTAL", "append-only"),
    Case("pipelinewise-tap-postgres", "LOG_BASED", "upsert", "", MeltanoPipe),
    Case("pipelinewise-tap-mysql", "INCREMENTAL", "append-only", "stream_maps", Pipe, "filtered"),
    Case("pipelinewise-tap-mysql", "LOG_BASED", "upsert"),
    Case("tap-spreadsheets", "CSV", "append-only"),
    Case("tap-spreadsheets", "XLSX, no state", "overwrite"),
]


def cases(*packages: str) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if case.package in packages]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: " ".join(case.cells[:4]))


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def rows_of_page() -> list[str]:
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0].splitlines(keepends=True)[2:]


def tell(case: Case, seen: Mapping[str, str]) -> None:
    """Let the page tell what was seen, or see that it does."""
    left, told = row(case.cells).rstrip("\n"), row([*case.cells, *seen.values()])
    if not os.environ.get("TEST_WRITE"):
        assert told in rows_of_page()
        return
    with PAGE.open("r+") as page:
        fcntl.flock(page, fcntl.LOCK_EX)  # other workers have other rows
        before, _, rest = page.read().partition(BEGIN)
        known = [
            told,
            *(old for old in rest.partition(END)[0].splitlines(keepends=True)[2:] if not old.startswith(left)),
        ]
        lefts = [row(each.cells).rstrip("\n") for each in CASES]
        rows = [old for each in lefts for old in known if old.startswith(each)]
        head = ["tap", "replication", "`load_method`", "mapper", "run by", *seen]
        page.seek(0)
        page.write(f"{before}{BEGIN}{row(head)}{row(['---'] * len(head))}{''.join(rows)}{END}{rest.partition(END)[2]}")
        page.truncate()


def test_the_page_has_a_row_for_each_case_and_no_other() -> None:
    if os.environ.get("TEST_WRITE"):
        pytest.skip("the page is being written")
    assert [line.split(" | ")[:5] for line in rows_of_page()] == [row(case.cells)[:-3].split(" | ") for case in CASES]


# --- Servers ---


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="module")
def postgresql(logs: Path) -> Iterator[Database]:
    with postgres(logs / "postgres.log", logical_postgres()) as database:
        yield database


@pytest.fixture(scope="module")
def mariadb(logs: Path) -> Iterator[MariaDB]:
    with taps.mariadb(logs / "mariadb.log") as database:
        yield database


# --- What is seen ---


@dataclass
class World:
    """A TikTok, and a folder for all that a pipe keeps."""

    tiktok: Client
    folder: Path

    def keeps_in_step(self, case: Case, tap: Tap, table: Table, **settings: Any) -> None:
        """Run the pipe on a table that is full, on its changes, and on no change; see who is in the audiences."""
        wanted = WANTED[case.wanted]
        mapper = shown("stream_maps") if case.mapper == "meltano-map-transform" else None
        pipe = case.pipe(self.folder, tap, {**self._settings(case, tap), **settings}, mapper)
        old = table.read()
        first, before = self._run(pipe)
        assert before == people(wanted, old)

        table.write(customers(NEWCOMERS, NOW, NOW + timedelta(hours=1)))
        table.write(customers(CHANGED, NOW + timedelta(hours=1), NOW + timedelta(hours=2), edition=1))
        table.delete(LEAVERS)
        after = people(wanted, table.read())
        second, members = self._run(pipe)
        if case.load_method == "upsert":  # removals go first, in a call of their own
            assert members == {name: before[name] & after[name] for name in after}
            _, members = self._run(pipe)
        adds_only = case.load_method == "append-only"
        assert members == ({name: before[name] | after[name] for name in after} if adds_only else after)

        entry, calls = pipe.state["bookmarks"][KEY], self._changes()
        last, unchanged = self._run(pipe)
        assert unchanged == members

        def fate(numbers: Iterable[int]) -> str:
            them = people(wanted, [row for row in old if row.id in numbers])
            gone = {name: them[name] - after[name] for name in them}
            assert all(gone.values())
            fates = {"stay" if gone[name] <= members[name] else gone[name] & members[name] or "leave" for name in gone}
            return " and ".join(sorted(map(str, fates)))

        came = all(after[name] - before[name] <= members[name] for name in after)
        own = [state["bookmarks"].get(KEY) for state in last.states]
        seen = {
            "rows read": " / ".join(f"{len(ran.records):,}" for ran in (first, second, last)),
            "new people": "come" if came else "do not come",
            "old addresses": fate(CHANGED),
            "deleted rows": fate(LEAVERS),
            "the tap's bookmark": "kept" if others(pipe.state) == others(last.states[-1]) else "lost",
            "our entry": "kept" if entry in own else "lost" if tap.keeps_state else "never returned",
            "nothing changed": "silent" if self._changes() == calls else "sends again",
        }
        tell(case, seen)

    def _settings(self, case: Case, tap: Tap) -> dict[str, Any]:
        chosen: dict[str, Any] = {
            "access_token": TOKEN,
            "advertiser_id": ADVERTISER,
            "contract": "EMAIL_SHA256",
            "api_url": self.tiktok.base,
            "ledger_path": str(self.folder / "ledgers"),
            "load_method": case.load_method,
        }
        if case.wanted == "split":
            chosen["audiences"] = SPLIT_FEEDS
        else:
            (chosen["audience_name"],) = WANTED[case.wanted]
        if case.mapper == "stream_maps":
            filtering = {"stream_maps": {tap.stream: {"__alias__": "kept", "__filter__": "id % 10 != 0"}}}
            chosen |= shown("stream_maps") if case.wanted == "split" else filtering
        elif case.mapper:  # which sends the SCHEMA of a stream that it drops
            chosen["on_unmatched_stream"] = "skip"
        return chosen

    def _run(self, pipe: Pipe) -> tuple[Ran, dict[str, set[str]]]:
        self.tiktok.advance(48)
        ran = pipe.run()
        assert ran.exit_code == 0, ran.log
        held = self.tiktok.control("audiences").json()
        return ran, {audience["name"]: set(self.tiktok.members(audience["audience_id"])) for audience in held}

    def _changes(self) -> int:
        return sum(call["path"].endswith(CHANGING) for call in self.tiktok.requests())


def people(wanted: Wanted, rows: Iterable[Customer]) -> dict[str, set[str]]:
    rows = list(rows)
    return {name: judge(rows) for name, judge in wanted.items()}


def others(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: bookmark for name, bookmark in state["bookmarks"].items() if name != KEY}


@pytest.fixture
def world(tiktok: Client, tmp_path: Path) -> World:
    return World(tiktok, tmp_path)


def fill(table: Table) -> None:
    table.write(customers(range(1, ROWS + 1), NOW - timedelta(days=9), NOW))


def replication(case: Case) -> dict[str, str]:
    key = {"replication-key": "updated_at"} if case.method == "INCREMENTAL" else {}
    return {"replication-method": case.method, **key}


@cases("meltanolabs-tap-postgres", "pipelinewise-tap-postgres")
def test_a_tap_of_postgresql(case: Case, postgresql: Database, world: World) -> None:
    slot = {"meltanolabs-tap-postgres": "tappostgres", "pipelinewise-tap-postgres": "pipelinewise_postgres_shop"}
    postgresql.create_table()
    fill(postgresql)
    if case.method == "LOG_BASED":
        if logical_postgres() is None:
            pytest.skip("no PostgreSQL with wal2json is here (Debian: apt install postgresql-15-wal2json)")
        with postgresql.connect() as connection:
            connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
        with postgresql.connect() as connection:
            connection.execute("select pg_create_logical_replication_slot(%s, 'wal2json')", [slot[case.package]])
    where = {name: getattr(postgresql, name) for name in ("host", "port", "user", "password")}
    if case.package == "meltanolabs-tap-postgres":
        packages, (plugin,) = SDK, shown("variant: meltanolabs")
        config = {**where, "database": postgresql.dbname, "filter_schemas": ["public"], **plugin["config"]}
    else:
        packages, (plugin,) = SINGER_PYTHON, shown("variant: transferwise")
        config = {**where, "dbname": postgresql.dbname, **plugin["config"]}
    metadata = plugin["metadata"]["public-customers"] if case.method == "LOG_BASED" else replication(case)
    tap = Tap(packages, "tap-postgres", config, "public-customers", metadata)
    world.keeps_in_step(case, tap, postgresql)


@cases("pipelinewise-tap-mysql")
def test_a_tap_of_mariadb(case: Case, mariadb: MariaDB, world: World) -> None:
    mariadb.create_table()
    fill(mariadb)
    config = {"host": mariadb.host, "port": str(mariadb.port), "user": mariadb.user, "password": mariadb.password}
    tap = Tap(SINGER_PYTHON, "tap-mysql", {**config, "engine": "mariadb"}, "shop-customers", replication(case))
    world.keeps_in_step(case, tap, mariadb)


@cases("tap-spreadsheets")
def test_a_tap_of_files(case: Case, tmp_path: Path, world: World) -> None:
    file = File(tmp_path / f"customers.{case.method.partition(',')[0].lower()}")
    fill(file)
    form = {"format": "csv"} if file.path.suffix == ".csv" else {"format": "excel", "worksheet": "Sheet"}
    config = {"files": [{"path": str(file.path), "table_name": "customers", "primary_keys": ["id"], **form}]}
    tap = Tap(FILES, "tap-spreadsheets", config, "customers", {}, keeps_state="no state" not in case.method)
    world.keeps_in_step(case, tap, file, identifier_field="e_mail")
