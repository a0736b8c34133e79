"""The benchmarks run, and compare like with like; how fast anything is, no test says."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SUITE = ROOT / "benchmarks/suite.py"
SMALL = ["--records", "3000", "--slow", "2000", "--few", "1000", "--many", "2000"]
ONCE = ["--rounds", "1", "--large-rounds", "1", "--starts", "1"]
TITLES = {
    "email phone narrow sdk condor floor-condor jsonl csv": ["E.164 phones", "SDK's defaults (scaled from 2,000)"],
    "startup append overwrite": ["`--version` |", "`append-only` of 200 onto 2,000 |", "1 % changed |"],
}


@pytest.mark.parametrize("names", TITLES)
def test_all_make_the_same_digests_as_the_floor(names: str) -> None:
    """The suite itself compares them, each time; packages that are not there already are left out."""
    command = [sys.executable, str(SUITE), *SMALL, *ONCE, "--no-install", "--only", *names.split()]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    for title in TITLES[names]:
        assert title in ended.stdout


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_files_of_a_batch_are_written_and_read(kind: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks/batch.py"), "--rows", "2000", "--format", kind]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert f"2,000 rows of {kind}: " in ended.stdout


def test_the_floor_hashes_the_normal_form(tmp_path: Path) -> None:
    values = ["ada@example.com", " Ada.B@Example.com\t", "m\N{NO-BREAK SPACE}x@example.net"]
    records = [{"type": "RECORD", "record": {"id": 1, "email": value, "name": "A"}} for value in [*values, None]]
    lines = "".join(f"{json.dumps(message)}\n" for message in [{"type": "SCHEMA"}, *records, {"type": "STATE"}])
    floor = [sys.executable, str(ROOT / "benchmarks/floor.py"), "email", str(tmp_path / "digests")]
    subprocess.run(floor, input=lines.encode(), check=True, timeout=60)
    expected = [
        hashlib.sha256(value.encode()).hexdigest()
        for value in ("ada@example.com", "ada.b@example.com", "mx@example.net")
    ]
    assert (tmp_path / "digests").read_text().splitlines() == expected
