"""The executable: the Singer target, and the subcommands beside it."""

from __future__ import annotations

import gc
import sys
from importlib.metadata import version

from target_tiktok_audiences import __version__


def main() -> None:
    """Run the subcommand that is named; without one, the Singer target. The version is told without loading either."""
    if sys.argv[1:] == ["--version"]:
        print(f"target-tiktok-audiences v{__version__}, Meltano SDK v{version('singer-sdk')}")  # noqa: T201
        return
    gc.disable()  # what is loaded stays; to look for garbage in it takes a tenth of the start
    from target_tiktok_audiences.commands.group import run_command  # noqa: PLC0415 - see above

    gc.enable()
    run_command()
