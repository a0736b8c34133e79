"""What the pages show is so: commands run, configurations fit, reports have the fields that are told."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from singer_sdk.plugin_base import JSONSchemaValidator
from support.emulator_client import ADVERTISER, TOKEN
from support.pages import PAGES, ROOT, Block, Place, agree, blocks, prose
from support.singer import digests, people, record, schema, state, stream_of
from support.target import MARKER

from docs import about
from target_tiktok_audiences.cli.main import COMMANDS
from target_tiktok_audiences.config import validation
from target_tiktok_audiences.config.settings import Settings
from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.contracts.rejection import Rejection
from target_tiktok_audiences.sync import state as entry
from target_tiktok_audiences.sync.plan import Action, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.emulator_client import Client
    from support.target import Target

PLAYED = {
    ("README.md", "scripts/demo"): "test_demo.py::test_every_act_comes_true",
    ("README.md", "meltano add"): "test_meltano.py::test_the_readmes_commands_are_those_of_the_page",
    ("README.md", "scripts/test"): "test_workflows.py::test_the_readmes_tests_are_part_of_what_must_hold",
    ("README.md", "pip install"): "test_packaging.py::test_it_fills_an_audience_without_extras",
    ("README.md", "connect --config"): "test_connect.py::test_a_meltano_project_keeps_it",
    ("docs/how-to/connect.md", "connect --config"): "test_connect.py::test_the_whole_way",
    ("docs/how-to/erase.md", "erase --config"): "test_erase.py::test_who_is_erased_leaves_now_and_never_comes_back",
    ("docs/how-to/environments.md", ""): "test_meltano.py::test_environments_keep_to_their_own_audiences",
    ("docs/how-to/first-audience.md", ""): "test_meltano.py::test_the_pages_lead_from_an_empty_folder_to_a_schedule",
    ("docs/how-to/meltano-by-hand.md", "config test"): "test_end_to_end.py::test_meltano_can_test_the_credentials",
    ("docs/how-to/rotate-tokens.md", "--save meltano"): "test_connect.py::test_a_meltano_project_keeps_it",
    (
        "docs/how-to/rotate-tokens.md",
        ":check",
    ): "test_meltano.py::test_the_pages_lead_from_an_empty_folder_to_a_schedule",
    ("docs/how-to/rotate-tokens.md", "--print"): "test_connect.py::test_the_token_is_printed_once_and_alone",
    ("docs/how-to/rotate-tokens.md", "--save env:"): "test_connect.py::test_the_whole_way",
    ("docs/how-to/scheduling.md", ""): "test_meltano.py::test_the_pages_lead_from_an_empty_folder_to_a_schedule",
    ("docs/how-to/state.md", ""): "test_meltano.py::test_the_pages_lead_from_an_empty_folder_to_a_schedule",
    ("docs/reference/commands.md", "$ target-"): "test_commands_docs.py::test_the_page_shows_what_is_printed",
    (
        "docs/reference/emulator.md",
        "audiences emulator\n",
    ): "test_emulator_server.py::test_the_command_says_where_it_listens",
    ("docs/reference/emulator.md", "test_my_pipeline"): "test_emulator_docs.py::test_the_example_in_python",
    ("examples/csv-to-phone/README.md", ""): "test_examples.py::test_who_leaves_the_file_leaves_the_audience",
    (
        "examples/several-advertisers/README.md",
        "",
    ): "test_examples.py::test_one_table_fills_three_advertisers",
    ("examples/warehouse/README.md", ""): "test_examples.py::test_what_warehouses_send_fills_the_audiences",
    ("examples/postgres-to-tiktok/README.md", "meltano --"): "test_end_to_end.py::test_a_full_refresh_creates_nothing",
    ("examples/postgres-to-tiktok/README.md", "_HOST="): "test_end_to_end.py::test_every_row_arrives_and_a_second_run",
    ("examples/postgres-to-tiktok/README.md", "--port"): "test_emulator_server.py::test_the_command_says_where_it",
    ("docs/reference/taps.md", "select pg_create"): "test_taps.py::test_a_tap_of_postgresql",
    ("examples/spark/README.md", "spark-submit"): "test_spark.py::test_spark_makes_the_digests_that_records_make",
}
"""Blocks that are tested elsewhere: the page and words of the block, and the test. All others are tested here."""
COMMAND = re.compile(r"(?:\$|curl|meltano|scripts/\w+|target-tiktok-audiences) [a-z-]")
TAPS = {"extractors"}
MELTANO = {"plugins", "environments", "default_environment", "jobs", "schedules", "state_backend"}


def is_ours(block: Block) -> bool:
    return not any(page == block.page and words in block.text for page, words in PLAYED)


def ours(page: str, *languages: str) -> list[Block]:
    """Give the blocks of a page in these languages that are tested here."""
    return [block for block in blocks(page) if block.language in languages and is_ours(block)]


def typed(page: str) -> list[tuple[str, str]]:
    """Give what is typed on a page and tested here, each command with what it is shown to print."""
    return [command for block in ours(page, "sh", "console", "python") for command in block.commands]


HEAVY = [pytest.mark.xdist_group("end to end")]  # Meltano is heavy: not beside the other projects
ALL = [block for page in PAGES for block in blocks(page)]
TYPED = [
    pytest.param(page, marks=HEAVY if any("meltano" in command for command, _ in typed(page)) else [])
    for page in PAGES
    if typed(page)
]


def test_every_block_is_tested_and_every_test_is_there() -> None:
    assert {block.language for block in ALL} <= {"sh", "console", "python", "yaml", "json", "jsonl", "sql", ""}
    for block in ALL:
        assert block.language != "sql" or not is_ours(block), block
        assert block.language or not (is_ours(block) and COMMAND.search(block.text)), block
    for page in PAGES:
        assert not re.findall(rf"^ +{COMMAND.pattern}", prose(page), re.MULTILINE), f"{page}: fence it, as sh"
    for (page, words), test in PLAYED.items():
        assert any(block.page == page and words in block.text for block in ALL), f"{page}: {words} is not there"
        path, _, name = test.partition("::")
        assert f"def {name}" in next((ROOT / "tests").rglob(path)).read_text(), test


@pytest.mark.parametrize("page", TYPED)
def test_what_is_typed_does_what_is_shown(page: str, tmp_path: Path, tiktok: Client) -> None:
    if any(command.startswith("curl") for command, _ in typed(page)) and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    place = Place.furnish(tmp_path / "place", tiktok, page)
    if ours(page, "sh"):
        place.fill()
    printed = place.play([command for command, _ in typed(page)])
    assert MARKER not in "".join(printed)
    for (command, shown), now in zip(typed(page), printed, strict=True):
        if shown and not agree(shown, now):
            assert os.environ.get("TEST_WRITE"), f"{page}\n$ {command}{shown}\nbut now it prints:\n{now}"
            text = (ROOT / page).read_text()
            (ROOT / page).write_text(text.replace(command + shown, f"{command}{now.rstrip()}\n"))
    if ours(page, "sh"):
        assert all(tiktok.members(audience) == digests(1, 1500) for audience in place.audiences())


# --- Configurations, states and reports that pages show ---


def check_settings(config: dict[str, Any]) -> None:
    """Fail unless this is a configuration of ours, or a part of one."""
    properties = about()["settings"]["properties"]
    assert config.keys() <= properties.keys()
    for feed in config.get("audiences", []):
        assert feed.keys() <= properties["audiences"]["items"]["properties"].keys()
    whole = {"access_token": TOKEN, "advertiser_id": ADVERTISER, "contract": "EMAIL_SHA256", **config}
    assert validation.schema_errors(JSONSchemaValidator(about()["settings"]), whole) == []
    Settings.from_config(whole)


def check_plugin(plugin: dict[str, Any]) -> None:
    """Fail unless a loader of Meltano's has settings and commands of ours."""
    assert plugin["name"].startswith("target-tiktok-audiences")
    schemas = about()["settings"]["properties"]
    for setting in plugin.get("settings", []):
        assert setting.get("sensitive", False) == schemas[setting["name"]].get("secret", False)
    assert set(plugin.get("capabilities", [])) <= set(about()["capabilities"])
    check_commands(plugin.get("commands", {}))
    check_settings(plugin.get("config", {}))


def check_commands(commands: dict[str, str]) -> None:
    parsers = {command.name: command for command in COMMANDS}
    for name, line in commands.items():
        first, *arguments = line.split()
        assert first == name
        command = parsers[name]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {argument.partition("=")[0] for argument in arguments} <= known


def loaders(project: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from project.get("plugins", {}).get("loaders", [])
    for environment in project.get("environments", []):
        yield from environment.get("config", {}).get("plugins", {}).get("loaders", [])


def check_yaml(text: str) -> None:
    shown = yaml.safe_load(text)
    if isinstance(shown, list) or shown.keys() == {"metadata"}:
        taps = shown if isinstance(shown, list) else [{"name": "tap-something", **shown}]
        shown = {"plugins": {"extractors": taps}}
    if shown.keys() <= MELTANO:
        (path,) = (ROOT / ".venv-meltano").glob("lib/python*/site-packages/meltano/schemas/meltano.schema.json")
        for plugin in loaders(shown):
            check_plugin(plugin)
        jsonschema.validate(shown, json.loads(path.read_text()))
    elif shown.keys() == {"commands"}:
        check_commands(shown["commands"])
    elif "apiVersion" not in shown and shown.keys() != TAPS:  # Kubernetes sets us up by variables, see below
        check_settings(shown["config"] if shown.keys() == {"config"} else shown)


def check_json(shown: dict[str, Any]) -> None:
    if shown.keys() == CONTRACTS.keys():
        assert shown == {name: contract.json_schema() for name, contract in CONTRACTS.items()}
    elif "bookmarks" in shown:
        assert entry.read(shown)
        assert entry.write({"bookmarks": {}}, entry.read(shown)) == shown
    else:
        check_settings(shown)


def check_reject(shown: dict[str, Any]) -> None:
    assert shown.keys() <= {"line", "row", "stream", "contract", "reason", "key"}
    assert shown["contract"] in CONTRACTS
    assert shown["reason"] in {reason.value for reason in Rejection}


@pytest.mark.parametrize("page", [page for page in PAGES if ours(page, "yaml", "json", "jsonl")])
def test_what_is_configured_can_be(page: str) -> None:
    for block in ours(page, "yaml"):
        check_yaml(block.text)
    for block in ours(page, "json"):
        check_json(json.loads(block.text))
    for block in ours(page, "jsonl"):
        for line in block.text.splitlines():
            check_reject(json.loads(line))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_exists(page: str) -> None:
    named = re.findall(r"(?<!set )(?<!to-)target-tiktok-audiences[ :]([a-z][a-z-]*)", (ROOT / page).read_text())
    assert set(named) - {"keeps", "and"} <= {command.name for command in COMMANDS}


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_that_is_named_is_a_setting(page: str) -> None:
    named = re.findall(r"TARGET_TIKTOK_AUDIENCES_([A-Z]\w*)", (ROOT / page).read_text())
    assert {name.lower() for name in named} - {"pip_url", "loglevel"} <= about()["settings"]["properties"].keys()


# --- Reports ---

REPORTS = (ROOT / "docs/reference/reports.md").read_text()


def told(heading: str) -> set[str]:
    """Give the names in the first column of the table with this heading."""
    (table,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n\| ---.*\n((?:\|.*\n)+)", REPORTS, re.MULTILINE)
    return {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_field_of_the_reports_is_told(target: Target, tiktok: Client) -> None:
    rejects = target.folder / "rejects.jsonl"
    odd = [record(2001, email="nobody"), record(2002, email=None), record(2003, email=5)]
    tiktok.seed(name="customers", random_members=1500)
    outcome = target.run(
        [schema(), *people(1, 1500), *odd, state(), *stream_of(1, 9, "strangers")],
        audiences=[{"stream": "customers"}],
        on_unmatched_stream="skip",
        rejects_path=str(rejects),
        rejects_key=True,
    )
    report, audience = outcome.report, outcome.audience
    assert report.keys() == {"run", "audiences", "unmatched"}
    assert told("field of `run`") == report["run"].keys()
    assert told("field of each of `audiences`") == audience.keys()
    assert told("field of each of `books`") == audience["books"][0].keys() == report["unmatched"][0].keys()
    assert told("field of each of `parts`") == audience["parts"][0].keys()
    written = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert told("field") == {"row"} | set().union(*written)
    assert [reject["reason"] for reject in written] == ["email_syntax", "not_a_string"]
    for stage in audience["seconds"]:
        assert f"`{stage}`" in REPORTS
    assert outcome.state
    shown = next(json.loads(block.text) for block in blocks("docs/reference/reports.md") if block.language == "json")
    (ours_now,), (ours_shown,) = (
        found["bookmarks"][entry.KEY]["audiences"].values() for found in (outcome.state, shown)
    )
    assert ours_now.keys() == ours_shown.keys()


def test_every_word_of_a_plan_is_told() -> None:
    for word in [*Action, *Status]:
        assert f"`{word.value}`" in REPORTS or word is Action.DELETE, word
    plans = Path(ROOT / "target_tiktok_audiences/sync/plan.py").read_text()
    reasons = set(re.findall(r'(?:Action\.\w+,|_hold\()\s*"(\w+)"', plans))
    assert len(reasons) > 9
    assert told("`reason`") == reasons
