"""Random histories until the time is up: half a minute, half an hour with TEST_LONG, or SOAK_SECONDS.

Each run of this test draws a new seed, and prints it; SOAK_SEED plays the histories of another run again, all but the
moments at which processes are killed.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support import child
from support.histories import METHODS, MOODS, Mood, play

from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800" if os.environ.get("TEST_LONG") else "30"))
SOAKED = tuple(Mood(mood.faults, mood.kills / 2, mood.paths, deaths=0.3, jumps=0.2) for mood in MOODS)
NEVER = ("lost", "wrong", "duplicates")


@pytest.fixture(scope="module", autouse=True)
def _fork_server() -> None:
    child.start_fork_server()


def test_nobody_is_lost_however_long_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setattr(TargetTikTokAudiences, "sleep", staticmethod(lambda _: None))
    seed = os.environ.get("SOAK_SEED") or str(random.randrange(10**9))
    figures: Counter[str] = Counter()
    until = time.monotonic() + SECONDS
    try:
        for number, load_method in zip(itertools.count(), itertools.cycle(METHODS)):
            folder = tmp_path / str(number)
            folder.mkdir()
            try:
                play(load_method, f"{seed} {number}", folder, SOAKED, figures)
            except Exception as error:
                raise AssertionError(f"SOAK_SEED={seed}, history {number}: {error}") from error
            shutil.rmtree(folder)
            figures["histories"] += 1
            if time.monotonic() > until and figures["histories"] >= len(METHODS):
                break
    finally:
        told = ", ".join(f"{kind} {figures[kind]:,}" for kind in [*sorted(figures.keys() - {*NEVER}), *NEVER])
        record_property("figures", f"soak of {SECONDS:.0f} s, SOAK_SEED={seed}: {told}")
    assert not any(figures[kind] for kind in NEVER)
    for kind in ("runs", "processes killed", "faults: code", "clock set back", "clock set forward"):
        assert figures[kind] > 0, kind
    assert figures["people checked"] >= 1000 * figures["histories"]
