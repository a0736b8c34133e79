"""The executable in a process of its own: configuration and input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.emulator_client import ADVERTISER, TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from support.emulator_client import Client


@pytest.fixture
def config(tiktok: Client, tmp_path: Path) -> str:
    path = tmp_path / "config.json"
    settings = {
        "access_token": TOKEN,
        "advertiser_id": ADVERTISER,
        "contract": "EMAIL_SHA256",
        "api_url": tiktok.base,
        "report_path": str(tmp_path / "report.json"),
        "ledger_path": str(tmp_path / "ledgers"),
    }
    path.write_text(json.dumps(settings))
    return str(path)


def lines(messages: list[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(message)}\n" for message in messages)
