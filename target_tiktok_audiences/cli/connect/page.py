"""What the page shows at each step, as HTML that needs nothing from anywhere else."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from target_tiktok_audiences.tiktok.advertisers import country_of, status_in_words
from target_tiktok_audiences.tiktok.oauth import scopes_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tiktok_audiences.tiktok.models import Advertiser


_MOST_LINES = 8


@dataclass(frozen=True)
class PageState:
    """One state of the page."""

    title: str
    content: str
    """HTML; all that comes from outside is escaped."""
    mood: str = ""
    follows: bool = False
    """Whether the browser looks for the next state by itself; else this is the last."""
    offers: frozenset[str] = frozenset()
    """The ad accounts that may be chosen now."""
    status: int = 200


WAITING = PageState(
    "Waiting for TikTok",
    "<p>Open the address that the terminal shows, and approve there. TikTok then sends your browser back here.</p>"
    '<p class="quiet">This page works only while the command runs.</p>',
)
BUSY = PageState(
    "TikTok has answered",
    '<p role="status">The token is fetched, and your ad accounts are looked up. This takes a few seconds.</p>',
    follows=True,
)
STRAY = PageState(
    "This answer is not for this command",
    "<p>It was ignored: its <code>state</code> is wrong, so it belongs to an earlier attempt, or is not TikTok's.</p>"
    "<p>Go back to the terminal, and open the address that stands there now.</p>",
    mood="bad",
    status=400,
)
REFUSED = PageState(
    "Not allowed",
    "<p>This request did not come from the page of this command. Go back to the terminal, and begin there.</p>",
    mood="bad",
    status=403,
)
MISSING = PageState(
    "Nothing here", "<p>Go back to the terminal, and open the address that stands there.</p>", mood="bad", status=404
)


def choose(advertisers: Sequence[Advertiser], scopes: Sequence[int], token: str) -> PageState:
    """Let the user choose one of the ad accounts; `token` proves that it was this page that asked."""
    selected = " selected" if len(advertisers) == 1 else ""
    lines = max(2, min(len(advertisers), _MOST_LINES))
    options = "".join(
        f'<option value="{escape(each.advertiser_id)}"{selected}>{escape(_line(each))}</option>' for each in advertisers
    )
    return PageState(
        "Choose the ad account",
        f"<p>TikTok has granted: {escape(scopes_in_words(scopes))}.</p>"
        "<p>Whose audiences shall be kept in step?</p>"
        f'<form method="post"><input type="hidden" name="token" value="{escape(token)}">'
        '<div hidden><label for="search">Search by name, id, country or status</label>'
        '<input id="search" type="search" autocomplete="off" spellcheck="false" aria-controls="advertiser">'
        '<p id="count" role="status"></p></div>'
        '<label for="advertiser">Ad account</label>'
        f'<select id="advertiser" name="advertiser_id" size="{lines}" required>{options}</select>'
        '<p id="chosen" aria-live="polite">Choose one in the list.</p>'
        '<button type="submit">Use this ad account</button></form>',
        follows=True,
        offers=frozenset(each.advertiser_id for each in advertisers),
    )


def done(advertiser: Advertiser, scopes: Sequence[int], kept: str) -> PageState:
    """Tell what was granted, and where it is now."""
    facts = {
        "Ad account": advertiser.name or "without a name",
        "Advertiser id": advertiser.advertiser_id,
        "Country": country_of(advertiser),
        "Status": status_in_words(advertiser),
        "Permissions": scopes_in_words(scopes),
        "Token": kept,
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    return PageState("Connected", f"<dl>{rows}</dl><p>You can close this page.</p>", mood="good")


def failed(title: str, happened: str, todo: str) -> PageState:
    """Tell what went wrong, and what to do."""
    return PageState(
        title,
        f'<p>{escape(happened)}</p><p>{escape(todo)}</p><p class="quiet">Nothing was stored. The command has ended; you'
        " can close this page.</p>",
        mood="bad",
    )


def html(view: PageState, version: int) -> bytes:
    """Write a view as a page."""
    parts = {
        "title": escape(view.title),
        "content": view.content,
        "mood": view.mood,
        "version": str(version),
        "follow": "yes" if view.follows else "",
        "refresh": '<noscript><meta http-equiv="refresh" content="2"></noscript>' if view is BUSY else "",
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], _frame()).encode()


@cache
def headers() -> dict[str, str]:
    """Give what every page is sent with: it may run and fetch nothing but its own, and leaves no trace."""
    script, style = (_hash(name) for name in ("script", "style"))
    return {
        "Content-Security-Policy": f"default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


@cache
def _frame() -> str:
    return Path(__file__).with_name("page.html").read_text("utf-8")


def _hash(element: str) -> str:
    inside = _frame().partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return f"sha256-{b64encode(sha256(inside.encode()).digest()).decode()}"


def _line(advertiser: Advertiser) -> str:
    """Say all about an ad account in one line of the list."""
    name = advertiser.name or "without a name"
    return " · ".join([name, advertiser.advertiser_id, country_of(advertiser), status_in_words(advertiser)])
