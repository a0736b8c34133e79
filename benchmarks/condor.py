"""The floor's loop around the hashing of `condor-retl-tiktok-ads`: `condor.py COLUMN FILE < stream`.

It runs in an environment of its own, which has that package and msgspec.
"""

from __future__ import annotations

import sys
from pathlib import Path

from floor import blocks
from retl_tiktok_ads.common import tiktok_identifier_value

if __name__ == "__main__":
    column, file = sys.argv[1:]
    with Path(file).open("w", encoding="ascii") as lines:
        for block in blocks(column):
            lines.writelines(
                [tiktok_identifier_value(column, m.record.value) + "\n" for m in block if m.record and m.record.value]
            )
