"""The commands that the README gives to users of Meltano, in an empty project, as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from conftest import MARKER
from emulator_client import ADVERTISER, TOKEN
from singer import digests, people, schema

from docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from emulator_client import Client

pytestmark = pytest.mark.xdist_group("end to end")  # Meltano is heavy: not beside the other project

README = (ROOT / "README.md").read_text()
DEADLINE_S = 120
FOREIGN = ("MELTANO_ENVIRONMENT", "MELTANO_PROJECT_", "TARGET_TIKTOK_AUDIENCES_")
TAP = """
plugins:
  extractors:
  - name: tap-postgres
    namespace: tap_postgres
    executable: ./tap
    capabilities: []
"""


def commands() -> list[str]:
    """Give the README's commands, for this checkout and the emulator's token."""
    (block,) = (block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "meltano add" in block)
    lines = block.replace("/path/to/this/checkout", str(ROOT)).replace(" access_token ...", f" access_token {TOKEN}")
    assert f" advertiser_id {ADVERTISER}\n" in lines
    return [line.partition(" #")[0].rstrip() for line in lines.splitlines()]


def test_the_readmes_commands_take_an_empty_project_to_an_audience(tmp_path: Path, tiktok: Client) -> None:
    project = tmp_path / "project"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    environment |= {
        "PATH": f"{ROOT / '.venv-meltano' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1"))),
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "TARGET_TIKTOK_AUDIENCES_API_URL": tiktok.base,
    }

    def run(command: str, folder: Path = project) -> str:
        shell = ["bash", "-c", command]
        done = subprocess.run(
            shell, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        printed = done.stdout + done.stderr
        assert done.returncode == 0, f"$ {command}\n{printed}"
        assert "deprecated" not in printed
        return printed

    run("meltano init project", tmp_path)
    messages = [schema(), *people(1, 1500)]
    (project / "messages.jsonl").write_text("".join(f"{json.dumps(message)}\n" for message in messages))
    with (project / "meltano.yml").open("a") as file:
        file.write(TAP)
    (project / "tap").write_text("#!/bin/sh\ncat messages.jsonl\n")
    (project / "tap").chmod(0o755)
    printed = {}
    for command in commands():
        printed[command.partition("target-tiktok-audiences")[2]] = run(command)

    (audience,) = tiktok.control("audiences").json()
    assert sorted(tiktok.members(audience["audience_id"])) == digests(1, 1500)
    assert "TikTok and this machine" in printed[":check"]
    assert TOKEN not in (project / "meltano.yml").read_text()
    assert MARKER not in "".join(printed.values())
