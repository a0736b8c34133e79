"""Which audience of TikTok's is meant, and how it stands now."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.sync.plan import AudienceStatus, Status
from target_tiktok_audiences.tiktok.errors import NotFound
from target_tiktok_audiences.tiktok.models import AudienceType

if TYPE_CHECKING:
    from datetime import datetime

    from target_tiktok_audiences.ledger.metadata import LedgerMetadata
    from target_tiktok_audiences.ledger.schema import Origin
    from target_tiktok_audiences.tiktok.client import TikTok
    from target_tiktok_audiences.tiktok.models import Audience, AudienceWithHistory

MAX_AUDIENCES = 400
"""Audiences that one advertiser may own."""

log = logging.getLogger(__name__)


class Unresolved(UserError):
    """No one audience is meant; the text says what to do."""


@dataclass(frozen=True)
class KnownAudience:
    """What the ledger, else STATE, knows of the audience from earlier runs."""

    audience_id: str | None = None
    origin: Origin | None = None
    changed_at: datetime | None = None
    creating_since: datetime | None = None
    """When a creation was sent whose answer was lost."""


@dataclass(frozen=True)
class Resolved:
    """The audience, or that there is none yet."""

    origin: Origin
    audience_id: str | None = None
    standing: AudienceStatus = field(default_factory=lambda: AudienceStatus(Status.ABSENT))
    error: str | None = None
    """What TikTok says went wrong with a change."""
    expires_at: datetime | None = None


def resolve(tiktok: TikTok, card: LedgerMetadata, known: KnownAudience) -> Resolved:
    """Find the audience: by the id that was set, else by the known one, else by its exact name. None may be there yet.

    Raises `Unresolved` where the id that was set names none or the name is not unique, and `TikTokError`.
    """
    if card.pinned and card.audience_id:
        found = tiktok.audience(card.advertiser_id, card.audience_id)
        if found is None:
            raise Unresolved(
                f"Advertiser {card.advertiser_id} has no audience {card.audience_id}. Check `audience_id`, or take it"
                " out to have the audience found by its name or created."
            )
        return _resolved(tiktok, card, found, "set", known)
    if known.audience_id:
        found = _get(tiktok, card.advertiser_id, known.audience_id)
        if found is not None:
            return _resolved(tiktok, card, found, known.origin or "found", known)
        log.warning('Audience "%s": %s, known from before, is gone; looking for its name', card.name, known.audience_id)
    listed = find_by_name(tiktok, card.advertiser_id, card.name)
    if listed is None:
        return Resolved("created")
    found = _get(tiktok, card.advertiser_id, listed.audience_id)
    if found is None:
        raise Unresolved(
            f"TikTok lists audience {listed.audience_id} of this name and cannot show it. Run again later."
        )
    made_by_us = known.creating_since and listed.created_at and listed.created_at >= known.creating_since
    return _resolved(tiktok, card, found, "created" if made_by_us else "found", KnownAudience(), listed)


def find_by_name(tiktok: TikTok, advertiser_id: str, name: str) -> Audience | None:
    """Find the audience of exactly this name; names are not unique with TikTok, so two stop the run."""
    audiences = list(tiktok.audiences(advertiser_id))
    named = [audience for audience in audiences if audience.name == name]
    if len(named) > 1:
        ids = ", ".join(audience.audience_id for audience in named)
        raise Unresolved(
            f"Advertiser {advertiser_id} has {len(named)} audiences of this name: {ids}. Set `audience_id` to the one"
            " that is meant."
        )
    if not named and sum(audience.is_creator for audience in audiences) >= MAX_AUDIENCES:
        raise Unresolved(
            f"Advertiser {advertiser_id} has {MAX_AUDIENCES} audiences, as many as TikTok allows. Delete one in TikTok"
            " Ads Manager, or set `audience_id` to fill one that exists."
        )
    return named[0] if named else None


def _get(tiktok: TikTok, advertiser_id: str, audience_id: str) -> AudienceWithHistory | None:
    """Get an audience by its id; an unknown one is an empty list or an error, TikTok does not say which."""
    try:
        return tiktok.audience(advertiser_id, audience_id)
    except NotFound:
        return None


def _resolved(
    tiktok: TikTok,
    card: LedgerMetadata,
    found: AudienceWithHistory,
    origin: Origin,
    known: KnownAudience,
    listed: Audience | None = None,
) -> Resolved:
    """Derive how an audience stands. Times come from the list alone: there they are in UTC."""
    details = found.audience_details
    listed = listed or next(tiktok.audiences(card.advertiser_id, [details.audience_id]), None)
    expires_at = listed.expires_at if listed else None
    foreign_because = _foreign_because(found, card.contract)
    if foreign_because:
        status = Status.FOREIGN
    elif expires_at and expires_at <= tiktok.now:
        status = Status.EXPIRED
    else:
        status = Status.READY if details.is_valid else Status.PROCESSING
    standing = AudienceStatus(
        status,
        size=details.cover_num or 0,
        unchanged_for=tiktok.now - known.changed_at if known.changed_at else None,
        ours=origin != "found",
        foreign_because=foreign_because,
    )
    return Resolved(origin, details.audience_id, standing, found.error, expires_at)


def _foreign_because(found: AudienceWithHistory, contract: str) -> str:
    details = found.audience_details
    if details.type != AudienceType.CUSTOMER_FILE.value:
        return f"its type is {details.type}, and only a {AudienceType.CUSTOMER_FILE.value} takes files"
    if not details.is_creator:
        return "another advertiser owns it and shares it"
    if details.calculate_type != contract:
        return f"it holds {details.calculate_type}, and the contract is {contract}"
    return ""
