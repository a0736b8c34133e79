"""Histories whose seeds are known: `-k 'upsert and 7'` plays one again. With TEST_LONG there are far more of them."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
from support.histories import ERASING, METHODS, OVERLAPPING, play

from target_tiktok_audiences.ledger import object_store
from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from pathlib import Path

LONG = bool(os.environ.get("TEST_LONG"))
SEEDS = range(100 if LONG else 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("load_method", METHODS)
def test_after_any_history_the_audience_is_the_table(
    load_method: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TargetTikTokAudiences, "sleep", staticmethod(lambda _: None))
    play(load_method, seed, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("load_method", METHODS)
def test_after_any_history_whoever_was_erased_is_out(
    load_method: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TargetTikTokAudiences, "sleep", staticmethod(lambda _: None))
    play(load_method, seed, tmp_path, ERASING)


@pytest.mark.parametrize("seed", SEEDS if LONG else SEEDS[:1])
@pytest.mark.parametrize("load_method", METHODS)
def test_after_any_history_of_two_machines_with_one_store_the_audience_is_the_table(
    load_method: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They begin hours apart, or one in the midst of the other."""
    monkeypatch.setattr(TargetTikTokAudiences, "sleep", staticmethod(lambda _: None))
    monkeypatch.setattr(object_store, "SETTLE_S", 0)  # nobody claims just now
    ledgers = f"memory://{uuid.uuid4().hex}"
    play(load_method, seed, tmp_path, OVERLAPPING, ledgers=ledgers)
