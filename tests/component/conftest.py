"""Fixtures of these tests."""

from support.fixtures import browser, target, tiktok
from support.history_runs import filled
from support.process import config

__all__ = ["browser", "config", "filled", "target", "tiktok"]
