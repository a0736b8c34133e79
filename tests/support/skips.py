"""What a run of the tests may leave out."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SKIPS_IN_CI = {
    r"scripts/test --long": "takes minutes; a shorter sibling runs each time",
    r"need Python 3.11 or older": "the newest version of these taps cannot be installed on a newer Python",
    r"this machine has no Java": "Spark needs it, and only this example needs Spark",
    r"uv cannot reach the package registry": "pip may be the only client that is configured for it",
    r"the peak of memory is asked of Linux": "macOS has no /proc to read it from",
    r"may not have mounts of its own|right to make namespaces": "not root, or a container that forbids it",
}
"""What may be skipped where `CI` is set, by a pattern of its reason, and why; any other skip fails there."""


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Fail a skip in CI unless `SKIPS_IN_CI` allows it, so that no environment leaves out tests unnoticed."""
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(re.search(pattern, reason) for pattern in SKIPS_IN_CI):
            report.outcome = "failed"
            report.longrepr = f"Skipped in CI, and not in SKIPS_IN_CI of tests/support/skips.py: {reason}"
