"""Runs a process, and takes what the system counted of it; compares digests without keeping them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class BenchmarkFailed(SystemExit):
    """A process failed, or did something else than it should: its figures would mean nothing."""


@dataclass(frozen=True)
class Measured:
    """One process, from start to end, with all that it started and waited for."""

    cpu: float
    """Seconds of user and system."""
    wall: float
    peak_mb: float
    """Resident set; of a process with children that of the largest one."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds of wall clock, where the run's report tells."""


def run(command: Sequence[str | Path], folder: Path, given: Path | None = None) -> Measured:
    """Run a command in a folder, which gets its `stdout` and `stderr`. Raises `BenchmarkFailed`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    opened = given.open("rb") if given else nullcontext(subprocess.DEVNULL)
    with opened as stdin, (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: S603
            [str(word) for word in command], stdin=stdin, stdout=stdout, stderr=stderr, cwd=folder, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = (folder / "stderr").read_text(errors="replace")[-2000:]
        raise BenchmarkFailed(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{last}")
    return Measured(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * _RSS_UNIT / 1e6)


def middle(rounds: Sequence[Measured]) -> Measured:
    """Give the median of each figure by itself."""
    stages = {name: median(one.stages.get(name, 0) for one in rounds) for name in rounds[0].stages}
    cpu, wall, peak = (median(getattr(one, name) for one in rounds) for name in ("cpu", "wall", "peak_mb"))
    return Measured(cpu, wall, peak, stages)


@dataclass(frozen=True)
class Fingerprint:
    """Of many digests, whatever their order: how many, and their sum."""

    count: int
    total: int

    @classmethod
    def of(cls, digests: Iterable[str | bytes]) -> Fingerprint:
        """Add them up, one at a time: this process must stay small."""
        count = total = 0
        for digest in digests:
            count += 1
            total += int(digest, 16)
        return cls(count, total & (1 << 256) - 1)
