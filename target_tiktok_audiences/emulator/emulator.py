"""The state of the emulator."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from target_tiktok_audiences.emulator.accounts import Accounts
from target_tiktok_audiences.emulator.audiences import Audience, settle
from target_tiktok_audiences.emulator.clock import Bucket, Clock
from target_tiktok_audiences.emulator.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from target_tiktok_audiences.emulator.faults import Fault
    from target_tiktok_audiences.emulator.uploads import Upload


# Recorded ids have nine digits.
FIRST_AUDIENCE_ID = 195365740
# The request log drops its oldest entries, so that an emulator can run for weeks.
KEPT_REQUESTS = 100_000


@dataclass
class LoggedRequest:
    """Log entry of a request, without its token and without personal data of its body."""

    method: str
    path: str
    code: int | None = None
    """The code of the response; None if the request was dropped or the response has no envelope."""
    action: str | None = None
    """The action that was sent; for an update without one TikTok uses REPLACE."""
    audience_id: str | None = None
    files: int = 0
    """Number of files that were uploaded or referenced by their paths."""


@dataclass(kw_only=True, eq=False)
class Emulator(Options):
    """A local TikTok Business API, served by `serve` or `run`.

    The keyword options are those of `Options`. The object keeps its state even if it is served several times.
    """

    def __post_init__(self) -> None:
        """Create the state, without audiences."""
        self.clock = Clock()
        self.accounts = Accounts.from_options(self)
        self.bucket = Bucket(self.qps, self.clock.now())
        self.audiences: dict[str, Audience] = {}
        self.uploads: dict[str, Upload] = {}
        self.faults: list[Fault] = []
        self.requests: deque[LoggedRequest] = deque(maxlen=KEPT_REQUESTS)
        self._audience_ids = itertools.count(FIRST_AUDIENCE_ID)

    def now(self) -> datetime:
        """Return the emulator's time, in UTC."""
        return self.clock.now()

    def processed_at(self, accepted: datetime) -> datetime:
        """Return the time at which the processing of a change ends."""
        return accepted + timedelta(hours=self.processing_hours)

    def settled(self) -> Iterator[Audience]:
        """Yield the current state of all audiences, newest first."""
        now = self.now()
        for audience in reversed(self.audiences.values()):
            settle(audience, now, self)
            yield audience

    def settled_audience(self, audience_id: str) -> Audience | None:
        """Return the current state of an audience; None if it does not exist."""
        audience = self.audiences.get(audience_id)
        if audience is not None:
            settle(audience, self.now(), self)
        return audience

    def new_audience_id(self) -> str:
        """Return a new audience id."""
        return str(next(self._audience_ids))
