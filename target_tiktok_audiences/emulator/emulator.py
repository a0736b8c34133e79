"""All that the emulator knows, in one object."""

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
# The log of requests forgets the oldest ones, so that an emulator can run for weeks.
KEPT_REQUESTS = 100_000


@dataclass
class LoggedRequest:
    """What may be told about a request: nothing of its token, and nothing of its body that could be personal."""

    method: str
    path: str
    code: int | None = None
    """The code that it was answered with; none if it was dropped, or answered with something else than an envelope."""
    action: str | None = None
    """The action as it was sent; TikTok takes REPLACE for an update without one."""
    audience_id: str | None = None
    files: int = 0
    """Files uploaded, or named by their paths."""


@dataclass(kw_only=True, eq=False)
class Emulator(Options):
    """A TikTok Business API of your own, to be run by `serve`.

    The keyword options are those of `Options`. The state lives as long as the object, however often it is served.
    """

    def __post_init__(self) -> None:
        """Begin with no audiences."""
        self.clock = Clock()
        self.accounts = Accounts.made_from(self)
        self.bucket = Bucket(self.qps, self.clock.now())
        self.audiences: dict[str, Audience] = {}
        self.uploads: dict[str, Upload] = {}
        self.faults: list[Fault] = []
        self.requests: deque[LoggedRequest] = deque(maxlen=KEPT_REQUESTS)
        self._audience_ids = itertools.count(FIRST_AUDIENCE_ID)

    def now(self) -> datetime:
        """Tell the emulator's time, in UTC."""
        return self.clock.now()

    def processed_at(self, accepted: datetime) -> datetime:
        """Tell when the processing of a change will be over."""
        return accepted + timedelta(hours=self.processing_hours)

    def settled(self) -> Iterator[Audience]:
        """Go through all audiences, the newest first, as they are now."""
        now = self.now()
        for audience in reversed(self.audiences.values()):
            settle(audience, now, self)
            yield audience

    def settled_audience(self, audience_id: str) -> Audience | None:
        """Find an audience as it is now."""
        audience = self.audiences.get(audience_id)
        if audience is not None:
            settle(audience, self.now(), self)
        return audience

    def new_audience_id(self) -> str:
        """Make an id that no audience has had."""
        return str(next(self._audience_ids))
