"""The executable in environments other than that of the tests: what it sends and how it exits stay the same."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.emulated import members
from support.process import lines
from support.singer import digests, stream_of
from support.target import MARKER
from support.terminal import EXECUTABLE

if TYPE_CHECKING:
    from pathlib import Path

    from support.emulator_client import Client
    from support.target import Target


# Each has neither HOME nor TERM, nor anything else that is not named.
ENVIRONMENTS = {
    "bare": {},
    "home": {"HOME": "/nonexistent", "TERM": "dumb"},
    "unbuffered": {"PYTHONUNBUFFERED": "1"},
    "development mode": {"PYTHONDEVMODE": "1"},
    "ASCII streams": {"PYTHONIOENCODING": "ascii"},
    "Latin-1 streams": {"PYTHONIOENCODING": "latin-1:strict"},
    "C locale": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "west of the date line": {"TZ": "Etc/GMT+12"},
    "east of the date line": {"TZ": "Pacific/Kiritimati"},
}


BUFFERS = ("bare", "unbuffered")
"""Environments that differ in when standard streams fail."""
in_each_environment = pytest.mark.parametrize("variables", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


COMMAND = "explain --contract EMAIL_SHA256 jürgen@example.com"


def run_in_shell(command: str, variables: dict[str, str], folder: Path, given: str = "") -> tuple[int, str, str]:
    """Run the executable with no variables but the given ones, as a shell starts it."""
    script = f"set -o pipefail; {' '.join(EXECUTABLE)} {command}"
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(folder), **variables}
    done = subprocess.run(
        ["bash", "-c", script],
        input=given.encode(),
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment,
        timeout=60,
    )
    stdout, stderr = done.stdout.decode("latin-1"), done.stderr.decode("latin-1")
    assert MARKER not in stdout + stderr
    for noise in ("Traceback", "Exception ignored", "ResourceWarning"):
        assert noise not in stderr, stderr
    return done.returncode, stdout, stderr


@in_each_environment
def test_run_exit_code_and_members(target: Target, tiktok: Client, variables: dict[str, str]) -> None:
    config = target.folder / "config.json"
    config.write_text(json.dumps({**target.config, "audience_name": "Kundinnen und Käufer 🛍"}, ensure_ascii=False))
    good, bad = lines(stream_of(1, 1000)), lines(stream_of(1, 1000)[1:])

    code, stdout, stderr = run_in_shell(f"--config {config}", variables, target.folder, good)
    assert (code, members(tiktok)) == (0, digests(1, 1000)), stderr
    assert [audience["name"] for audience in tiktok.control("audiences").json()] == ["Kundinnen und Käufer 🛍"]
    assert json.loads(stdout)["bookmarks"]
    code, stdout, stderr = run_in_shell(f"--config {config}", variables, target.folder, bad)
    assert (code, stdout) == (1, "")
    assert "ERROR" in stderr.splitlines()[-1]


@pytest.mark.parametrize("variables", [ENVIRONMENTS[name] for name in BUFFERS], ids=BUFFERS)
def test_run_exit_code_when_streams_break(target: Target, variables: dict[str, str]) -> None:
    config = target.folder / "config.json"
    config.write_text(json.dumps(target.config))
    good, bad = lines(stream_of(1, 1000)), lines(stream_of(1, 1000)[1:])
    for given, expected in ((good, 0), (bad, 1)):
        code, _, stderr = run_in_shell(f"--config {config} 2>/dev/full", variables, target.folder, given)
        assert (code, stderr) == (expected, "")
    assert run_in_shell(f"--config {config} >/dev/full 2>/dev/full", variables, target.folder, good)[0] == 1
    assert run_in_shell(f"--config {config} >&- 2>&-", variables, target.folder, good)[0] == 1


@in_each_environment
def test_command_output(variables: dict[str, str], tmp_path: Path) -> None:
    code, stdout, _ = run_in_shell(COMMAND, variables, tmp_path)
    assert code == 0
    assert hashlib.sha256("jürgen@example.com".encode()).hexdigest() in stdout


@pytest.mark.parametrize("variables", [ENVIRONMENTS[name] for name in BUFFERS], ids=BUFFERS)
def test_command_exit_code_when_output_is_lost(variables: dict[str, str], tmp_path: Path) -> None:
    for redirection, expected, message in (
        (
            ">/dev/full",
            1,
            "Error: cannot write to standard output: No space left on device. Redirect it, and run again.\n",
        ),
        ("| true", 1, ""),
        (">/dev/full 2>/dev/full", 1, ""),
        ("2>/dev/full", 0, ""),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        ("<&-", 0, ""),
    ):
        code, _, stderr = run_in_shell(f"{COMMAND} {redirection}", variables, tmp_path)
        assert (code, stderr) == (expected, message), redirection


@pytest.mark.parametrize("command", ["--version", "--help", "--about", "contracts", "contracts EMAIL_SHA256 | true"])
def test_output_that_cannot_be_written_is_reported(command: str, tmp_path: Path) -> None:
    code, _, stderr = run_in_shell(command if "|" in command else f"{command} >/dev/full", {}, tmp_path)
    assert code == 1
    assert stderr.count("\n") == ("|" not in command)


def test_user_without_home_is_told_to_set_ledger_path(tmp_path: Path) -> None:
    """A container may run under a user id that has no account, and so no home folder."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"access_token": "x", "advertiser_id": "7", "contract": "EMAIL_SHA256"}))
    (tmp_path / "sitecustomize.py").write_text("import pwd\ndef getpwuid(_): raise KeyError\npwd.getpwuid = getpwuid\n")
    for command in ("", "history "):
        code, _, stderr = run_in_shell(f"{command}--config {config}", {"PYTHONPATH": str(tmp_path)}, tmp_path)
        assert code == (2 if command else 1)
        assert "`ledger_path` is missing, and this user has no home folder" in stderr.splitlines()[-1]
