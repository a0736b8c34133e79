"""The target in this process, set up for an emulator."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from singer_sdk.plugin_base import _ConfigInput

from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from support.emulator_client import Client

MARKER = "marker.person"
"""In every e-mail address of the tests; it must be in nothing that a run writes."""


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
