"""Our one entry inside the tap's STATE.

It stands among the bookmarks, as a dict that names a replication method: every tap that keeps bookmarks keeps such
an entry, and some crash on one without. STATE is a cache: it may be lost at any time, on a full refresh for one, so
everything here can be found out in another way.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from target_tiktok_audiences.ledger.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEY = "target-tiktok-audiences"

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


AudienceId = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,32}\Z")]

DEEPEST = 100
"""Levels of a STATE that can be passed on: it is copied and written by recursion, in the SDK and by us."""


class AudienceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What one audience's entry holds; no personal data, and as many entries as audiences."""

    audience_id: AudienceId | None
    """None while it is not created."""
    origin: Origin | None
    ledger: str | None = None
    commit: int = 0
    """The ledger, and how far it was: one that is another, or behind, is not the ledger that this STATE saw."""
    parts: dict[str, int] = {}
    """People of each stream."""
    desired: int = 0
    digest: str | None = None
    """Order-free digest of the delivered set; None while anything waits or is unsure."""
    exact: bool = False
    """Whether the audience holds nobody else; not so of one that others have filled, and we only added to."""
    changed_at: Moment | None = None
    """When TikTok accepted our last change."""
    error: str | None = None
    """What TikTok then said had gone wrong before; anything else it says later is news."""
    held: bool = False
    """Whether something waits in the ledger that the tap will not send again."""


def read(state: Mapping[str, Any]) -> dict[str, AudienceEntry]:
    """Take the audiences out of a STATE, from its bookmarks or (made by hand) its top; pass over what is malformed."""
    bookmarks = state.get("bookmarks")
    for place in (bookmarks, state):
        entry = place.get(KEY) if isinstance(place, dict) else None
        audiences = entry.get("audiences") if isinstance(entry, dict) else None
        if isinstance(audiences, dict):
            return {key: found for key, value in audiences.items() if (found := _remembered(value))}
    return {}


def is_too_deep(state: object) -> bool:
    """Tell whether a STATE is nested deeper than `DEEPEST`; asked before anything is sent."""
    level = [state]
    for _ in range(DEEPEST):
        level = [value for outer in level for value in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def write(state: Mapping[str, Any], audiences: Mapping[str, AudienceEntry]) -> dict[str, Any]:
    """Give the tap's STATE with our entry in it.

    Every key is written each time: a partial STATE is merged over the stored one, where a missing key would live on.
    """
    entry = {
        "audiences": {key: msgspec.to_builtins(audience) for key, audience in sorted(audiences.items())},
        "last_replication_method": "FULL_TABLE",
    }
    bookmarks = state.get("bookmarks", {})
    if not isinstance(bookmarks, dict):
        return {**state, KEY: entry}  # a tap that keeps something else under that name
    return {**state, "bookmarks": {**bookmarks, KEY: entry}}


def _remembered(value: object) -> AudienceEntry | None:
    try:
        return msgspec.convert(value, AudienceEntry)
    except (msgspec.ValidationError, UnicodeError):  # the latter for half a surrogate pair where a word is due
        return None
