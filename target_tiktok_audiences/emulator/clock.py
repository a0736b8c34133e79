"""Clock and rate limiter of the emulator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """The real time plus an adjustable offset."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the emulator's time, in UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, by: timedelta) -> None:
        """Move the clock forward, or backward if `by` is negative."""
        self._offset += by


class Bucket:
    """Token bucket with `rate` requests per second and a capacity of one second; a rate of 0 disables the limit."""

    def __init__(self, rate: int, now: datetime) -> None:
        self.rate = rate
        self._tokens = float(rate)
        self._filled = now

    def take(self, now: datetime) -> bool:
        """Take a token; return False if none is left."""
        elapsed = max(0.0, (now - self._filled).total_seconds())
        self._tokens = min(self.rate, self._tokens + self.rate * elapsed)
        self._filled = now
        if self.rate and self._tokens < 1:
            return False
        self._tokens -= 1
        return True
