"""Figures as people say them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from target_tiktok_audiences.reporting.formatting import format_count, format_duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (-90, "90 s"), (300, "5 minutes"), (7200, "2 hours"), (345_600, "4 days")],
)
def test_how_long_a_time_is(seconds: int, words: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == words


def test_how_many_there_are() -> None:
    assert [format_count(1, "file"), format_count(1200, "file")] == ["1 file", "1,200 files"]
