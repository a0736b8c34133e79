"""The emulator's own time, which can be moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """The real time plus whatever it has been moved."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Tell the emulator's time, in UTC."""
        return datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> None:
        """Move forward, or back; what was being processed is done if its time has come."""
        self._ahead += by


class Bucket:
    """Tokens for so many requests a second, saved up for one second at most; a rate of 0 refuses nothing."""

    def __init__(self, rate: int, now: datetime) -> None:
        self.rate = rate
        self._tokens = float(rate)
        self._filled = now

    def take(self, now: datetime) -> bool:
        """Take a token; False when there is none."""
        elapsed = max(0.0, (now - self._filled).total_seconds())
        self._tokens = min(self.rate, self._tokens + self.rate * elapsed)
        self._filled = now
        if self.rate and self._tokens < 1:
            return False
        self._tokens -= 1
        return True
