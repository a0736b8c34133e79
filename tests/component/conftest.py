"""Fixtures of these tests."""

from support.fixtures import browser, target, tiktok
from support.fuzzing import _in_memory, log
from support.history_runs import filled
from support.process import config

__all__ = ["_in_memory", "browser", "config", "filled", "log", "target", "tiktok"]
