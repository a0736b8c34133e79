"""The states of the page, as self-contained HTML."""

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
    """HTML. External values are escaped."""
    mood: str = ""
    follows: bool = False
    """Whether the browser polls for the next state; if False, this is the last one."""
    offers: frozenset[str] = frozenset()
    """IDs of the ad accounts that can be chosen."""
    status: int = 200


WAITING = PageState(
    "Waiting for TikTok",
    "<p>Open the address that the terminal shows, and approve there. TikTok then redirects your browser here.</p>"
    '<p class="quiet">This page works only while the command runs.</p>',
)
BUSY = PageState(
    "TikTok has responded",
    '<p role="status">Fetching the token and your ad accounts. This takes a few seconds.</p>',
    follows=True,
)
STRAY = PageState(
    "This response is not for this command",
    "<p>It was ignored: its <code>state</code> is invalid. It belongs to another attempt or is not from TikTok.</p>"
    "<p>Go back to the terminal, and open the address shown there.</p>",
    mood="bad",
    status=400,
)
REFUSED = PageState(
    "Not allowed",
    "<p>This request did not come from the page of this command. Go back to the terminal, and start there.</p>",
    mood="bad",
    status=403,
)
MISSING = PageState(
    "Page not found", "<p>Go back to the terminal, and open the address shown there.</p>", mood="bad", status=404
)


def choose(advertisers: Sequence[Advertiser], scopes: Sequence[int], token: str) -> PageState:
    """Return the page to choose an ad account. `token` protects its form against cross-site requests."""
    selected = " selected" if len(advertisers) == 1 else ""
    lines = max(2, min(len(advertisers), _MOST_LINES))
    options = "".join(
        f'<option value="{escape(each.advertiser_id)}"{selected}>{escape(_line(each))}</option>' for each in advertisers
    )
    return PageState(
        "Choose the ad account",
        f"<p>Permissions granted: {escape(scopes_in_words(scopes))}.</p>"
        "<p>Which ad account's audiences do you want to sync?</p>"
        f'<form method="post"><input type="hidden" name="token" value="{escape(token)}">'
        '<div hidden><label for="search">Search by name, id, country or status</label>'
        '<input id="search" type="search" autocomplete="off" spellcheck="false" aria-controls="advertiser">'
        '<p id="count" role="status"></p></div>'
        '<label for="advertiser">Ad account</label>'
        f'<select id="advertiser" name="advertiser_id" size="{lines}" required>{options}</select>'
        '<p id="chosen" aria-live="polite">Select one in the list.</p>'
        '<button type="submit">Use this ad account</button></form>',
        follows=True,
        offers=frozenset(each.advertiser_id for each in advertisers),
    )


def done(advertiser: Advertiser, scopes: Sequence[int], kept: str) -> PageState:
    """Return the page that shows what was granted and where the token is stored."""
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
    """Return the page that shows what went wrong, and what to do."""
    return PageState(
        title,
        f'<p>{escape(happened)}</p><p>{escape(todo)}</p><p class="quiet">Nothing was stored. The command has ended; you'
        " can close this page.</p>",
        mood="bad",
    )


def html(view: PageState, version: int) -> bytes:
    """Render a state as a page."""
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
    """Return the headers of every page: only its own script and style run, and nothing is cached."""
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
    """Return an ad account as one line of the list."""
    name = advertiser.name or "without a name"
    return " · ".join([name, advertiser.advertiser_id, country_of(advertiser), status_in_words(advertiser)])
