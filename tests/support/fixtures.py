"""Fixtures of tests that run the target against the emulator."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from support.chromium import chromium
from support.emulator_client import ADVERTISER, TOKEN, Client, emulated
from support.target import Target
from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


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
