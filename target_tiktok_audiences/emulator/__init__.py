"""A local TikTok Business API for demos and tests: audiences as sets, a clock of its own, faults on order.

with serve(Emulator(processing_hours=1)) as url:
    ...  # point your client at f"{url}/open_api/v1.3"
"""

from __future__ import annotations

__all__ = ["Emulator", "run", "serve"]
