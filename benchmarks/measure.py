"""Runs a process, and takes what the system counted of it; compares digests without keeping them."""

from __future__ import annotations

import os
import platform
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
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in which the system counts a resident set."""


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
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or our code, which is not installed, would be compiled each time
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
    return Measured(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * RSS_UNIT / 1e6)


def middle(rounds: Sequence[Measured]) -> Measured:
    """Give the median of each figure by itself."""
    stages = {name: median(one.stages.get(name, 0) for one in rounds) for name in rounds[0].stages}
    cpu, wall, peak = (median(getattr(one, name) for one in rounds) for name in ("cpu", "wall", "peak_mb"))
    return Measured(cpu, wall, peak, stages)


def hardware() -> str:
    """Say on what machine this runs."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{cores} cores of {model}, {memory:.0f} GB"


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
