"""Fixtures of these tests."""

from support.fixtures import browser, target, tiktok
from support.history_runs import filled

__all__ = ["browser", "filled", "target", "tiktok"]
