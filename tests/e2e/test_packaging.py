"""What is built from this folder is whole, and works where nothing else is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from packaging.metadata import Metadata
from packaging.version import Version
from readme_renderer import markdown
from support.emulator_client import ADVERTISER, TOKEN
from support.histories import METHODS
from support.singer import digests, people, schema
from support.target import MARKER
from trove_classifiers import classifiers

from docs import ROOT, about
from target_tiktok_audiences import __version__
from target_tiktok_audiences.cli.main import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.emulator_client import Client

pytestmark = [
    pytest.mark.xdist_group("packaging"),
    pytest.mark.skipif((ROOT / ".venv/uv-unfit").exists(), reason="uv cannot reach the package registry here"),
]

PACKAGE = "target_tiktok_audiences"
DISTRIBUTION = f"{PACKAGE}-{__version__}"
EXTRAS = {"azure", "emulator", "gcs", "history", "parquet", "s3"}
KINDS_OF_CHANGE = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
LEFT_OUT = {"adlfs", "gcsfs", "hypothesis", "matplotlib", "pyarrow", "pytest", "s3fs", "starlette", "uvicorn"}
"""What only extras and development need."""


def uv(*arguments: object) -> str:
    command = [sys.executable, "-m", "uv", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ours(folder: str) -> set[str]:
    """Give the paths of one of our folders that git would keep."""
    paths = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in paths}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both; the wheel is made from the sdist, so that holds all it needs."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--out-dir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"{DISTRIBUTION}-py3-none-any.whl"
    return wheel


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone, and give the folder of its executable."""
    environment = tmp_path_factory.mktemp("clean") / "venv"
    uv("venv", "--python", sys.executable, environment)
    uv("pip", "install", "--python", environment, wheel)
    installed = json.loads(uv("pip", "list", "--python", environment, "--format", "json"))
    assert not LEFT_OUT & {package["name"] for package in installed}
    return environment / "bin"


@pytest.fixture
def run(programs: Path, tmp_path: Path) -> Callable[..., str]:
    """Give a way to run the installed target, which sees nothing of this folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [programs / "target-tiktok-audiences", *arguments],
            cwd=tmp_path,
            env={**kept, "NO_PROXY": "127.0.0.1"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert MARKER not in done.stdout + done.stderr
        return done.stdout

    return run


def test_the_wheel_has_the_whole_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        metadata = Metadata.from_email(file.read(f"{DISTRIBUTION}.dist-info/METADATA"))  # as a registry checks it
        licence = file.read(f"{DISTRIBUTION}.dist-info/licenses/LICENSE").decode()
    added = {name for name in names if name.startswith(f"{DISTRIBUTION}.dist-info/")}
    assert names - added == ours(PACKAGE)
    assert {f"{PACKAGE}/{path}" for path in ("py.typed", "cli/connect/page.html", "history/html.css")} <= names
    assert licence == (ROOT / "LICENSE").read_text()
    assert str(metadata.version) == __version__
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.description_content_type == "text/markdown"
    assert markdown.render(metadata.description or "", variant="GFM"), "a registry cannot show the README"
    assert set(metadata.provides_extra or []) == EXTRAS
    known = metadata.classifiers or []
    assert set(known) <= classifiers
    prefix = "Programming Language :: Python :: 3."
    minors = [int(name.removeprefix(prefix)) for name in known if name.startswith(prefix)]
    assert str(metadata.requires_python) == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[-1] + 1))


def test_the_sdist_has_what_its_tests_need(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        names = {name.removeprefix(f"{DISTRIBUTION}/") for name in file.getnames()}
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "meltano.yml"} <= names
    for folder in (PACKAGE, "tests", "scripts", "docs", "benchmarks"):
        assert ours(folder) <= names
    assert not [name for name in names if name.startswith((".venv", ".demo", ".hypothesis", "dist/"))]


def test_its_version_stands_in_one_place(run: Callable[..., str]) -> None:
    assert run("--version").startswith(f"target-tiktok-audiences v{__version__},")
    project = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in project


def test_the_changelog_has_its_form_and_tells_of_all_that_users_see() -> None:
    whole = (ROOT / "CHANGELOG.md").read_text()
    parts = re.split(r"^## ", whole, flags=re.MULTILINE)[1:]
    first, *heads = [part.partition("\n")[0] for part in parts]
    assert first == "[Unreleased]"
    numbers = re.findall(r"^\[([\d.]+)\] - \d{4}-\d\d-\d\d$", "\n".join(heads), re.MULTILINE)
    released = [Version(number) for number in numbers]
    assert len(released) == len(heads)
    assert released == sorted({*released}, reverse=True)
    assert all(version <= Version(__version__) for version in released)
    for part in parts:
        kinds = re.findall(r"^### (\w+)\n\n- ", part, re.MULTILINE)
        assert len(kinds) == part.count("\n### ")
        assert kinds == [kind for kind in KINDS_OF_CHANGE if kind in kinds]
    for name in (*(command.name for command in COMMANDS), *EXTRAS, *METHODS):
        assert f"`{name}`" in whole, f"the changelog does not tell of {name}"
    for example in (ROOT / "examples").iterdir():
        assert f"examples/{example.name}" in whole


def test_it_tells_about_itself_without_extras(run: Callable[..., str]) -> None:
    told: dict[str, Any] = json.loads(run("--about", "--format=json"))
    assert told["settings"] == about()["settings"]
    assert told["capabilities"] == about()["capabilities"]
    assert told["supported_python_versions"] == about()["supported_python_versions"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_helps_without_extras(command: Any, run: Callable[..., str]) -> None:
    assert run(command.name, "--help").startswith(f"Usage: target-tiktok-audiences {command.name}")


def test_it_fills_an_audience_without_extras(run: Callable[..., str], tiktok: Client, tmp_path: Path) -> None:
    config = {
        "access_token": TOKEN,
        "advertiser_id": ADVERTISER,
        "contract": "EMAIL_SHA256",
        "api_url": tiktok.base,
        "ledger_path": "ledgers",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    messages = [schema(), *people(1, 1500), {"type": "STATE", "value": {"seen": 1500}}]
    stdin = "".join(f"{json.dumps(message)}\n" for message in messages)
    assert json.loads(run("--config", "config.json", stdin=stdin))["seen"] == 1500
    (audience,) = tiktok.control("audiences").json()
    assert sorted(tiktok.members(audience["audience_id"])) == digests(1, 1500)
