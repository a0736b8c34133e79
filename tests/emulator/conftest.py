"""Fixtures of these tests."""

from support.fixtures import tiktok

__all__ = ["tiktok"]
