"""The pages for users of Meltano, command by command in real projects, and what the emulator then holds."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from playground import TARGET, Emulator, emulator
from support.docs_pages import DEFINITION, README, loader, meltano_schema
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER, TOKEN
from support.singer import digests, email, stream_of
from support.target import MARKER

from docs import ROOT
from target_tiktok_audiences.ledger.catalog import LedgerCatalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("end to end")  # Meltano is heavy: not beside the other project

MELTANO = ROOT / ".venv-meltano" / "bin"
STREAM = "public-customers"
STATE_ID = f"dev:tap-postgres-to-{TARGET}"
CUSTOMERS = f"{ADVERTISER}/Customers"
CHANGING = ("/file/upload/", "/create/", "/update/", "/delete/")
USUAL_URL = "http://127.0.0.1:8765"
DEADLINE_S = 120
FOREIGN = ("MELTANO_ENVIRONMENT", "MELTANO_PROJECT_", "TARGET_TIKTOK_AUDIENCES_")
HARMLESS = ("No state was found", "Running state operation", "Testing a loader", "stateless run", "key doesn't exist")
"""What Meltano warns of without need."""

TAP = f"""#!{sys.executable}
import argparse, json, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=pathlib.Path)
parser.add_argument("--state", type=pathlib.Path)
given, _ = parser.parse_known_args()
database = json.loads(given.config.read_text()).get("database", "shop")
state = json.loads(given.state.read_text()) if given.state else {{}}
print(json.dumps({{"type": "STATE", "value": state}}))
seen = state.get("bookmarks", {{}}).get("{STREAM}", {{}}).get("replication_key_value", 0)
for line in pathlib.Path(f"{{database}}.jsonl").read_text().splitlines():
    message = json.loads(line)
    if message["type"] == "STATE":
        message["value"]["bookmarks"] = {{**state.get("bookmarks", {{}}), **message["value"]["bookmarks"]}}
    if message["type"] != "RECORD" or message["record"]["id"] >= seen:
        print(json.dumps(message))
"""
"""Reads a table as tap-postgres does: from the bookmark on, with the STATE that it was given."""

EDITOR = f"""
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
state = json.loads(path.read_text())
del state["singer_state"]["bookmarks"]["{TARGET}"]
path.write_text(json.dumps(state))
"""
"""Somebody who takes our entry out of a state."""


class Page:
    """A page of the documentation: of each section the commands, each with the lines that it shows of the output."""

    def __init__(self, path: str) -> None:
        self.text = (ROOT / path).read_text()
        self.sections = {
            section.partition("\n")[0]: [
                (command, lines.splitlines())
                for block in re.findall(r"^```console\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
                for command, lines in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
            ]
            for section in re.split(r"^## ", self.text, flags=re.MULTILINE)[1:]
        }
        self.commands = [command for commands in self.sections.values() for command, _ in commands]

    @property
    def project(self) -> dict[str, Any]:
        """The page's meltano.yml."""
        (found,) = re.findall(r"^```yaml\n(.*?)^```", self.text, re.DOTALL | re.MULTILINE)
        project: dict[str, Any] = yaml.safe_load(found)
        return project


FIRST, STATE, SCHEDULING, ENVIRONMENTS = (
    Page(f"docs/how-to/{name}.md") for name in ("first-audience", "state", "scheduling", "environments")
)


@dataclass
class Shell:
    """Somebody who follows pages."""

    folder: Path
    tiktok: Emulator | None = None
    printed: str = ""
    ran: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return kept | {
            "PATH": f"{MELTANO}{os.pathsep}{os.environ['PATH']}",
            "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1"))),
            "COLUMNS": "200",
            "EDITOR": f"{sys.executable} {self.folder / 'editor.py'}",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        }

    def follow(self, page: Page, section: str) -> None:
        """Run the commands of a section; each must end well and print what the page shows."""
        assert page.sections[section]
        for command, lines in page.sections[section]:
            if command.startswith("cd "):
                self.folder /= command[3:]
                continue
            printed, exit_code = self.run(command)
            for line in lines:
                shown = ".*".join(re.escape(part.strip()) for part in self._here(line).split("..."))
                assert re.search(shown, printed), f"$ {command}\n{printed}\nshould show: {line}"
            # Meltano 4.4 stumbles over its own feet when the test is over.
            assert exit_code == 0 or command.startswith("meltano config test"), f"$ {command}\n{printed}"

    def run(self, command: str) -> tuple[str, int]:
        """Run a command; give what it printed, and its exit code."""
        done = subprocess.run(
            ["bash", "-c", self._here(command)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        self.printed += done.stdout
        self.ran.append(command)
        assert "DeprecationWarning" not in done.stdout
        for line in done.stdout.splitlines():
            assert not re.search(r"\[warning *\] meltano ", line) or any(words in line for words in HARMLESS), line
        return done.stdout, done.returncode

    def _here(self, text: str) -> str:
        text = text.replace("/path/to/this/checkout", str(ROOT))
        return text.replace(USUAL_URL, self.tiktok.url) if self.tiktok else text

    # --- What is there ---

    def changes(self) -> list[dict[str, Any]]:
        """Give the calls that could change anything, uploads among them."""
        assert self.tiktok
        return [call for call in self.tiktok.requests() if call["path"].endswith(CHANGING)]

    def audiences(self) -> dict[str, list[str]]:
        """Give who is in each audience of TikTok, by its advertiser and name."""
        assert self.tiktok
        held = self.tiktok.audiences()
        given = {
            f"{one['advertiser_id']}/{one['name']}": sorted(self.tiktok.members(one["audience_id"])) for one in held
        }
        assert len(given) == len(held)
        return given

    def states(self) -> dict[str, dict[str, Any]]:
        """Give the bookmarks of all states, from where Meltano keeps them; asking it takes seconds."""
        with closing(sqlite3.connect(self.folder / ".meltano" / "meltano.db")) as database:
            rows = database.execute("select state_id, completed_state from state").fetchall()
        return {state_id: json.loads(state)["singer_state"]["bookmarks"] for state_id, state in rows if state}

    def ledgers(self) -> set[str]:
        """Give the ledgers, by the folder of their environment and the audience."""
        cards = (self.folder / ".meltano" / TARGET).rglob("*.json")
        return {f"{card.parent.name}: {json.loads(card.read_text())['name']}" for card in cards}

    def write_table(self, database: str, first: int, last: int) -> None:
        """Let a table hold these people."""
        lines = (json.dumps(message) for message in stream_of(first, last, STREAM))
        (self.folder / f"{database}.jsonl").write_text("".join(f"{line}\n" for line in lines))

    def edit_project(self, change: Any) -> None:
        path = self.folder / "meltano.yml"
        project = yaml.safe_load(path.read_text())
        change(project)
        path.write_text(yaml.safe_dump(project, sort_keys=False))

    def write_tap(self) -> None:
        (self.folder / "tap").write_text(TAP)
        (self.folder / "tap").chmod(0o755)


def ours(bookmarks: dict[str, Any]) -> dict[str, Any]:
    """Give what a state remembers of the one audience."""
    (audience,) = bookmarks[TARGET]["audiences"].values()
    found: dict[str, Any] = audience
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Give an empty folder's project with the plugin, as the page makes it."""
    shell = Shell(tmp_path_factory.mktemp("meltano"))
    shell.follow(FIRST, "A project")
    return shell


def test_the_pages_lead_from_an_empty_folder_to_a_schedule(shop: Shell) -> None:
    made_by_meltano = (shop.folder / "meltano.yml").read_text()
    assert not list(meltano_schema().iter_errors(yaml.safe_load(made_by_meltano)))
    assert "generated" not in made_by_meltano
    tap = {"name": "tap-postgres", "namespace": "tap_postgres", "executable": "./tap", "capabilities": ["state"]}
    settings = {"settings": [{"name": "database"}], "config": {"database": "shop"}}
    shop.edit_project(lambda project: project["plugins"].update(extractors=[{**tap, **settings}]))
    shop.write_tap()
    shop.write_table("shop", 1, 1500)
    call = tuple(FIRST.sections["A TikTok to try it with"][0][0].split())
    with emulator(shop.folder / "emulator.log", through=call, cwd=shop.folder, env=shop.environment) as tiktok:
        shop.tiktok = tiktok
        first_audience(shop, tiktok)
        whatever_happens_to_state(shop)
        schedules(shop, tiktok)
        the_other_commands(shop, tiktok)
    assert MARKER not in shop.printed


def test_the_readmes_commands_are_those_of_the_page() -> None:
    (block,) = (each for each in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "meltano add" in each)
    played = {command.replace("[emulator]", "").replace(" emulator-token", " ...") for command in FIRST.commands}
    for line in block.splitlines():
        command = re.sub(r"^TARGET_TIKTOK_AUDIENCES_DRY_RUN=true ", "", line.partition(" #")[0].rstrip())
        assert command in played


def first_audience(shop: Shell, tiktok: Emulator) -> None:
    shop.follow(FIRST, "Settings")
    assert "emulator-token" not in (shop.folder / "meltano.yml").read_text()
    (added,) = yaml.safe_load((shop.folder / "meltano.yml").read_text())["plugins"]["loaders"]
    assert added["config"].keys() == {"api_url", "advertiser_id", "contract", "audiences"}

    def unquote(project: dict[str, Any]) -> None:
        project["plugins"]["loaders"][0]["config"]["advertiser_id"] = 7000000000000000001

    shop.edit_project(unquote)
    shop.follow(FIRST, "Is all well?")
    assert shop.audiences() == {}
    assert shop.ledgers() == set()

    shop.follow(FIRST, "Rehearse")
    assert shop.audiences() == {}
    assert shop.states() == {}
    shop.follow(FIRST, "Run")
    assert shop.audiences() == {CUSTOMERS: digests(1, 1500)}
    assert shop.ledgers() == {"dev: Customers"}
    shop.write_table("shop", 1, 1700)
    shop.follow(FIRST, "Run again")
    assert shop.audiences() == {CUSTOMERS: digests(1, 1500)}
    assert shop.states()[STATE_ID][STREAM]["replication_key_value"] == 1700
    tiktok.advance(hours=48)
    shop.follow(FIRST, "Two days later")
    assert shop.audiences() == {CUSTOMERS: digests(1, 1700)}
    shop.follow(FIRST, "Look at it")


def whatever_happens_to_state(shop: Shell) -> None:
    everything = {CUSTOMERS: digests(1, 1700)}
    (shop.folder / "editor.py").write_text(EDITOR)
    sent = shop.changes()
    shop.follow(STATE, "See it")
    kept = json.loads((shop.folder / "state.json").read_text())["singer_state"]["bookmarks"]
    for section in ("Read all of it again", "Another state, or none"):
        shop.follow(STATE, section)
        assert shop.audiences() == everything
    states = shop.states()
    assert states.keys() == {STATE_ID, f"{STATE_ID}:backfill"}
    for bookmarks in states.values():
        assert (ours(bookmarks)["audience_id"], ours(bookmarks)["ledger"]) == (
            ours(kept)["audience_id"],
            ours(kept)["ledger"],
        )
    shop.follow(STATE, "Mend it")
    assert shop.audiences() == everything
    after = ours(shop.states()[STATE_ID])
    assert after["commit"] > ours(kept)["commit"]
    assert {**after, "commit": 0} == {**ours(kept), "commit": 0}
    assert shop.ledgers() == {"dev: Customers"}
    assert shop.changes() == sent


def schedules(shop: Shell, tiktok: Emulator) -> None:
    sent = shop.changes()
    shop.follow(SCHEDULING, "A job and a schedule")
    shop.follow(SCHEDULING, "Runs that overlap")
    assert shop.changes() == sent

    # Another run has the audience.
    tiktok.advance(hours=48)
    shop.write_table("shop", 1, 1800)
    ledgers = LedgerCatalog(shop.folder / ".meltano" / TARGET / "dev", shop.folder)
    ((_, card),) = ledgers.cards()
    opened = ledgers.open(card)
    try:
        printed, exit_code = shop.run(f"meltano run tap-postgres {TARGET}")
    finally:
        opened.close()
    (message,) = re.findall(r"^Audience .*$", SCHEDULING.text, re.MULTILINE)
    assert message in printed
    assert exit_code == 1
    assert shop.changes() == sent
    printed, exit_code = shop.run("meltano schedule run customers-daily")
    assert "plan=APPEND read=101" in printed, "what the refused run has read comes again"
    assert shop.audiences() == {CUSTOMERS: digests(1, 1800)}


def the_other_commands(shop: Shell, tiktok: Emulator) -> None:
    """Run those commands of the definition that no page for users of Meltano shows."""
    tiktok.advance(hours=48)
    printed, exit_code = shop.run(f"echo {email(1800)} | meltano invoke {TARGET}:erase - --json 2>/dev/null")
    assert exit_code == 0, printed
    assert [one["outcome"] for one in json.loads(printed)["audiences"]] == ["removed"]
    assert shop.audiences() == {CUSTOMERS: digests(1, 1799)}
    printed, exit_code = shop.run(f"meltano invoke {TARGET}:copy-ledgers --to moved")
    assert exit_code == 0, printed
    ((_, card),) = LedgerCatalog(shop.folder / "moved", shop.folder).cards()
    assert (card.name, card.streams) == ("Customers", (STREAM,))
    printed, exit_code = shop.run(f"meltano invoke {TARGET}:forget {STREAM} --force")
    assert (exit_code, "was deleted from the ledger" in printed) == (0, True), printed
    printed, exit_code = shop.run(f"meltano invoke {TARGET}:connect --help")
    assert (exit_code, "--redirect-uri" in printed) == (0, True), printed
    invoked = {"emulator", *re.findall(rf"{TARGET}:([\w-]+)", " ".join(shop.ran))}
    assert invoked == set(loader(DEFINITION)["commands"])


TABLES = {"dev": ("shop_dev", 1, 1200), "staging": ("shop_staging", 2001, 3300), "prod": ("shop", 5001, 6400)}


@pytest.fixture
def three(shop: Shell, tmp_path: Path) -> Iterator[Shell]:
    """Give the page's project, with a table for each environment and an emulator with both ad accounts."""
    shell = Shell(tmp_path)
    installed = tmp_path / ".meltano" / "loaders"
    installed.mkdir(parents=True)
    (installed / TARGET).symlink_to(shop.folder / ".meltano" / "loaders" / TARGET)
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump(ENVIRONMENTS.project))
    (tmp_path / "output").mkdir()  # as `meltano init` does
    shell.write_tap()
    for database, first, last in TABLES.values():
        shell.write_table(database, first, last)
    accounts = [f"--advertiser-id={advertiser}" for advertiser in (ADVERTISER, OTHER_ADVERTISER)]
    with emulator(tmp_path / "emulator.log", *accounts) as shell.tiktok:
        # As `connect` leaves it, with the ad account of prod: it may divert no other environment.
        variables = {
            "PIP_URL": f"{ROOT}[emulator]",
            "API_URL": f"{shell.tiktok.url}/open_api/v1.3",
            "ACCESS_TOKEN": TOKEN,
            "ADVERTISER_ID": OTHER_ADVERTISER,
        }
        lines = (f"TARGET_TIKTOK_AUDIENCES_{name}={value}\n" for name, value in variables.items())
        (tmp_path / ".env").write_text("".join(lines))
        yield shell


def test_environments_keep_to_their_own_audiences(three: Shell) -> None:
    assert not list(meltano_schema().iter_errors(ENVIRONMENTS.project))

    def prepare(project: dict[str, Any]) -> None:
        (tap,) = project["plugins"]["extractors"]
        del tap["pip_url"]
        tap |= {"executable": "./tap", "capabilities": ["state"]}
        project["environments"].append({"name": "forgotten"})

    three.edit_project(prepare)
    printed, exit_code = three.run(f"meltano --environment=forgotten run tap-postgres {TARGET}")
    assert (exit_code, "`advertiser_id`" in printed) == (1, True), printed
    assert three.tiktok
    assert three.tiktok.requests() == []
    three.follow(ENVIRONMENTS, "Rehearse in dev")
    assert (three.audiences(), three.states(), three.ledgers()) == ({}, {}, set())

    three.follow(ENVIRONMENTS, "Run it")
    people = {name: digests(first, last) for name, (_, first, last) in TABLES.items()}
    everybody = {
        f"{ADVERTISER}/Customers (dev)": people["dev"],
        f"{ADVERTISER}/Customers (staging)": people["staging"],
        f"{OTHER_ADVERTISER}/Customers (prod)": people["prod"],
    }
    assert three.audiences() == everybody
    assert three.ledgers() == {f"{name}: Customers ({name})" for name in TABLES}
    states = three.states()
    for name, (_, _, last) in TABLES.items():
        bookmarks = states[f"{name}:tap-postgres-to-{TARGET}"]
        assert bookmarks[STREAM]["replication_key_value"] == last
        assert ours(bookmarks)["parts"] == {STREAM: len(people[name])}
        report = json.loads((three.folder / "output" / f"report-{name}.json").read_text())
        assert [entry["audience"] for entry in report["audiences"]] == [f"Customers ({name})"]

    def mistake(project: dict[str, Any]) -> None:
        """Let staging be set to the audience of prod, which it would make its own."""
        (target,) = project["plugins"]["loaders"]
        target["config"]["audiences"][0] |= {"audience_name": "Customers (prod)", "load_method": "overwrite"}
        project["environments"][1]["env"]["TIKTOK_AD_ACCOUNT"] = OTHER_ADVERTISER

    three.edit_project(mistake)
    three.tiktok.advance(hours=48)
    printed, exit_code = three.run(f"meltano --environment=staging run --full-refresh tap-postgres {TARGET}")
    assert (exit_code, "It was found by its name" in printed) == (1, True), printed
    assert three.audiences() == everybody
