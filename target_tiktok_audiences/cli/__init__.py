"""Entry point: the Singer target and its subcommands."""

from __future__ import annotations

import errno
import gc
import logging
import sys
from contextlib import suppress
from importlib.metadata import version

from target_tiktok_audiences import __version__
from target_tiktok_audiences.runtime import stdio


def main() -> None:
    """Run a subcommand, or the Singer target if none is named, and exit with its code.

    If the process that reads the output stops early, as `head` does, the exit code is 1 and no message is printed.
    """
    stdio.prepare()
    code: object = 0
    lost: OSError | None = None
    try:
        _run()
    except SystemExit as end:
        code = end.code
    except OSError as error:  # only writes of a command's output are not covered by error reporting
        lost = error
    lost = stdio.flush(sys.stdout) or lost
    if lost:
        code = code or 1
        if lost.errno != errno.EPIPE and sys.stderr:
            with suppress(OSError):
                sys.stderr.write(
                    f"Error: cannot write to standard output: {lost.strerror}. Redirect it, and run again.\n"
                )
    stdio.flush(sys.stderr)
    sys.exit(code)  # type: ignore[arg-type]


def _run() -> None:
    """Run what the command line names. The version is printed without loading it."""
    if sys.argv[1:] == ["--version"]:
        print(f"target-tiktok-audiences v{__version__}, Meltano SDK v{version('singer-sdk')}")  # noqa: T201
        return
    logging.captureWarnings(capture=True)  # log a library's warning as one line, or drop it without a log
    gc.disable()  # imported modules stay loaded; collecting garbage takes a tenth of the startup
    from target_tiktok_audiences.cli.main import run_command  # noqa: PLC0415 - see above

    gc.enable()
    run_command()
