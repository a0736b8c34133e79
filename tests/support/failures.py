"""What a failed run must and must not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.target import MARKER

if TYPE_CHECKING:
    from pathlib import Path

    from support.target import Outcome

TEXT = {"type": "string"}


def check(outcome: Outcome, *words: str) -> None:
    """Check how a failed run ended; that the marker was not printed is checked for every run."""
    for word in words:
        assert word in outcome.last_line
    assert (outcome.exit_code, outcome.state) == (1, None)
    assert "Traceback" not in outcome.log
    assert outcome.report["run"]["exit_code"] == 1
    assert outcome.report["run"]["message"] == outcome.last_line


def files_with_marker(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if MARKER.encode() in path.read_bytes()]
