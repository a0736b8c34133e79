"""How far a run is, while it is at it: a line in the log every half minute, or a bar on a terminal."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_LOOK_EVERY = 100
"""Records between two looks at the clock, where they come one by one."""


class Progress:
    """Tells by log lines, each some time after the one before. It asks for the time now and then, and costs no more."""

    every_s = 30.0
    first_after_s = 30.0

    def __init__(self) -> None:
        self._records = self._look_at = 0
        self._told = False
        self._due = time.monotonic() + self.first_after_s

    def read(self, count: int, rejected: Callable[[], int]) -> None:
        """Take note of records that were read; `rejected` counts those that were rejected so far."""
        self._records += count
        if self._records < self._look_at:
            return
        self._look_at = self._records + _LOOK_EVERY
        if self._is_due():
            self._show(f"Read {self._records:,} records, {rejected():,} rejected")

    def compare(self, audience: str) -> None:
        """Tell that an audience's people are compared now, which gives no figures until it is done."""
        if self._told or self._is_due():  # what was told last would stand there all the while
            self._show(f'Audience "{audience}": comparing its people')

    def upload(self, audience: str, number: int, files: int) -> Callable[[int, int], None]:
        """Give what takes note of the bytes of a file that are sent, and of all that it has."""

        def sent(done: int, size: int) -> None:
            if self._is_due():
                text = f'Audience "{audience}": sent {done:,} of {size:,} bytes of file {number} of {files}'
                self._show(text, (number - 1 + done / max(size, 1)) / files)

        return sent

    def close(self) -> None:
        """Tell nothing any more, and leave nothing behind."""
        self._due, self._told = float("inf"), False

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now < self._due:
            return False
        self._due, self._told = now + self.every_s, True
        return True

    def _show(self, text: str, share: float | None = None) -> None:  # noqa: ARG002 - for a bar
        log.info("%s", text)
