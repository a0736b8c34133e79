"""SIGTERM, SIGINT and SIGHUP: the first of them ends the run, and whatever comes later lets it clean up.

A handler can only raise an exception, and that may be lost on its way: DuckDB makes an error of its own of it, Python
drops it in a `__del__` or the callback of a weak reference. So the signal is noted as well: it alone decides how the
process exits, and `check` raises again before anything is published.
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
    """What has come, and whether it may interrupt."""

    def __init__(self) -> None:
        self.received = 0
        """The signal that ends the run; 0 while none does."""
        self._interrupts = False

    def watch(self) -> None:
        """Note signals from now on; none interrupts anything yet."""
        self.received, self._interrupts = 0, False
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (*STOPPING, signal.SIGALRM):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` asks to ignore it
                signal.signal(number, self._note)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let the first signal raise SystemExit wherever the block stands; before it and after it none does.

        So nothing can come between what is made and what removes it, and nothing disturbs the cleaning up.
        """
        hook, sys.unraisablehook = sys.unraisablehook, self._lost
        self._interrupts = True
        try:
            self.check()
            yield
        finally:
            self._interrupts = False
            sys.unraisablehook = hook

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let none interrupt the block; one that would have interrupts at its end."""
        interrupts, self._interrupts = self._interrupts, False
        try:
            yield
        finally:
            self._interrupts = interrupts
        if interrupts:
            self.check()

    def check(self) -> None:
        """Raise SystemExit if a signal has come."""
        if self.received:
            self._interrupts = False
            raise SystemExit(128 + self.received)

    def defer(self) -> None:
        """Interrupt nothing any more: what follows is better done than half done."""
        self._interrupts = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or number
        if self._interrupts:
            self.check()

    def _lost(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Raise once more, a moment later, what Python has dropped; it would print it, and go on."""
        if self.received and isinstance(unraisable.exc_value, SystemExit):
            self._interrupts = True
            signal.setitimer(signal.ITIMER_REAL, _RAISE_AGAIN_AFTER_S)
        else:
            sys.__unraisablehook__(unraisable)


signals = Signals()
"""Those of this process."""
