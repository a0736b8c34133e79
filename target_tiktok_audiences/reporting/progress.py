"""Progress of a run: log lines every half minute, or a bar on a terminal."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from target_tiktok_audiences.runtime.sanitize import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.progress import Progress as Display

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


def begin_progress() -> Progress:
    """Give bars if somebody looks on, else log lines."""
    return ProgressBar() if sys.stderr and sys.stderr.isatty() else Progress()


class ProgressBar(Progress):
    """Draws a bar, where a run takes long enough to be looked at. No thread does: whoever works tells."""

    every_s = 0.1
    first_after_s = 0.5

    def __init__(self) -> None:
        super().__init__()
        self._display: Display | None = None
        self._moved: list[tuple[logging.StreamHandler[_LogAboveBar], object]] = []

    def close(self) -> None:
        """Take the bar away, and let log lines go where they went."""
        super().close()
        for handler, stream in self._moved:
            handler.stream = stream  # type: ignore[assignment]
        self._moved.clear()
        if self._display:
            with suppress(OSError):  # the terminal is closed
                self._display.stop()
            self._display = None

    def _show(self, text: str, share: float | None = None) -> None:
        try:
            display = self._display or self._draw(text)
            total = None if share is None else 1.0
            display.update(display.task_ids[0], description=one_line(text), total=total, completed=share or 0)
            display.refresh()
        except OSError:
            self.close()

    def _draw(self, text: str) -> Display:
        from rich.console import Console  # noqa: PLC0415 - rich takes long to load
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
        from rich.progress import Progress as Display  # noqa: PLC0415
        from rich.table import Column  # noqa: PLC0415

        console = Console(stderr=True)
        words = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
        self._display = Display(
            words,
            BarColumn(bar_width=16),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,  # STATE goes there
            redirect_stderr=False,
        )
        self._display.add_task(one_line(text), total=None)
        self._display.start()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
                self._moved.append((handler, handler.stream))
                handler.stream = _LogAboveBar(console)
        return self._display


class _LogAboveBar:
    """Where log lines go while there is a bar: above it, as they are."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415 - see above

        self._console.print(Text.from_ansi(text), soft_wrap=True, end="")

    def flush(self) -> None:
        """Leave nothing waiting: `write` does not."""
