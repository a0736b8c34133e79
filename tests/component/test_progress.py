"""Progress: a bar on a terminal, log lines elsewhere, and neither in the way of anything."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from support.singer import people, record, schema, state, stream_of
from support.target import MARKER

from target_tiktok_audiences.reporting.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.emulator_client import Client
    from support.target import Target

COLUMNS = 80


class OnATerminal:
    """The target in a process of its own whose standard error, and output on demand, is a terminal of 80 columns."""

    def __init__(self, target: Target, *, stdout: bool = False) -> None:
        config = target.folder / "config.json"
        config.write_text(json.dumps(target.config))
        self.screen = b""
        self._terminal, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, COLUMNS))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "target_tiktok_audiences", "--config", str(config)],
            stdin=subprocess.PIPE,
            stdout=theirs if stdout else subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "NO_COLOR": ""},
        )
        os.close(theirs)
        os.set_blocking(self._terminal, False)

    def give(self, messages: list[dict[str, Any]]) -> None:
        assert self.process.stdin
        self.process.stdin.write("".join(f"{json.dumps(message)}\n" for message in messages).encode())
        self.process.stdin.flush()

    def look(self) -> str:
        """Give all that was written to the terminal so far."""
        try:
            while piece := os.read(self._terminal, 1 << 16):
                self.screen += piece
        except OSError:  # nothing more for now, or the other side is closed
            pass
        return self.screen.decode()

    def end(self) -> tuple[int, str, str]:
        """Let it end; give its exit code, standard output and what the terminal has seen."""
        assert self.process.stdin
        self.process.stdin.close()
        os.set_blocking(self._terminal, True)
        self.look()
        stdout = ""
        if self.process.stdout:
            stdout = self.process.stdout.read().decode()
            self.process.stdout.close()
        exit_code = self.process.wait(30)
        os.close(self._terminal)
        return exit_code, stdout, self.screen.decode()


@pytest.fixture
def terminal(target: Target) -> Iterator[OnATerminal]:
    target.config["max_reject_percent"] = 100
    started = OnATerminal(target)
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.end()


def show_bar(terminal: OnATerminal) -> int:
    """Give records until the bar shows how many; give their number."""
    terminal.give([schema(), *people(1, 1000)])
    number = 1000
    while not re.search(r"Read [1-9][0-9,]* records", terminal.look()):
        terminal.give([record(number := number + 1, email="nobody")])
    return number


def test_a_bar_on_a_terminal(terminal: OnATerminal, tiktok: Client) -> None:
    number = show_bar(terminal)
    terminal.give([*people(2000, 3000), state(number)])
    exit_code, stdout, screen = terminal.end()
    assert exit_code == 0, screen
    assert [json.loads(line)["bookmarks"]["customers"] for line in stdout.splitlines()]
    assert "Read" not in stdout
    assert MARKER not in screen
    assert screen.count("\x1b[?25l") == screen.count("\x1b[?25h") == 1, "the cursor is back"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
    assert all(len(line) <= COLUMNS for line in re.split(r"[\r\n]+", plain) if line.startswith("Read"))
    (told,) = re.findall(r'Audience "customers" \(.*?request_ids=[^\r\n]*', plain)
    assert "delivered=2001" in told, "a log line is one line, however long"
    assert "Audience" in plain[plain.index(told) + len(told) :], "the table comes last"
    assert tiktok.control("audiences").json()[0]["rows"] == 2001


def test_the_bar_is_gone_before_state_comes_to_the_same_terminal(target: Target) -> None:
    terminal = OnATerminal(target, stdout=True)
    number = show_bar(terminal)
    terminal.give([*people(2000, number + 3000), state(number)])
    exit_code, _, screen = terminal.end()
    assert exit_code == 0, screen
    assert screen.count("\x1b[?25h") == 1
    assert screen.index("\x1b[?25h") < screen.index('{"bookmarks"')


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(terminal: OnATerminal, tiktok: Client, number: int) -> None:
    show_bar(terminal)
    terminal.process.send_signal(number)
    assert terminal.process.wait(10) == 128 + number
    exit_code, stdout, screen = terminal.end()
    assert (exit_code, stdout) == (128 + number, "")
    assert "Stopped by a signal" in screen
    assert screen.endswith("\n")
    assert screen.count("\x1b[?25l") == screen.count("\x1b[?25h")
    assert tiktok.control("audiences").json() == []


def test_log_lines_elsewhere(target: Target) -> None:
    with mock.patch.multiple(Progress, every_s=0, first_after_s=0):
        outcome = target.run([schema(), record(0, email="nobody"), *people(1, 1100), state()])
    assert "Read 1,101 records, 1 rejected" in outcome.log
    assert 'Audience "customers": comparing its people' in outcome.log
    assert re.search(r"sent [0-9,]+ of 7[12],\d{3} bytes of file 1 of 1", outcome.log)
    assert "\x1b" not in outcome.log


def test_not_before_half_a_minute(target: Target) -> None:
    outcome = target.run(stream_of(1, 1100))
    assert "Read 1," not in outcome.log
    assert "uploading file 1 of 1 (71,500 bytes)" in outcome.log


def test_without_a_terminal_nothing_loads_rich(target: Target) -> None:
    config = target.folder / "config.json"
    config.write_text(json.dumps({**target.config, "dry_run": True}))
    program = (
        "import sys; from target_tiktok_audiences.cli import main\ntry: main()\nfinally: print('rich' in sys.modules)"
    )
    given = "".join(f"{json.dumps(message)}\n" for message in stream_of(1, 1100))
    ended = subprocess.run(
        [sys.executable, "-c", program, "--config", str(config)],
        input=given, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (0, "False\n"), ended.stderr
