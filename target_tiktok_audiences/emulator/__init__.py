"""A local TikTok Business API for demos and tests, with its own clock and fault injection.

from target_tiktok_audiences.emulator.emulator import Emulator
from target_tiktok_audiences.emulator.server import serve

with serve(Emulator(processing_hours=1)) as url:
    ...  # point your client at f"{url}/open_api/v1.3"
"""
