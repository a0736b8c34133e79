"""docs/reference/commands.md shows what the commands print; `TEST_WRITE=1` writes that anew."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import TYPE_CHECKING

import click
import pytest
import yaml
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER, TOKEN
from support.evidence import facts
from support.pages import timeless
from support.singer import stream_of
from support.terminal import typed

from docs import ROOT
from target_tiktok_audiences.cli.diagnosis import diagnose
from target_tiktok_audiences.cli.main import COMMANDS
from target_tiktok_audiences.sync.overview import State

if TYPE_CHECKING:
    from pathlib import Path

    from support.emulator_client import Client
    from support.target import Target

PAGE = ROOT / "docs/reference/commands.md"
DOCS = PAGE.read_text()
EXAMPLE = re.compile(r"(<!-- example: (\S+) -->\n```console\n\$ target-tiktok-audiences (.*)\n)((?:.*\n)*?)```")
EXAMPLES = {found[2]: found for found in EXAMPLE.finditer(DOCS)}


@pytest.fixture
def shown(target: Target, tiktok: Client) -> Path:
    """Make the world that the page shows: an audience of ours with a difference that waits, and others."""
    shop = {"advertiser_id": ADVERTISER, "name": "Shop", "timezone": "America/New_York"}
    other = {"advertiser_id": OTHER_ADVERTISER, "name": "Shop Germany", "country": "DE", "currency": "EUR"}
    tiktok.control("advertisers", [shop, {**other, "timezone": "Europe/Berlin"}])
    tiktok.seed(name="Visitors", audience_type="Website Audience", random_members=8000)
    tiktok.seed(name="Win back", random_members=2500, created_days_ago=320, retention_in_days=365)
    target.config.update(audience_name="Customers", app_id="emulator-app", app_secret="emulator-secret")
    target.run(stream_of(1, 1500))
    target.run(stream_of(1, 1700))
    config = {**target.config, "access_token": TOKEN, "ledger_path": "ledgers"}
    (target.folder / "config.json").write_text(json.dumps(config))
    return target.folder


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_shows_what_is_printed(name: str, shown: Path) -> None:
    ended = typed(*shlex.split(EXAMPLES[name][3]), folder=shown)
    assert ended.exit_code == 0, ended.stdout
    if os.environ.get("TEST_WRITE"):
        now = PAGE.read_text()
        PAGE.write_text(EXAMPLE.sub(lambda f: f"{f[1]}{ended.stdout}```" if f[2] == name else f[0], now))
    else:
        assert timeless(ended.stdout) == timeless(EXAMPLES[name][4])


def test_every_check_state_and_command_is_on_the_page() -> None:
    for check in {finding.check for finding in diagnose(facts())}:
        assert f"`{check}`" in DOCS
    for state in State:
        assert f"| `{state.value}` |" in DOCS


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_helps(command: click.Command) -> None:
    assert command.help
    assert len(command.help) > 20
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("path", ["meltano.yml", "examples/postgres-to-tiktok/meltano.yml"])
def test_meltano_has_every_command_with_its_configuration(path: str) -> None:
    (plugin,) = yaml.safe_load((ROOT / path).read_text())["plugins"]["loaders"]
    for command in COMMANDS:
        if command.name == "emulator" and command.name not in plugin["commands"]:  # its extra may not be there
            continue
        with_config = any("--config" in parameter.opts for parameter in command.params)
        found = plugin["commands"][command.name]
        kept = " --save=meltano" if command.name == "connect" else ""  # there is no terminal to ask in
        assert found["args"] == (f"{command.name} --config=ENV{kept}" if with_config else command.name)
        assert found["description"]
