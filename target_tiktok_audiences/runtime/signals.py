"""SIGTERM, SIGINT and SIGHUP: the first signal ends the run; later ones do not disturb the cleanup.

A handler can only raise an exception, and that exception can get lost: DuckDB turns it into an error of its own, and
Python drops it in a `__del__` method or a weak-reference callback. So the signal is recorded, too: the record alone
determines the exit code, and `check` raises again before anything is published.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_RAISE_AGAIN_AFTER_S = 0.01


class Signals:
    """The signal received so far, and whether signals may interrupt now."""

    def __init__(self) -> None:
        self.received = 0
        """Number of the signal that ends the run; 0 if there is none."""
        self._interrupts = False

    def watch(self) -> None:
        """Install the handlers; signals are recorded from now on, and do not interrupt yet."""
        self.received, self._interrupts = 0, False
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (*STOPPING, signal.SIGALRM):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` asks to ignore it
                signal.signal(number, self._on_signal)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let the first signal raise SystemExit inside the block; outside the block, signals are only recorded.

        So no signal can come between creating a resource and the code that removes it, or disturb the cleanup.
        """
        hook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        self._interrupts = True
        try:
            self.check()
            yield
        finally:
            self._interrupts = False
            sys.unraisablehook = hook

    @contextmanager
    def held(self) -> Iterator[None]:
        """Defer signals to the end of the block."""
        interrupts, self._interrupts = self._interrupts, False
        try:
            yield
        finally:
            self._interrupts = interrupts
        if interrupts:
            self.check()

    def check(self) -> None:
        """Raise SystemExit if a signal was received."""
        if self.received:
            self._interrupts = False
            raise SystemExit(128 + self.received)

    def defer(self) -> None:
        """Stop interrupting: the remaining work must not be left half done."""
        self._interrupts = False

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or number
        if self._interrupts:
            self.check()

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Raise a dropped SystemExit again a moment later; by default Python prints it and continues."""
        if self.received and isinstance(unraisable.exc_value, SystemExit):
            self._interrupts = True
            signal.setitimer(signal.ITIMER_REAL, _RAISE_AGAIN_AFTER_S)
        else:
            sys.__unraisablehook__(unraisable)


signals = Signals()
"""The signals of this process."""
