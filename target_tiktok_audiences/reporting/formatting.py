"""Figures as people say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

_UNITS = {"day": 86_400, "hour": 3_600, "minute": 60}


def format_count(count: int, what: str) -> str:
    """Say how many there are of something, whose plural ends in s."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def format_duration(time: timedelta) -> str:
    """Say how long a time is, in whole units of the largest of which there are two."""
    seconds = round(abs(time).total_seconds())
    for unit, size in _UNITS.items():
        if seconds >= 2 * size:
            return format_count(seconds // size, unit)
    return f"{seconds} s"
