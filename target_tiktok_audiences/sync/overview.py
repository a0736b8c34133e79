"""What is at TikTok, what the ledgers say, and what the configuration names, brought together. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from target_tiktok_audiences.config.settings import Feed
    from target_tiktok_audiences.ledger.snapshot import LedgerSnapshot
    from target_tiktok_audiences.tiktok.models import Audience

PROCESSED_AFTER = timedelta(hours=48)


class State(StrEnum):
    """Where an audience stands."""

    READY = "ready"
    PROCESSING = "processing"
    TOO_SMALL = "too small"
    """Still without a size long after our own last change."""
    UNSIZED = "no size yet"
    """It is being processed, or too small: TikTok does not tell, and no ledger here knows of a change."""
    EXPIRED = "expired"
    AMBIGUOUS = "ambiguous"
    """Several have its name, and none is known to be meant."""
    NOT_CREATED = "not created"
    GONE = "gone"
    """The ledger knows its id, and TikTok does not list it."""
    UNKNOWN = "unknown"
    """TikTok could not be asked."""


@dataclass(frozen=True)
class Entry:
    """One audience: as TikTok lists it, as its ledger has it, as a feed names it; each may be missing."""

    advertiser_id: str
    listed: Audience | None = None
    look: LedgerSnapshot | None = None
    feed: Feed | None = None
    asked: bool = True
    """Whether TikTok could be asked for it."""
    twins: tuple[str, ...] = ()
    """The ids of the audiences of its name, where there are several and none is known to be meant."""

    @property
    def ours(self) -> bool:
        """Whether a ledger or a feed is about it."""
        return bool(self.look or self.feed)

    @property
    def audience_id(self) -> str | None:
        """Its id, as far as anybody knows it."""
        if self.listed:
            return self.listed.audience_id
        return (self.look.audience_id if self.look else None) or (self.feed.audience_id if self.feed else None)

    @property
    def name(self) -> str:
        """Its name: TikTok's, else the one that the feeds gave it."""
        names = [
            self.listed.name if self.listed else None,
            self.look.card.name if self.look else None,
            self.feed.audience_name if self.feed else None,
        ]
        return next(filter(None, names), "of this id")

    @property
    def contract(self) -> str | None:
        """The contract that we fill it by; None where it is not ours."""
        if self.look:
            return self.look.card.contract
        return self.feed.contract.name if self.feed else None

    def state(self, now: datetime) -> State:
        """Tell where it stands."""
        if self.twins:
            return State.AMBIGUOUS
        if self.listed is None:
            absent = State.GONE if self.audience_id else State.NOT_CREATED
            return absent if self.asked else State.UNKNOWN
        if self.listed.expires_at and self.listed.expires_at <= now:
            return State.EXPIRED
        if self.listed.is_valid:
            return State.READY
        facts = self.look.facts if self.look else None
        changed = [self.listed.created_at, facts.changed_at if facts else None]
        if any(at and now - at <= PROCESSED_AFTER for at in changed):
            return State.PROCESSING
        return State.TOO_SMALL if facts and facts.changed_at else State.UNSIZED


def bring_together(
    advertiser_id: str, listed: Sequence[Audience] | None, looks: Sequence[LedgerSnapshot], feeds: Sequence[Feed]
) -> list[Entry]:
    """Give one entry for each audience of an advertiser, ours first; without `listed` TikTok could not be asked."""
    looks = [look for look in looks if look.card.advertiser_id == advertiser_id]
    feeds = [feed for feed in feeds if feed.advertiser_id == advertiser_id]
    ours: list[Entry] = []
    for look in looks:
        found, twins = _find(listed or (), look.audience_id, look.card.name)
        feed = next((feed for feed in feeds if _is_of(feed, look)), None)
        ours.append(Entry(advertiser_id, found, look, feed, listed is not None, twins))
    for feed in feeds:
        named = feed.audience_id or feed.audience_name
        if named and not any(_is_of(feed, look) for look in looks) and feed not in (entry.feed for entry in ours):
            found, twins = _find(listed or (), feed.audience_id, feed.audience_name)
            ours.append(Entry(advertiser_id, found, None, feed, listed is not None, twins))
    known = {entry.listed.audience_id for entry in ours if entry.listed}
    others = [Entry(advertiser_id, audience) for audience in listed or () if audience.audience_id not in known]
    return [*ours, *others]


def _is_of(feed: Feed, look: LedgerSnapshot) -> bool:
    if feed.contract.name != look.card.contract:
        return False
    if feed.audience_id:
        return feed.audience_id == look.audience_id
    return feed.audience_name == look.card.name


def _find(
    listed: Sequence[Audience], audience_id: str | None, name: str | None
) -> tuple[Audience | None, tuple[str, ...]]:
    """Find an audience as a run would: by its id, else by its exact name."""
    if audience_id:
        return next((audience for audience in listed if audience.audience_id == audience_id), None), ()
    named = [audience for audience in listed if audience.name == name]
    if len(named) > 1:
        return None, tuple(audience.audience_id for audience in named)
    return (named[0] if named else None), ()
