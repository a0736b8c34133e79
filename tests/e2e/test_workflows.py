"""What runs on GitHub may do no more than it must, and calls what is here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs import ROOT, about

WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}
JOBS = {f"{name} {job}": it for name, workflow in WORKFLOWS.items() for job, it in workflow["jobs"].items()}
RECIPES = re.findall(r"^([a-z]+)(?: .*)?:$", (ROOT / "justfile").read_text(), re.MULTILINE)


def test_every_hook_of_a_commit_passes(tmp_path: Path) -> None:
    """Schemas of workflows and Meltano projects among them; Ruff would change files, and has a turn of its own."""
    if not (ROOT / ".git").exists():
        pytest.skip("only a git checkout has commits")
    home = {"PRE_COMMIT_HOME": str(tmp_path), "SKIP": "ruff-check,ruff-format", "PRE_COMMIT_COLOR": "never"}
    command = [str(Path(sys.executable).with_name("pre-commit")), "run", "--all-files"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^(.*?)\.+(Passed|Skipped)$", done.stdout, re.MULTILINE) == [
        ("rules", "Skipped"),
        ("format", "Skipped"),
        ("Meltano projects", "Passed"),
        ("workflows", "Passed"),
        ("updates", "Passed"),
    ]


def test_the_readmes_tests_are_part_of_what_must_hold() -> None:
    assert "\n```sh\nscripts/test\n```\n" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == 'env -i "${kept[@]}" scripts/test --cov'
    assert any(step.get("run") == ".ci/run" for step in WORKFLOWS["test"]["jobs"]["everything"]["steps"])


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_job_has_a_deadline_and_actions_of_one_version(job: dict[str, Any]) -> None:
    assert job["timeout-minutes"] <= 60
    for step in job["steps"]:
        if "uses" in step:
            assert re.search(r"@v\d+(\.\d+)*$", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_only_a_release_may_write_and_only_what_it_must() -> None:
    assert WORKFLOWS["test"]["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in WORKFLOWS["test"]["jobs"].values())
    assert WORKFLOWS["release"]["permissions"] == {}
    assert WORKFLOWS["release"]["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text()


def test_every_supported_python_is_tested() -> None:
    jobs = WORKFLOWS["test"]["jobs"]
    tested = {*jobs["core"]["strategy"]["matrix"]["python"]}
    tested |= {leg["python"] for leg in jobs["elsewhere"]["strategy"]["matrix"]["include"]}
    assert tested == set(about()["supported_python_versions"])


def test_every_recipe_is_told_and_calls_what_is_here() -> None:
    assert {"all", "lint", "types", "unit", "test", "bench", "docs", "demo", "build", "quick"} <= set(RECIPES)
    for script in re.findall(r"(?:scripts|benchmarks|\.ci)/[\w.]+", (ROOT / "justfile").read_text()):
        assert (ROOT / script).is_file(), script


def test_just_can_read_the_recipes() -> None:
    just = Path(sys.executable).with_name("just")
    listed = subprocess.run([just, "--summary"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert sorted(listed.split()) == sorted(RECIPES)
