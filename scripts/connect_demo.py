"""`scripts/demo --connect`: connect an app and store its token, against the emulator, with or without a browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import webbrowser
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from playground import PATIENCE, TARGET, emulator
from rich.console import Console

if TYPE_CHECKING:
    from playground import Emulator

ADVERTISERS = [
    {"advertiser_id": "7000000000000000001", "name": "Harbour Books", "country": "GB"},
    {"advertiser_id": "7000000000000000002", "name": "Harbour Books Deutschland", "country": "DE"},
    {"advertiser_id": "7000000000000000003", "name": "Old Pier Records", "country": "FR", "status": "STATUS_DISABLE"},
]
CHOICE = ADVERTISERS[1]["advertiser_id"]
out = Console(highlight=False, width=None if sys.stdout.isatty() else 110)


def main() -> int:
    """Run the demo and return the exit code."""
    out.print("[bold]An app, an approval, an access token[/]\nAll on this machine: the command and a TikTok emulator.")
    with tempfile.TemporaryDirectory(prefix="connect-") as name:
        folder = Path(name)
        with emulator(folder / "emulator.log") as tiktok:
            tiktok.describe_advertisers(ADVERTISERS)
            settings = {
                "app_id": "emulator-app",
                "app_secret": "emulator-secret",
                "api_url": f"{tiktok.url}/open_api/v1.3",
            }
            (folder / "app.json").write_text(json.dumps(settings))
            command = [str(Path(sys.executable).with_name(TARGET)), "connect", "--config", str(folder / "app.json")]
            command += ["--save", f"env:{folder / '.env'}", "--port", "0"]
            out.print(f"\n[dim]$ {TARGET} connect --config app.json --save env[/]", soft_wrap=True)
            failed = _by_hand(command) if _has_browser() else _played(command)
            if failed:
                return failed
            _show_what_is_kept(folder / ".env", tiktok)
    out.print("\nAll processes are stopped, and the token was deleted with its folder.")
    return 0


def _has_browser() -> bool:
    """Return whether a user at a terminal with a browser can approve."""
    if not sys.stdin.isatty() or (sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _by_hand(command: list[str]) -> int:
    return subprocess.run(command, check=False).returncode  # noqa: S603


def _played(command: list[str]) -> int:
    """Simulate the user and the browser, and print what they see."""
    environment = {**os.environ, "BROWSER": "true"}
    process = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=1, text=True, env=environment
    )
    with process:
        try:
            _play(process)
            return process.wait(PATIENCE)
        finally:
            if process.poll() is None:
                process.terminate()


def _play(process: subprocess.Popen[str]) -> None:
    url = ""
    assert process.stderr  # noqa: S101 - asked for above
    while not url:
        line = process.stderr.readline()
        if not line:
            return
        _show("terminal", line)
        url = line.strip() if line.startswith("http") else ""
    out.print("\n  No browser is available, so this part is simulated: TikTok asks, and the user approves.")
    asked = requests.get(url, timeout=PATIENCE)
    _show("browser", *re.findall(r"<(?:h1|li)>(.*?)</", asked.text), "[Approve]  [Deny]")
    answer = requests.post(url, data={"decision": "approve"}, timeout=PATIENCE)
    while "TikTok has responded" in answer.text:
        answer = requests.get(answer.url, timeout=PATIENCE)
    out.print("\n  TikTok redirected the browser to the command's local page.")
    options = re.findall(r"<option value=.*?>(.*?)</option>", answer.text)
    _show("browser", *re.findall(r"<h1>(.*?)</h1>", answer.text), *options, "[Use this ad account]")
    token = re.findall(r'name="token" value="(.*?)"', answer.text)[0]
    done = requests.post(answer.url, data={"token": token, "advertiser_id": CHOICE}, timeout=PATIENCE)
    out.print("\n  The user chose the second account.")
    _show("browser", *re.findall(r"<h1>(.*?)</h1>", done.text), *re.findall(r"</dl><p>(.*?)</p>", done.text))
    _show("terminal", *process.stderr)


def _show(where: str, *lines: str) -> None:
    for line in filter(None, map(str.strip, lines)):
        out.print(f"  [dim]{where:>8} │[/] ", end="")
        out.print(unescape(line), markup=False, soft_wrap=True)


def _show_what_is_kept(file: Path, tiktok: Emulator) -> None:
    kept = dict(line.split("=", 1) for line in file.read_text().splitlines())
    token = kept[f"{_PREFIX}ACCESS_TOKEN"]
    out.print(f"\n  In .env, mode {file.stat().st_mode & 0o777:o}:")
    _show("", *(f"{name}={'*' * 12 if value == token else value}" for name, value in kept.items()))
    user = requests.get(f"{tiktok.url}/open_api/v1.3/user/info/", headers={"Access-Token": token}, timeout=PATIENCE)
    out.print(
        "  [green]✓[/] TikTok accepts the token" if user.json()["code"] == 0 else "  [red]✗[/] TikTok rejects the token"
    )


_PREFIX = "TARGET_TIKTOK_AUDIENCES_"
