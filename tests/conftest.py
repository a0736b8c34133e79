"""A run of the target in this process, against an emulated TikTok over real HTTP."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import socket
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from chromium import chromium
from emulator_client import ADVERTISER, TOKEN, Client, emulated
from singer_sdk.plugin_base import _ConfigInput

from target_tiktok_audiences.runtime.signals import STOPPING
from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

SKIPS_IN_CI = {
    r"scripts/test --long": "takes minutes; a shorter sibling runs each time",
    r"need Python 3.11 or older": "the newest version of these taps cannot be installed on a newer Python",
    r"this machine has no Java": "Spark needs it, and only this example needs Spark",
    r"uv cannot reach the package registry": "pip may be the only client that is configured for it",
    r"may not have mounts of its own|right to make namespaces": "not root, or a container that forbids it",
}
"""What may be skipped where `CI` is set, by a pattern of its reason, and why; any other skip fails there."""

MARKER = "marker.person"
"""In every e-mail address of the tests; it must be in nothing that a run writes."""

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` has it ignored, and so it would be by all that the tests start


@dataclass
class Outcome:
    """What a run left behind."""

    exit_code: int
    stdout: str
    log: str
    report: dict[str, Any]

    @property
    def last_line(self) -> str:
        return self.log.splitlines()[-1]

    @property
    def state(self) -> dict[str, Any] | None:
        lines = self.stdout.splitlines()
        assert len(lines) <= 1, "one STATE a run"
        state: dict[str, Any] | None = json.loads(lines[0]) if lines else None
        return state

    @property
    def audience(self) -> dict[str, Any]:
        (audience,) = self.report["audiences"]
        found: dict[str, Any] = audience
        return found


@dataclass
class Target:
    """The target, set up for an emulator; `config` may be changed between runs."""

    tiktok: Client
    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    pauses: list[float] = field(default_factory=list)

    def run(self, messages: Iterable[object], **config: Any) -> Outcome:
        """Run once; messages that are no strings are written as JSON."""
        lines = "".join(f"{m if isinstance(m, str) else json.dumps(m)}\n" for m in messages)
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        settings = {**self.config, "report_path": str(report), **config}
        stdout, log = io.StringIO(), io.StringIO()
        handler = logging.StreamHandler(log)
        root = logging.getLogger()
        root.addHandler(handler)
        exit_code = 0
        try:
            with redirect_stdout(stdout):
                TargetTikTokAudiences.invoke(
                    config=_ConfigInput({name: value for name, value in settings.items() if value is not None}),
                    file_input=io.BytesIO(lines.encode("utf-8", "surrogatepass")),  # type: ignore[arg-type]
                )
        except SystemExit as end:
            exit_code = int(end.code or 0)
        finally:
            root.removeHandler(handler)
        assert MARKER not in stdout.getvalue() + log.getvalue()
        written = json.loads(report.read_text()) if report.exists() else {}
        return Outcome(exit_code, stdout.getvalue(), log.getvalue(), written)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Keep a test from the settings, the signals and the temporary files of others, and from other machines."""
    for name in [name for name in os.environ if name.startswith("TARGET_TIKTOK_AUDIENCES_")]:
        monkeypatch.delenv(name)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    handlers = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGALRM)}
    umask = os.umask(0o022)
    look_up, strangers = socket.getaddrinfo, []

    def look_up_here(host: str, *arguments: Any, **named: Any) -> Any:
        if host not in {"127.0.0.1", "localhost", "::1", None} and not host.endswith(".invalid"):
            strangers.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "tests ask nobody else")
        return look_up(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)
    yield
    assert strangers == [], "tests ask nobody but this machine"
    os.umask(umask)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    assert list(temporary.iterdir()) == [], "temporary files stay behind"


@pytest.fixture
def tiktok() -> Iterator[Client]:
    """Emulate TikTok with its processing times."""
    with emulated(processing_hours=24) as client:
        yield client


@pytest.fixture
def target(tiktok: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """Set the target up for e-mail addresses."""
    config = {
        "access_token": TOKEN,
        "advertiser_id": ADVERTISER,
        "contract": "EMAIL_SHA256",
        "api_url": tiktok.base,
        "ledger_path": str(tmp_path / "ledgers"),
    }
    target = Target(tiktok, tmp_path, config)
    monkeypatch.setattr(TargetTikTokAudiences, "sleep", staticmethod(target.pauses.append))
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    return target


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that at the end no processor waits for it."""
    items.sort(key=lambda item: item.path.stem not in {"test_signals", "test_soak"})


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Fail a skip in CI unless `SKIPS_IN_CI` allows it, so that no environment leaves out tests unnoticed."""
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(re.search(pattern, reason) for pattern in SKIPS_IN_CI):
            report.outcome = "failed"
            report.longrepr = f"Skipped in CI, and not in SKIPS_IN_CI of tests/conftest.py: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests record, whether they pass or fail."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    for report in reports:
        if getattr(report, "when", None) == "call":
            for name, value in report.user_properties:
                if name == "figures":
                    terminalreporter.write_line(f"{report.nodeid.partition('::')[0]}: {value}")
