"""OAuth authorization code flow: a user approves the app in the browser, and a one-time code is exchanged for a token.

authorization_url → TikTok's page → the redirect → `code_of` → `exchange` → `granted_advertisers`
"""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import msgspec

from target_tiktok_audiences.tiktok.advertisers import sort_key
from target_tiktok_audiences.tiktok.errors import AccessDenied
from target_tiktok_audiences.tiktok.models import Advertiser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tiktok_audiences.tiktok.client import TikTok
    from target_tiktok_audiences.tiktok.errors import TikTokError

AUDIENCE_MANAGEMENT = 3
"""The scope that includes the scopes below."""
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
    """The redirect belongs to another authorization request, or is forged."""


class ConsentDenied(Exception):
    """The user denied access, or TikTok sent no code."""


class Token(msgspec.Struct, frozen=True):
    """`data` of `oauth2/access_token/`. It does not expire by time."""

    access_token: str
    scope: list[int | str] = []

    @property
    def scopes(self) -> list[int]:
        """TikTok's numbers of the granted scopes; the user can grant fewer than the app requests."""
        return sorted({int(scope) for scope in self.scope if str(scope).isdecimal()})

    @property
    def missing_scopes(self) -> list[int]:
        """The required scopes that were not granted."""
        if AUDIENCE_MANAGEMENT in self.scopes:
            return []
        return [scope for scope in NEEDED_SCOPES if scope not in self.scopes]

    def __repr__(self) -> str:
        """Return a representation without the token."""
        return f"Token(scopes={self.scopes})"


def authorization_url(api_url: str, app_id: str, state: str, redirect_uri: str) -> str:
    """Return the URL of the consent page. It is on the host of the API, except for the sandbox."""
    scheme, host, *_ = urlsplit(api_url)
    query = urlencode({"app_id": app_id, "state": state, "redirect_uri": redirect_uri})
    return urlunsplit((scheme, _PRODUCTION if host == _SANDBOX else host, "/portal/auth", query, ""))


def code_of(redirect: str, state: str) -> str:
    """Return the authorization code from the URL that TikTok redirected the browser to, or from its query string.

    TikTok also sends a parameter `code`, which is not used. Raises `WrongState` if the state does not match, which is
    checked first, and `ConsentDenied` if there is no valid code.
    """
    try:
        query = parse_qs(urlsplit(redirect.strip()).query, max_num_fields=20)
    except ValueError:
        query = {}
    returned_state = query.get("state", [""])[0]
    if not secrets.compare_digest(returned_state.encode("utf-8", "replace"), state.encode()):
        raise WrongState
    code = query.get("auth_code", [""])[0]
    if not re.fullmatch(r"[!-~]{8,1024}", code):
        raise ConsentDenied
    return code


def exchange(tiktok: TikTok, app_id: str, app_secret: str, auth_code: str) -> Token:
    """Exchange a code for a token. A code works once, so the call is retried only if TikTok did not process it."""
    body = {"app_id": app_id, "secret": app_secret, "auth_code": auth_code, "return_advertiser_ids": False}
    return tiktok.call("POST", "oauth2/access_token/", Token, json=body, idempotent=False)


def is_bad_code(error: TikTokError) -> bool:
    """Return whether TikTok refused the code itself: it is expired, used or unknown."""
    return error.code in _BAD_CODE or "auth code" in error.message.lower()


def granted_advertisers(tiktok: TikTok, app_id: str, app_secret: str) -> list[Advertiser]:
    """Return the ad accounts that the client's token is granted access to, without duplicates, deliverable ones first.

    Country and status require a separate scope. If the app lacks it, they are None.
    """
    granted = tiktok.granted_advertisers(app_id, app_secret)
    accounts = {
        account.advertiser_id: Advertiser(account.advertiser_id, account.advertiser_name) for account in granted
    }
    with suppress(AccessDenied):
        details = tiktok.advertisers(list(accounts))
        accounts |= {account.advertiser_id: account for account in details if account.advertiser_id in accounts}
    return sorted(accounts.values(), key=sort_key)


def scopes_in_words(scopes: Sequence[int]) -> str:
    """Return the names of scopes with TikTok's numbers, without scopes that another one includes."""
    if AUDIENCE_MANAGEMENT in scopes:
        scopes = [scope for scope in scopes if scope == AUDIENCE_MANAGEMENT or scope not in _SCOPES]
    return ", ".join(f"{_SCOPES[scope]} ({scope})" if scope in _SCOPES else str(scope) for scope in scopes) or "nothing"
