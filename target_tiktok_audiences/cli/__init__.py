"""The executable: the Singer target, and the subcommands beside it."""

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
    """Run the subcommand that is named, or else the Singer target; exit with its code, whatever becomes of its output.

    A reader that stops early, as `head` does, ends a command with exit code 1 and no message.
    """
    stdio.prepare()
    code: object = 0
    lost: OSError | None = None
    try:
        _run()
    except SystemExit as end:
        code = end.code
    except OSError as error:  # only a command's output is written outside what reports errors
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
    logging.captureWarnings(capture=True)  # a library's warning is one line of the log, or nothing where there is none
    gc.disable()  # what is loaded stays; to look for garbage in it takes a tenth of the start
    from target_tiktok_audiences.cli.main import run_command  # noqa: PLC0415 - see above

    gc.enable()
    run_command()
