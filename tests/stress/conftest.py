"""Fixtures of these tests."""

from support.fixtures import target, tiktok
from support.fuzzing import _in_memory, log

__all__ = ["_in_memory", "log", "target", "tiktok"]
