"""Singer target that keeps TikTok Custom Audiences in step with any table a Singer tap can read."""

from __future__ import annotations

__version__ = "0.1.0"
