"""Our one entry inside the tap's STATE.

It stands among the bookmarks, as a dict that names a replication method: every tap that keeps bookmarks keeps such
an entry, and some crash on one without. STATE is a cache: it may be lost at any time, on a full refresh for one, so
everything here can be found out in another way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "target-tiktok-audiences"


@dataclass(frozen=True)
class RememberedAudience:
    """What one audience's entry holds; no personal data, and as many entries as audiences."""

    audience_id: str
    origin: str
    """`set` by `audience_id`, `created` by us, or `found` by its name."""
    changed_at: str | None = None
    """When TikTok accepted our last change, as ISO 8601."""
    error: str | None = None
    """What TikTok then said had gone wrong before; anything else it says later is news."""


def read(state: Mapping[str, Any]) -> dict[str, RememberedAudience]:
    """Take the audiences out of a STATE, from its bookmarks or (made by hand) its top; pass over what is malformed."""
    bookmarks = state.get("bookmarks")
    for place in (bookmarks, state):
        entry = place.get(KEY) if isinstance(place, dict) else None
        audiences = entry.get("audiences") if isinstance(entry, dict) else None
        if isinstance(audiences, dict):
            return {key: found for key, value in audiences.items() if (found := _remembered(value))}
    return {}


def write(state: Mapping[str, Any], audiences: Mapping[str, RememberedAudience]) -> dict[str, Any]:
    """Give the tap's STATE with our entry in it.

    Every key is written each time: a partial STATE is merged over the stored one, where a missing key would live on.
    """
    entry = {
        "audiences": {key: asdict(audience) for key, audience in sorted(audiences.items())},
        "last_replication_method": "FULL_TABLE",
    }
    bookmarks = state.get("bookmarks")
    return {**state, "bookmarks": {**(bookmarks if isinstance(bookmarks, dict) else {}), KEY: entry}}


def _remembered(value: object) -> RememberedAudience | None:
    if not isinstance(value, dict) or not isinstance(value.get("audience_id"), str):
        return None
    texts = {name: value.get(name) for name in ("changed_at", "error")}
    if value.get("origin") not in {"set", "created", "found"} or not all(
        t is None or isinstance(t, str) for t in texts.values()
    ):
        return None
    return RememberedAudience(value["audience_id"], value["origin"], **texts)
