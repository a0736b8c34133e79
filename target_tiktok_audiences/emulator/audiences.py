"""Rules of an audience: its members, its pending changes, its expiry. No I/O; the current time is a parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from target_tiktok_audiences.emulator.responses import Code, Refusal
from target_tiktok_audiences.tiktok.models import AudienceType, CalculateType, UpdateAction

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from target_tiktok_audiences.emulator.options import Options


# Minimum size after an update, and minimum size of a usable new audience.
MINIMUM_SIZE = 1000
# Expiry of an audience that has never been valid (recorded).
NO_EXPIRY = datetime(2038, 1, 1, tzinfo=UTC)
LIFETIME = timedelta(days=365)
EXPIRING = timedelta(days=60)

# TikTok's text, reported for audiences of size 0, being processed, or expired.
NOT_EDITABLE = "Audience is not editable, please check audience status"
# TikTok's text, recorded by a vendor. Its numeric code is not public: 40002 here.
UNFINISHED_REPLACE = (
    "This replace operation is rejected as there is an existing unfinished replace operation for this audience. "
    "Please wait until the current operation completes on this audience before re trying. "
    "Recommend no more than one replace operation per day."
)
# The rule is documented, its text is not.
BELOW_MINIMUM_SIZE = f"The audience would have fewer than {MINIMUM_SIZE} users after this operation."


@dataclass
class HistoryEntry:
    """Entry of an audience's history; `msg` is set once a failure is known."""

    # Only `create` is recorded; the names of the other operations are the emulator's choice.
    action: str
    time: datetime
    msg: str | None = None


@dataclass(frozen=True)
class Change:
    """A creation or an update that was accepted and is being processed."""

    action: UpdateAction
    digests: AbstractSet[bytes]
    lines: int
    unreadable: int
    done: datetime
    entry: HistoryEntry
    fail_later: str | None = None


@dataclass(kw_only=True)
class Audience:
    """State of one audience."""

    audience_id: str
    owner_id: str
    name: str
    create_time: datetime
    modify_time: datetime
    audience_type: AudienceType = AudienceType.CUSTOMER_FILE
    calculate_type: CalculateType | None
    retention_in_days: int | None = None
    sub_type: str = "NORMAL"
    enhancement: bool = False
    shared_with: AbstractSet[str] = frozenset()
    members: AbstractSet[bytes] = frozenset()
    matched: int = 0
    """Number of matched users after the last change; 0 if it is below the minimum size."""
    error_msg: str | None = None
    history: list[HistoryEntry] = field(default_factory=list)
    """Newest entry first; TikTok's order is not documented."""
    processing: list[Change] = field(default_factory=list)


def combine(members: AbstractSet[bytes], action: UpdateAction, digests: AbstractSet[bytes]) -> AbstractSet[bytes]:
    """Return the members after an action: APPEND adds, REMOVE removes and REPLACE replaces members."""
    if action is UpdateAction.APPEND:
        return members | digests
    if action is UpdateAction.REMOVE:
        return members - digests
    return digests


def expected_members(audience: Audience) -> AbstractSet[bytes]:
    """Return the members after all accepted changes are processed."""
    members = audience.members
    for change in audience.processing:
        members = combine(members, change.action, change.digests)
    return members


def count_matched(members: AbstractSet[bytes], options: Options) -> int:
    """Return the number of users that match these identifiers."""
    # Rounded first, because 100 * 0.29 is less than 29 in floating point.
    return math.floor(round(len(members) * options.match_rate, 6))


def accept(audience: Audience, change: Change) -> None:
    """Queue a change for processing. An accepted change counts as a modification."""
    audience.processing.append(change)
    audience.history.insert(0, change.entry)
    audience.modify_time = change.entry.time


def settle(audience: Audience, now: datetime, options: Options) -> None:
    """Apply every change whose processing time is over."""
    while audience.processing and audience.processing[0].done <= now:
        _process(audience, audience.processing.pop(0), options)


def _process(audience: Audience, change: Change, options: Options) -> None:
    if change.unreadable:
        # Lines that cannot be parsed are a partial failure in the history; the text is the emulator's choice.
        change.entry.msg = f"{change.unreadable} of {change.lines} rows could not be parsed."
    members = combine(audience.members, change.action, change.digests)
    failure = change.fail_later
    if failure is None and change.entry.action != "create" and below_minimum_size(members, options):
        failure = BELOW_MINIMUM_SIZE
    audience.error_msg = failure
    if failure is not None:
        change.entry.msg = failure
        return
    audience.members = members
    matched = count_matched(members, options)
    # With fewer matches than the minimum size, an audience stays at size 0 and never becomes editable.
    audience.matched = matched if matched >= MINIMUM_SIZE else 0


def below_minimum_size(members: AbstractSet[bytes], options: Options) -> bool:
    """Return whether these members are too few after an update.

    Append, remove and replace fail if fewer than 1,000 members remain. Whether matched users or identifiers count, and
    whether the call or its processing fails, is not documented and therefore configurable.
    """
    counted = len(members) if options.floor_counts == "rows" else count_matched(members, options)
    return counted < MINIMUM_SIZE


def expiry(audience: Audience) -> datetime:
    """Return the time at which the audience expires.

    A retention fixes it at creation. Without one it is 365 days after the last modification.
    """
    if not audience.matched:
        return NO_EXPIRY
    if audience.retention_in_days is not None:
        return audience.create_time + timedelta(days=audience.retention_in_days)
    return audience.modify_time + LIFETIME


def is_expired(audience: Audience, now: datetime) -> bool:
    """Return whether the audience is expired: it is unavailable, has size 0 and can only be deleted."""
    return now >= expiry(audience)


def is_expiring(audience: Audience, now: datetime) -> bool:
    """Return whether the audience expires within 60 days."""
    return bool(audience.matched) and not is_expired(audience, now) and now >= expiry(audience) - EXPIRING


def is_valid(audience: Audience, now: datetime, options: Options) -> bool:
    """Return whether the audience can be used and changed: not too small, not expired, not being processed."""
    idle = not audience.processing or options.editable_while_processing
    return bool(audience.matched) and idle and not is_expired(audience, now)


def refuse_change(audience: Audience, action: UpdateAction, now: datetime, options: Options) -> None:
    """Raise `Refusal` if an update with files is not possible now."""
    if audience.audience_type is not AudienceType.CUSTOMER_FILE:
        # Only customer file audiences are made from files; the response for other types is not documented.
        raise Refusal(Code.BAD_PARAMETER, "Only a Customer File Audience can be updated by files.")
    replacing = any(change.entry.action == "replace" for change in audience.processing)
    if action is UpdateAction.REPLACE and replacing:
        raise Refusal(Code.BAD_PARAMETER, UNFINISHED_REPLACE)
    if not is_valid(audience, now, options):
        raise Refusal(Code.BAD_PARAMETER, NOT_EDITABLE)


def rename(audience: Audience, name: str, now: datetime) -> None:
    """Rename the audience.

    A rename was recorded minutes after a creation, in a sandbox where audiences never become valid. It is therefore
    allowed in every state except expired, in which only deletion is possible.
    """
    if is_expired(audience, now):
        raise Refusal(Code.BAD_PARAMETER, NOT_EDITABLE)
    audience.name = name
    audience.modify_time = now
    audience.history.insert(0, HistoryEntry("rename", now))


def change_sub_type(audience: Audience, sub_type: str, now: datetime) -> None:
    """Convert a normal audience to one for reach and frequency ads. Not reversible, and not possible for lookalikes."""
    if is_expired(audience, now):
        raise Refusal(Code.BAD_PARAMETER, NOT_EDITABLE)
    if sub_type == audience.sub_type:
        # The code is documented as "no update needed"; its use here is a guess.
        raise Refusal(Code.NO_UPDATE_NEEDED, "No update is needed.")
    if sub_type != "REACH_FREQUENCY" or audience.audience_type is AudienceType.LOOKALIKE:
        raise Refusal(Code.BAD_PARAMETER, f"audience_sub_type cannot be changed to {sub_type} for this audience.")
    audience.sub_type = sub_type
    audience.modify_time = now
    audience.history.insert(0, HistoryEntry("update_sub_type", now))
