"""The pages of the documentation, what they show, and a place to try it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import yaml

from support.emulator_client import ADVERTISER, TOKEN
from support.singer import stream_of
from support.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from support.emulator_client import Client

ROOT = Path(__file__).parents[2]


PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")]
)
_FENCE = re.compile(r"^( *)```(\S*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "
_MARK = "~~~ end of a command ~~~"
DEADLINE_S = 120


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Its commands, each with what it is shown to print; of a plain script that is nothing."""
        if self.language == "python":
            return [(f"python - <<'END'\n{self.text}END", "")]
        if self.language != "console":
            return [(self.text, "")]
        found = []
        for part in re.split(rf"^{re.escape(_PROMPT)}", self.text, flags=re.MULTILINE)[1:]:
            lines = part.splitlines(keepends=True)
            ends = next(n for n in range(1, len(lines) + 1) if _is_whole("".join(lines[:n])))
            found.append(("".join(lines[:ends]), "".join(lines[ends:])))
        return found


def _is_whole(command: str) -> bool:
    """Tell whether a command ends here: no quote is open, and no line goes on."""
    return not command.endswith("\\\n") and command.count("'") % 2 == 0


def blocks(page: str) -> Iterator[Block]:
    """Give the blocks of a page, in their order."""
    for fence in _FENCE.finditer((ROOT / page).read_text()):
        yield Block(page, fence[2], dedent(fence[3]))


def prose(page: str) -> str:
    """Give a page without its blocks."""
    return _FENCE.sub("", (ROOT / page).read_text())


@dataclass(frozen=True)
class Place:
    """A folder with all that pages take for granted: a configuration, a tap, a Meltano project, a local TikTok."""

    folder: Path
    tiktok: Client

    @classmethod
    def furnish(cls, folder: Path, tiktok: Client, page: str) -> Place:
        """Make it, with a stream of 1,500 people; a page that shows a loader of Meltano's gets that one."""
        folder.mkdir()
        config = {
            "access_token": TOKEN,
            "advertiser_id": ADVERTISER,
            "contract": "EMAIL_SHA256",
            "audience_name": "Customers",
            "api_url": tiktok.base,
            "ledger_path": "ledgers",
            "report_path": "report.json",
        }
        project = yaml.safe_load(_PROJECT)
        for block in blocks(page):
            if "executable:" in block.text:
                project["plugins"]["loaders"] = yaml.safe_load(block.text)["plugins"]["loaders"]
                del project["plugins"]["loaders"][0]["pip_url"]  # it is on the path
        variables = {"API_URL": tiktok.base, "ACCESS_TOKEN": TOKEN}
        files = {
            "target.json": json.dumps(config),
            "tap.json": "{}",
            "messages.jsonl": "".join(f"{json.dumps(message)}\n" for message in stream_of(1, 1500)),
            "meltano.yml": yaml.safe_dump(project),
            ".env": "".join(f"TARGET_TIKTOK_AUDIENCES_{name}={value}\n" for name, value in variables.items()),
        }
        programs = {  # Meltano takes PYTHONPATH from what it starts
            "target-tiktok-audiences": f'PYTHONPATH={ROOT} exec {sys.executable} -m target_tiktok_audiences "$@"',
            "tap-something": "cat messages.jsonl",
            "tap-postgres": "cat messages.jsonl",
        }
        for name, text in files.items():
            (folder / name).write_text(text)
        (folder / "bin").mkdir()
        for name, text in programs.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "bin" / name).chmod(0o755)
        return cls(folder, tiktok)

    def fill(self) -> None:
        """Let a first run fill the audience, and TikTok process it."""
        config = {**json.loads((self.folder / "target.json").read_text()), "ledger_path": str(self.folder / "ledgers")}
        first = Target(self.tiktok, self.folder, config).run(stream_of(1, 1500))
        assert first.exit_code == 0, first.log
        self.tiktok.advance(49)

    def audiences(self) -> list[str]:
        """Give the ids of the audiences that TikTok has."""
        return [audience["audience_id"] for audience in self.tiktok.control("audiences").json()]

    def play(self, commands: Sequence[str]) -> list[str]:
        """Run commands one after the other in one shell, and give what each has printed; all must succeed."""
        script = "".join(f"{command}\necho; echo '{_MARK}'\n" for command in commands)
        script = script.replace("ACCESS_TOKEN=...", f"ACCESS_TOKEN={TOKEN}")
        host = self.tiktok.url.removeprefix("http://")
        done = subprocess.run(
            ["bash", "-eu", "-c", script.replace("127.0.0.1:8765", host)],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        printed = done.stdout.replace(host, "127.0.0.1:8765").split(f"\n{_MARK}\n")[:-1]
        assert len(printed) == len(commands)
        return printed

    def _environment(self) -> dict[str, str]:
        foreign = ("MELTANO_ENVIRONMENT", "MELTANO_PROJECT_", "TARGET_TIKTOK_AUDIENCES_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        programs = [self.folder / "bin", ROOT / ".venv-meltano" / "bin", Path(sys.executable).parent]
        return inherited | {
            "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]),
            "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1"))),
            "NO_COLOR": "1",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        }


_PROJECT = """
default_environment: dev
environments: [{name: dev}]
plugins:
  extractors:
  - {name: tap-postgres, namespace: tap_postgres, executable: tap-postgres, capabilities: []}
  loaders:
  - name: target-tiktok-audiences
    namespace: target_tiktok_audiences
    executable: target-tiktok-audiences
    capabilities: [about, structured-logging]
    settings:
    - {name: access_token, sensitive: true}
    - {name: api_url}
    - {name: audience_id}
    - {name: load_method}
    - {name: max_removal_percent, kind: integer}
    commands: {audiences: audiences --config=ENV}
    config:
      advertiser_id: "7000000000000000001"
      contract: EMAIL_SHA256
      audience_name: Customers
      ledger_path: ledgers
      report_path: report.json
"""


def timeless(printed: str) -> str:
    """Let every time be that of the pages, TikTok's request ids one, and the port of the emulator its usual one."""
    times = {
        r"20\d\d-\d\d-\d\dT[\d:.]+": "2026-11-22T16:30:00",
        r"20\d\d-\d\d-\d\d \d\d:\d\d": "2026-11-22 16:30",
        r"20\d\d-\d\d-\d\d(?!T| \d\d:)": "2027-01-06",
        r"\b20\d{12}[0-9A-F]{20}\b": "20261122163000CA67BC2BEB02491AA097",
        r"127\.0\.0\.1:\d+ responds\. *": "127.0.0.1:8765 responds.",
        r"clock is \d+ s (ahead of|behind)": "clock is 0 s behind",
        r"│ for \d+ s\.": "│ for 0 s.",
    }
    for pattern, usual in times.items():
        printed = re.sub(pattern, usual, printed)
    return "".join(f"{re.sub(' +│$', ' │', line.rstrip())}\n" for line in printed.splitlines())


def agree(shown: str, printed: str) -> bool:
    """Tell whether a page shows what is printed; `...` stands for anything."""
    pattern = re.escape(timeless(shown).strip()).replace(re.escape("..."), ".*?")
    return re.fullmatch(pattern, timeless(printed).strip(), re.DOTALL) is not None
