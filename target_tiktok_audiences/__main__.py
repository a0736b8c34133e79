"""`python -m target_tiktok_audiences`."""

from __future__ import annotations

from target_tiktok_audiences.cli import main

main()
