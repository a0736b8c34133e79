"""Questions to the emulator after a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from target_tiktok_audiences.cli.forget import forget

if TYPE_CHECKING:
    from pathlib import Path

    from support.emulator_client import Client
    from support.target import Outcome, Target


def ledger_of(target: Target) -> Path:
    (database,) = (target.folder / "ledgers").glob("*.duckdb")
    return database


Messages = list[dict[str, Any]]


def after(outcome: Outcome | None, messages: Messages) -> Messages:
    """Let the tap give back the STATE that it was given."""
    given: Messages = [{"type": "STATE", "value": outcome.state}] if outcome and outcome.state else []
    return [*given, *messages]


def members(tiktok: Client) -> list[str]:
    """Give what the one audience holds."""
    (audience,) = tiktok.control("audiences").json()
    return tiktok.members(audience["audience_id"])


def changes(tiktok: Client) -> list[str]:
    """Give the requests that were to change something."""
    paths = [request["path"] for request in tiktok.requests()]
    return [path for path in paths if path.endswith(("upload/", "create/", "update/"))]


def run_forget(target: Target, *arguments: str, **config: object) -> Result:
    path = target.folder / "forget.json"
    written = {**target.config, **config, "access_token": None}  # which it does not need
    path.write_text(json.dumps(written))
    return CliRunner().invoke(forget, [*arguments, "--config", str(path)])
