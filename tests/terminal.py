"""The executable as a user sees it: on a terminal of 80 columns, and without one."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EXECUTABLE = [sys.executable, "-m", "target_tiktok_audiences"]
COLUMNS = 80
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


def typed(*arguments: str, folder: Path, keys: str = "", **variables: str) -> Ended:
    """Run a command on a terminal; `keys` are typed when it has asked for something, with a colon."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [*EXECUTABLE, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environment(folder, **variables),
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while block := _read(ours):
        shown += block
        if keys and shown.rstrip().endswith(b":"):
            os.write(ours, keys.encode())
            keys = ""
    os.close(ours)
    return Ended(process.wait(60), _STYLE.sub("", shown.decode()).replace("\r\n", "\n"))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError as error:  # how Linux tells that nobody has the other end any more
        if error.errno != errno.EIO:
            raise
        return b""
