"""The demo, in full: it checks each act by itself. A minute and more, so it runs with TEST_LONG alone."""

from __future__ import annotations

import os
import subprocess

import pytest
from support.pages import ROOT


@pytest.mark.skipif(not os.environ.get("TEST_LONG"), reason="scripts/test --long")
@pytest.mark.xdist_group("end to end")  # Meltano is heavy: not beside the other projects
def test_every_act_comes_true() -> None:
    demo = subprocess.run([ROOT / "scripts/demo"], capture_output=True, text=True, check=False, timeout=600)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stdout.count("exactly as expected") > 10
