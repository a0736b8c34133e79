"""`connect` as a process of its own, and a user who approves at the emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import requests

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator

    from support.emulator_client import Client

COMMAND = [sys.executable, "-m", "target_tiktok_audiences", "connect"]
SECRET = "emulator-5ecretOfTheApp"
APP = {"app_secret": SECRET}
"""What an emulator must be started with."""
TOKEN_LINE = "TARGET_TIKTOK_AUDIENCES_ACCESS_TOKEN="
PATIENCE_S = 30


def configuration(tiktok: Client, folder: Path, **settings: Any) -> str:
    path = folder / "app.json"
    path.write_text(json.dumps({"app_id": "emulator-app", "app_secret": SECRET, "api_url": tiktok.base, **settings}))
    return str(path)


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Give one in which no browser opens: `true` takes its place, and does nothing."""
    return {**os.environ, "BROWSER": "true", "TMPDIR": str(folder), "TERM": "dumb", **variables}


def approve(url: str, decision: str = "approve", scopes: str | None = None) -> str:
    """Decide on TikTok's page; give the address to which it sends the browser back."""
    form = {"decision": decision} | ({} if scopes is None else {"scopes": scopes})
    answer = requests.post(url, data=form, allow_redirects=False, timeout=10)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def code_in(redirect: str) -> str:
    return parse_qs(urlsplit(redirect).query)["auth_code"][0]


@dataclass
class Running:
    """A `connect` that waits for its user."""

    process: subprocess.Popen[bytes]
    stderr: str = ""
    stdout: str = ""
    seen: list[str] = field(default_factory=list)
    """Command lines of it and of what it has started."""

    def url(self) -> str:
        """Read until the address of TikTok's page."""
        assert self.process.stderr
        while True:
            line = self.process.stderr.readline().decode()
            assert line, self.stderr
            self.stderr += line
            if line.startswith("http"):
                self._look_at_processes()
                return line.strip()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        stdout, stderr = self.process.communicate(timeout=PATIENCE_S)
        self.stdout += stdout.decode()
        self.stderr += stderr.decode()
        return self.process.returncode

    @property
    def last_line(self) -> str:
        return self.stderr.splitlines()[-1]

    def _look_at_processes(self) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                if str(self.process.pid) in {process.name, parent}:
                    self.seen.append((process / "cmdline").read_text())


@contextmanager
def connecting(folder: Path, config: str, *arguments: str, **variables: str) -> Iterator[Running]:
    """Start `connect` on a free port, and let nothing of it live longer than the block."""
    process = subprocess.Popen(
        [*COMMAND, "--config", config, "--port", "0", *arguments],
        bufsize=0,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(folder, **variables),
    )
    with process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()
