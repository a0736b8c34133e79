"""The system's Chromium, driven by Playwright, and pictures of what it shows."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


SCREENSHOTS = Path(os.environ.get("SCREENSHOTS") or Path(__file__).parents[2] / ".screenshots")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run it; skip where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="NO REAL-BROWSER TEST RUNS: playwright is missing")
    if not CHROMIUM:
        pytest.skip("NO REAL-BROWSER TEST RUNS: there is no Chromium; `apt-get install chromium`, or set CHROMIUM")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
