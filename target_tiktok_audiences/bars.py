"""Progress on a terminal: one line on standard error, below what is logged, and gone at the end."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from target_tiktok_audiences.progress import Progress
from target_tiktok_audiences.text import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Display


def begin_progress() -> Progress:
    """Give bars if somebody looks on, else log lines."""
    return Bars() if sys.stderr and sys.stderr.isatty() else Progress()


class Bars(Progress):
    """Draws a bar, where a run takes long enough to be looked at. No thread does: whoever works tells."""

    every_s = 0.1
    first_after_s = 0.5

    def __init__(self) -> None:
        super().__init__()
        self._display: Display | None = None
        self._moved: list[tuple[logging.StreamHandler[_Above], object]] = []

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
                handler.stream = _Above(console)
        return self._display


class _Above:
    """Where log lines go while there is a bar: above it, as they are."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415 - see above

        self._console.print(Text.from_ansi(text), soft_wrap=True, end="")

    def flush(self) -> None:
        """Leave nothing waiting: `write` does not."""
