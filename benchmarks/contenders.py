"""Who is measured: how each is started, and which digests it leaves."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import STREAM
from measure import ROOT, BenchmarkFailed, Fingerprint, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from data import Stream
    from measure import Measured

HERE = Path(__file__).parent
OURS = (sys.executable, "-m", "target_tiktok_audiences")
SDK_DEFAULT = (sys.executable, HERE / "sdk_default.py")
ADVERTISER = "7000000000000000001"
_CONTRACTS = {"email": "EMAIL_SHA256", "phone": "PHONE_SHA256"}


# The emulator


@dataclass(frozen=True)
class TikTok:
    """An emulator in a process of its own, which no figure counts."""

    url: str

    @property
    def audience(self) -> dict[str, Any]:
        """The one audience."""
        (audience,) = json.loads(self._get("audiences").read())
        found: dict[str, Any] = audience
        return found

    def members(self) -> Iterator[bytes]:
        """Give the digests of the one audience."""
        with self._get(f"audiences/{self.audience['audience_id']}/members") as lines:
            yield from lines

    def _get(self, path: str) -> Any:
        return urllib.request.urlopen(f"{self.url}/_emulator/{path}", timeout=600)  # noqa: S310 - it is our own


@contextmanager
def emulated() -> Iterator[TikTok]:
    """Emulate a TikTok that limits no rate and processes at once."""
    command = [*OURS, "emulator", "--port", "0", "--qps", "0", "--processing-hours", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:  # noqa: S603
        try:
            assert process.stdout  # noqa: S101 - for mypy
            yield TikTok(process.stdout.readline().decode().removeprefix("listening on ").strip())
        finally:
            process.terminate()


def configured(tiktok: TikTok, folder: Path, column: str, load_method: str) -> Sequence[str | Path]:
    """Give the target's command line, and write the configuration that it names."""
    settings = {
        "access_token": "emulator-token",
        "advertiser_id": ADVERTISER,
        "api_url": f"{tiktok.url}/open_api/v1.3",
        "contract": _CONTRACTS[column],
        "load_method": load_method,
        "ledger_path": str(folder / "ledgers"),
        "report_path": str(folder / "report.json"),
    }
    config = folder / "config.json"
    config.write_text(json.dumps(settings))
    return [*OURS, "--config", config]


def ours(tiktok: TikTok, stream: Stream, folder: Path, column: str, load_method: str, expected: int) -> Measured:
    """Run the target, from standard input to what the emulator holds; the ledger stays in the folder."""
    measured = run(configured(tiktok, folder, column, load_method), folder, stream.path)
    if (rows := tiktok.audience["rows"]) != expected:
        raise BenchmarkFailed(f"The audience holds {rows:,}, and should hold {expected:,}.")
    if not (folder / "stdout").read_bytes():
        raise BenchmarkFailed("No STATE came out.")
    (audience,) = json.loads((folder / "report.json").read_text())["audiences"]
    stages: dict[str, float] = audience["seconds"]
    return replace(measured, stages={"read": measured.wall - sum(stages.values()), **stages})


# Contenders: each reads a stream once


@dataclass(frozen=True)
class Contender:
    """One program, or one way of ours."""

    name: str
    title: str
    column: str = "email"
    narrow: bool = False
    slow: bool = False
    """Whether it is given fewer records, and its time scaled."""
    package: str = ""
    """What must be installed for it, in an environment of its own."""

    def start(self, stream: Stream, folder: Path) -> tuple[Measured, Fingerprint]:
        """Run it once; give what it took and what it made."""
        if self.name in {"email", "phone", "narrow"}:
            with emulated() as tiktok:
                measured = ours(tiktok, stream, folder, self.column, "append-only", stream.records)
                return measured, Fingerprint.of(tiktok.members())
        measured = run(self.command(folder), folder, stream.path)
        return measured, Fingerprint.of(self._digests(folder))

    def start_empty(self, folder: Path) -> Measured:
        """Run it on no input at all."""
        return run(self.command(folder), folder)

    def command(self, folder: Path) -> Sequence[str | Path]:
        """Give the command line, and write the configuration that it names."""
        config, digests = folder / "config.json", folder / "digests"
        if self.name == "sdk":
            config.write_text(json.dumps({"column": self.column, "file": str(digests)}))
            return [*SDK_DEFAULT, "--config", config]
        if self.name == "jsonl":
            config.write_text(json.dumps({"destination_path": str(folder), "do_timestamp_file": False}))
            return [self.environment.program("target-jsonl"), "--config", config]
        if self.name == "csv":
            config.write_text(json.dumps({"output_path": str(folder), "file_naming_scheme": "{stream_name}.csv"}))
            return [self.environment.program("target-csv"), "--config", config]
        python = self.environment.python if self.package else sys.executable
        return [python, HERE / ("condor.py" if self.name == "condor" else "floor.py"), self.column, digests]

    @cached_property
    def environment(self) -> Environment:
        """The environment of its package."""
        return Environment(self.package)

    def _digests(self, folder: Path) -> Iterator[str]:
        """Give the digests that it wrote; of the addresses that it wrote, where it hashes none."""
        if self.name not in {"jsonl", "csv"}:
            with (folder / "digests").open(encoding="ascii") as lines:
                yield from lines
            return
        with (folder / f"{STREAM}.{self.name}").open(encoding="utf-8", newline="") as lines:
            for row in map(json.loads, lines) if self.name == "jsonl" else csv.DictReader(lines):
                yield sha256("".join(row[self.column].split()).lower().encode()).hexdigest()


# Foreign packages


class Unavailable(Exception):
    """A package that cannot be had here; the text says why."""


class Environment:
    """A virtual environment with one package; made once, and kept in a folder that git ignores."""

    def __init__(self, package: str) -> None:
        self._folder = ROOT / ".venv-benchmarks" / package
        self._package = package
        self.python = self._folder / "bin/python"

    def program(self, name: str) -> Path:
        """Give the path of one of its programs."""
        return self._folder / "bin" / name

    def make(self, *, install: bool) -> None:
        """Make it where it is not there yet. Raises `Unavailable`."""
        if self._ready.exists():
            return
        if not install:
            raise Unavailable("not installed, and `--no-install` was given")
        interpreters = _INTERPRETERS.get(self._package, lambda: [sys.executable])()
        if not interpreters:
            raise Unavailable("it needs Python 3.12 or newer, and none was found on this machine")
        shutil.rmtree(self._folder, ignore_errors=True)
        venv = [interpreters[0], "-m", "venv", str(self._folder)]
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "install", self._package, "msgspec"]
        for command in (venv, pip):
            try:
                done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)  # noqa: S603
            except subprocess.TimeoutExpired:
                raise Unavailable("its installation took too long") from None
            if done.returncode:
                errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if "ERROR" in line]
                raise Unavailable(f"pip: {(errors or ['it failed'])[-1]}")
        self._ready.touch()

    @property
    def _ready(self) -> Path:
        return self._folder / "ready"

    def versions(self) -> str:
        """Tell the package's version, and its Python's."""
        ask = f"import importlib.metadata as m, platform as p; print(m.version('{self._package}'), p.python_version())"
        version, python = subprocess.check_output([self.python, "-c", ask], text=True).split()  # noqa: S603
        return f"{self._package} {version} on Python {python}"


def _newer_pythons() -> list[str]:
    """Give interpreters of Python 3.12 or newer, on the path or where pyenv keeps them."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    kept = sorted(map(str, pyenv.glob("versions/3.1[2-4].*/bin/python")), reverse=True)
    named = [path for minor in (14, 13, 12) if (path := shutil.which(f"python3.{minor}"))]
    return [python for python in (sys.executable, *named, *kept) if _is_fit(python)]


def _is_fit(python: str) -> bool:
    test = "import sys, ensurepip; sys.exit(sys.version_info < (3, 12))"
    return not subprocess.run([python, "-c", test], check=False, capture_output=True).returncode  # noqa: S603


_INTERPRETERS: Mapping[str, Callable[[], list[str]]] = {"condor-retl-tiktok-ads": _newer_pythons}

CONTENDERS = (
    Contender("floor", "the floor"),
    Contender("floor-narrow", "the floor, two columns", narrow=True),
    Contender("email", "**this target, e-mail**"),
    Contender("phone", "**this target, E.164 phones**", column="phone"),
    Contender("narrow", "**this target, e-mail, two columns**", narrow=True),
    Contender("sdk", "the SDK's defaults", slow=True),
    Contender("condor", "`condor-retl-tiktok-ads`, its hashing alone", package="condor-retl-tiktok-ads"),
    Contender("floor-condor", "the floor, on that Python", package="condor-retl-tiktok-ads"),
    Contender("jsonl", "`target-jsonl`, no hashing", slow=True, package="target-jsonl"),
    Contender("csv", "`target-csv` (MeltanoLabs), no hashing", slow=True, package="meltanolabs-target-csv"),
)
