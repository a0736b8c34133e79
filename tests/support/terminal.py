"""The executable as a user sees it: on a terminal of 80 columns, and without one."""

from __future__ import annotations

import codecs
import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXECUTABLE = [sys.executable, "-m", "target_tiktok_audiences"]
COLUMNS = 80
PATIENCE_S = 30
_STYLE = re.compile("\x1b\\[[0-9;]*m")


@dataclass(frozen=True)
class Ended:
    """What a command has printed, and its exit code."""

    exit_code: int
    stdout: str
    stderr: str = ""
    """On a terminal both are one."""

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    @property
    def words(self) -> str:
        """All words in their order, without the frames of tables; where a table folds, cells are mixed."""
        return " ".join(self.stdout.replace("│", " ").split())


def environment(folder: Path, **variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    return {**inherited, "TMPDIR": str(folder), "NO_COLOR": "1", "TERM": "xterm", **variables}


def piped(*arguments: str, folder: Path, given: str = "", **variables: str) -> Ended:
    """Run a command without a terminal."""
    done = subprocess.run(
        [*EXECUTABLE, *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(folder, **variables),
        timeout=60,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@dataclass
class Terminal:
    """What a user sees and types, at 80 columns."""

    process: subprocess.Popen[bytes]
    keyboard: int
    screen: str = ""
    decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))
    marks: list[int] = field(default_factory=lambda: [0])

    def expect(self, text: str) -> str:
        """Read on until a text shows; give what came since the last one."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.screen[self.marks[-1] :]:
            assert self._read(max(0, deadline - time.monotonic())), self.screen
        shown = self.screen[self.marks[-1] :]
        self.marks.append(self.screen.index(text, self.marks[-1]) + len(text))
        return shown

    def type(self, line: str) -> None:
        os.write(self.keyboard, f"{line}\n".encode())

    def ended(self) -> int:
        """Read to the end; give the exit code."""
        while self._read(PATIENCE_S):
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self, seconds: float) -> bool:
        """Read what has come; tell whether the other end still has the terminal."""
        assert select.select([self.keyboard], [], [], seconds)[0], self.screen
        try:
            self.screen += self.decoder.decode(block := os.read(self.keyboard, 1 << 16))
        except OSError as error:  # how Linux tells that nobody has the other end any more
            if error.errno != errno.EIO:
                raise
            return False
        return bool(block)


@contextmanager
def on_terminal(*command: str, folder: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    """Run a command on a terminal of 80 columns, and let nothing of it live longer than the block."""
    keyboard, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command, stdin=screen, stdout=screen, stderr=screen, cwd=folder, env=environment, start_new_session=True
    )
    os.close(screen)
    with process:
        try:
            yield Terminal(process, keyboard)
        finally:
            os.close(keyboard)
            if process.poll() is None:
                process.kill()


def typed(*arguments: str, folder: Path, keys: str = "", **variables: str) -> Ended:
    """Run a command on a terminal; `keys` are typed when it asks for something, with a colon."""
    with on_terminal(*EXECUTABLE, *arguments, folder=folder, environment=environment(folder, **variables)) as user:
        if keys:
            user.expect(": ")
            user.type(keys)
        exit_code = user.ended()
    return Ended(exit_code, _STYLE.sub("", user.screen).replace("\r\n", "\n"))
