"""What a run of the tests leaves out, and where that is allowed."""

from __future__ import annotations

import pytest
from support.skips import SKIPS_IN_CI, refuse_skip


def report(reason: str, outcome: str = "skipped") -> pytest.TestReport:
    return pytest.TestReport("tests/x.py::y", ("x.py", 1, "y"), {}, outcome, ("x.py", 1, reason), "call")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ci", "reason", "outcome"),
    [
        ("true", "Skipped: MariaDB is missing", "failed"),
        ("true", "Skipped: scripts/test --long", "skipped"),
        ("", "Skipped: MariaDB is missing", "skipped"),
    ],
)
def test_skip_fails_in_ci_unless_allowed(monkeypatch: pytest.MonkeyPatch, ci: str, reason: str, outcome: str) -> None:
    monkeypatch.setenv("CI", ci)
    skipped = report(reason)
    refuse_skip(skipped)
    assert skipped.outcome == outcome


def test_every_allowed_skip_has_a_reason() -> None:
    assert all(len(why) > 20 for why in SKIPS_IN_CI.values())
