"""A run of the target in a process of its own, to which anything may happen."""

from __future__ import annotations

import io
import json
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import wait
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from unittest import mock

from singer_sdk.plugin_base import _ConfigInput

from support.source import interrupted
from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from multiprocessing.connection import Connection

DEADLINE_S = 30
_ONE_AT_A_TIME = Lock()
"""Of two threads that ask how a process ended one would be told nonsense."""
Kill = tuple[str, str, int]
"""A step, before or after it, and how often it comes before that."""


def start_fork_server() -> None:
    """Start it before a test watches its temporary files; its own stay until the end.

    A child is a fork of a server without threads: hundreds of fresh interpreters would take minutes.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    with mock.patch.dict(os.environ, PYTHONPATH=str(Path(__file__).parents[1])):
        forkserver.ensure_running()


@dataclass(frozen=True)
class Ended:
    """What is left of a process."""

    exit_code: int
    """Less than 0 if a signal killed it."""
    stdout: str
    stderr: str
    temporary: list[str]
    seconds: float
    """From the moment when it was ready."""

    @property
    def state(self) -> dict[str, Any] | None:
        """The STATE that it emitted; of a line that was cut short Meltano keeps nothing."""
        line = self.stdout.splitlines()[-1:] if self.stdout.endswith("\n") else []
        state: dict[str, Any] | None = json.loads(line[0]) if line else None
        return state


def _run(
    config: dict[str, Any],
    given: bytes,
    folder: Path,
    ready: Connection,
    kill: Kill | None,
    variables: dict[str, str],
) -> None:
    """Run the target, which watches for signals from the moment when it is ready."""
    os.environ.update(variables)
    tempfile.tempdir = str(folder / "temporary")
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(folder / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s", force=True)
    logging.captureWarnings(capture=True)
    made = TargetTikTokAudiences.__init__

    def make(target: TargetTikTokAudiences, **options: Any) -> None:
        ready.send(None)
        made(target, **options)

    with ExitStack() as around:
        around.enter_context(mock.patch.object(TargetTikTokAudiences, "__init__", make))
        around.enter_context(mock.patch.object(TargetTikTokAudiences, "sleep", staticmethod(_no_pause)))
        if kill:
            step, when, skip = kill
            around.enter_context(interrupted(step, when, partial(_die, [skip])))
        TargetTikTokAudiences.invoke(config=_ConfigInput(config), file_input=io.BytesIO(given))  # type: ignore[arg-type]


def _no_pause(_seconds: float) -> None: ...


def _die(left: list[int]) -> None:
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)


def run(
    config: dict[str, Any],
    messages: Iterable[object],
    folder: Path,
    *,
    signals: Sequence[tuple[float, int]] = (),
    kill: Kill | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Ended:
    """Run the target once; send it signals, each so many seconds after the one before, or kill it at a step.

    `variables` are added to its environment, which is that of the tests' beginning.
    """
    home = Path(tempfile.mkdtemp(dir=folder))
    (home / "temporary").mkdir()
    given = "".join(f"{json.dumps(message)}\n" for message in messages).encode()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_run, args=(config, given, home, sender, kill, dict(variables)), daemon=True)
    with _ONE_AT_A_TIME:
        process.start()
    sender.close()
    assert receiver.poll(DEADLINE_S)
    receiver.recv()
    began = time.monotonic()
    for delay, number in signals:
        if not wait([process.sentinel], delay) and process.pid:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(process.pid, number)
    hangs = not wait([process.sentinel], DEADLINE_S)
    seconds = time.monotonic() - began
    with _ONE_AT_A_TIME:
        if hangs:
            process.kill()
        process.join()
        exit_code = process.exitcode
        process.close()
    assert exit_code is not None
    assert not hangs
    receiver.close()
    stdout, stderr = ((home / name).read_text() for name in ("stdout", "stderr"))
    left = [str(path.relative_to(home)) for path in (home / "temporary").rglob("*")]
    return Ended(exit_code, stdout, stderr, left, seconds)
