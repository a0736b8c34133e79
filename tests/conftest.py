"""What holds for all tests: markers by folder, isolation, skips in CI, figures at the end."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.skips import refuse_skip

from target_tiktok_audiences.runtime.signals import STOPPING, signals

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

TESTS = Path(__file__).parent

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` has it ignored, and so it would be by all that the tests start


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Keep a test from the settings, the signals and the temporary files of others, and from other machines."""
    for name in [name for name in os.environ if name.startswith("TARGET_TIKTOK_AUDIENCES_")]:
        monkeypatch.delenv(name)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(signals, "received", 0)  # a test that sends one leaves it noted
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder, and begin with what takes longest, so that at the end no processor waits for it."""
    for item in items:
        kind = item.path.relative_to(TESTS).parts[0]
        item.add_marker(kind)
        if kind in {"e2e", "stress"}:  # tracing takes a third of their time and of the stack, and adds no line
            item.add_marker("no_cover")
    items.sort(key=lambda item: item.path.stem not in {"test_signals", "test_soak"})


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
