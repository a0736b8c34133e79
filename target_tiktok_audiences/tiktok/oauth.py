"""How an app gets a token: a user approves in the browser, and the code that it brings back is exchanged, once.

authorization_url → TikTok's page → the redirect → `code_of` → `exchange` → `granted_advertisers`
"""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import msgspec

from target_tiktok_audiences.tiktok.advertisers import _place
from target_tiktok_audiences.tiktok.errors import AccessDenied
from target_tiktok_audiences.tiktok.models import Advertiser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tiktok_audiences.tiktok.client import TikTok
    from target_tiktok_audiences.tiktok.errors import TikTokError


AUDIENCE_MANAGEMENT = 3
"""The permission that holds those below."""
NEEDED_SCOPES = (30, 31)

_SCOPES = {
    AUDIENCE_MANAGEMENT: "Audience Management",
    30: "read custom audiences",
    31: "create and update custom audiences",
    32: "share custom audiences",
}

_BAD_CODE = {40101, 40110}
_SANDBOX = "sandbox-ads.tiktok.com"
_PRODUCTION = "business-api.tiktok.com"


class WrongState(Exception):
    """An answer to somebody else's question, or a forged one."""


class ConsentDenied(Exception):
    """The user has said no, or TikTok sent no code."""


class Token(msgspec.Struct, frozen=True):
    """`data` of `oauth2/access_token/`. It does not expire by time."""

    access_token: str
    scope: list[int | str] = []

    @property
    def scopes(self) -> list[int]:
        """The permissions that were granted, by TikTok's numbers; the user may have granted fewer than were asked."""
        return sorted({int(scope) for scope in self.scope if str(scope).isdecimal()})

    @property
    def missing_scopes(self) -> list[int]:
        """The needed permissions that were not granted."""
        if AUDIENCE_MANAGEMENT in self.scopes:
            return []
        return [scope for scope in NEEDED_SCOPES if scope not in self.scopes]

    def __repr__(self) -> str:
        """Leave the token out."""
        return f"Token(scopes={self.scopes})"


def authorization_url(api_url: str, app_id: str, state: str, redirect_uri: str) -> str:
    """Give the address of the page that asks the user; it is served where the API is, but for the sandbox."""
    scheme, host, *_ = urlsplit(api_url)
    query = urlencode({"app_id": app_id, "state": state, "redirect_uri": redirect_uri})
    return urlunsplit((scheme, _PRODUCTION if host == _SANDBOX else host, "/portal/auth", query, ""))


def code_of(redirect: str, state: str) -> str:
    """Take the code from the address to which TikTok has sent the browser back, or from its query alone.

    TikTok sends a `code` as well, which is of no use. Raises `WrongState` before it looks at anything else, then
    `ConsentDenied` where there is no code.
    """
    try:
        query = parse_qs(urlsplit(redirect.strip()).query, max_num_fields=20)
    except ValueError:
        query = {}
    given = query.get("state", [""])[0]
    if not secrets.compare_digest(given.encode("utf-8", "replace"), state.encode()):
        raise WrongState
    code = query.get("auth_code", [""])[0]
    if not re.fullmatch(r"[!-~]{8,1024}", code):
        raise ConsentDenied
    return code


def exchange(tiktok: TikTok, app_id: str, app_secret: str, auth_code: str) -> Token:
    """Make a token of a code. That works once, so it is not tried again unless TikTok surely did nothing."""
    body = {"app_id": app_id, "secret": app_secret, "auth_code": auth_code, "return_advertiser_ids": False}
    return tiktok.call("POST", "oauth2/access_token/", Token, json=body, harmless=False)


def is_bad_code(error: TikTokError) -> bool:
    """Tell whether TikTok refused the code itself: it has expired, was used, or is none of its own."""
    return error.code in _BAD_CODE or "auth code" in error.message.lower()


def granted_advertisers(tiktok: TikTok, app_id: str, app_secret: str) -> list[Advertiser]:
    """List the ad accounts that the client's token may act for, each once, those that can deliver first.

    Their country and status need a permission of their own, which the app may not have: then these stay unknown.
    """
    granted = tiktok.granted_advertisers(app_id, app_secret)
    found = {each.advertiser_id: Advertiser(each.advertiser_id, each.advertiser_name) for each in granted}
    with suppress(AccessDenied):
        found |= {each.advertiser_id: each for each in tiktok.advertisers(list(found)) if each.advertiser_id in found}
    return sorted(found.values(), key=_place)


def scopes_in_words(scopes: Sequence[int]) -> str:
    """Name permissions, with TikTok's numbers; not those that another holds."""
    if AUDIENCE_MANAGEMENT in scopes:
        scopes = [scope for scope in scopes if scope == AUDIENCE_MANAGEMENT or scope not in _SCOPES]
    return ", ".join(f"{_SCOPES[scope]} ({scope})" if scope in _SCOPES else str(scope) for scope in scopes) or "nothing"
