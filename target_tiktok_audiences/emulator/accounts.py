"""Advertisers, access tokens with their scopes, and authorization codes that are exchanged for tokens."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from target_tiktok_audiences.emulator.responses import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_tiktok_audiences.emulator.options import Options

AUDIENCE_MANAGEMENT = 3
READ_AUDIENCES = 30
CHANGE_AUDIENCES = 31
SHARE_AUDIENCES = 32
# Granting a parent scope grants its children.
CHILDREN = {AUDIENCE_MANAGEMENT: (READ_AUDIENCES, CHANGE_AUDIENCES, SHARE_AUDIENCES)}

# An authorization code is valid for one hour and can be used once.
AUTH_CODE_LIFETIME = timedelta(hours=1)


class Advertiser(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An ad account. Its default time zone is far from UTC, as recorded, so that tests detect confused time zones."""

    advertiser_id: str
    name: str = "Emulated advertiser"
    country: str = "US"
    status: str = "STATUS_ENABLE"
    timezone: str = "Etc/GMT-13"
    currency: str = "USD"

    def zone(self) -> tzinfo:
        """Return the time zone. Zones with a fixed offset, like the default, need no time zone database."""
        fixed = re.fullmatch(r"Etc/GMT([+-]\d{1,2})", self.timezone)
        # The sign is as in POSIX: Etc/GMT-13 is ahead of UTC.
        return timezone(timedelta(hours=-int(fixed[1]))) if fixed else ZoneInfo(self.timezone)


class Grant(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Scopes of a token, and the advertisers that it can access; None means all advertisers."""

    scopes: tuple[int, ...] = (AUDIENCE_MANAGEMENT, READ_AUDIENCES, CHANGE_AUDIENCES, SHARE_AUDIENCES)
    advertiser_ids: tuple[str, ...] | None = None

    def allows(self, scope: int) -> bool:
        """Return whether this scope or its parent was granted."""
        return scope in self.scopes or any(
            scope in children for parent, children in CHILDREN.items() if parent in self.scopes
        )


@dataclass
class AuthCode:
    """The authorization code that the browser receives after an approval."""

    expires: datetime
    scopes: tuple[int, ...]
    is_used: bool = False


@dataclass
class Accounts:
    """All advertisers and tokens of the emulator."""

    app_id: str
    app_secret: str = field(repr=False)
    advertisers: dict[str, Advertiser] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict, repr=False)
    _codes: dict[str, AuthCode] = field(default_factory=dict, repr=False)

    @classmethod
    def from_options(cls, options: Options) -> Accounts:
        """Create the advertisers and the token that the options name."""
        return cls(
            options.app_id,
            options.app_secret,
            {advertiser_id: Advertiser(advertiser_id=advertiser_id) for advertiser_id in options.advertiser_ids},
            {options.token: Grant()},
        )

    def grant_of(self, token: str | None) -> Grant:
        """Return the grant of a request's token, or raise `Refusal` with TikTok's recorded messages."""
        if not token:
            raise Refusal(
                Code.TOKEN_EMPTY,
                "Access token is null, you should set it in http header with key Access-Token.",
            )
        if token not in self.grants:
            raise Refusal(Code.TOKEN_INCORRECT, "Access token is incorrect or has been revoked.")
        return self.grants[token]

    def visible(self, grant: Grant) -> list[Advertiser]:
        """Return the advertisers that a token can access."""
        return [
            advertiser
            for advertiser in self.advertisers.values()
            if grant.advertiser_ids is None or advertiser.advertiser_id in grant.advertiser_ids
        ]

    def advertiser(self, grant: Grant, advertiser_id: str) -> Advertiser:
        """Return an advertiser, or raise `Refusal` if it is inaccessible or unknown. Several clients match the text."""
        for advertiser in self.visible(grant):
            if advertiser.advertiser_id == advertiser_id:
                return advertiser
        raise Refusal(Code.NO_PERMISSION, f"No permission to operate advertiser {advertiser_id}.")

    def new_auth_code(self, now: datetime, scopes: tuple[int, ...]) -> str:
        """Return a new authorization code for these scopes."""
        code = secrets.token_hex(20)
        self._codes[code] = AuthCode(now + AUTH_CODE_LIFETIME, scopes)
        return code

    def check_app(self, app_id: str, secret: str) -> None:
        """Raise `Refusal` if the app is unknown or its secret differs."""
        if app_id != self.app_id or secret != self.app_secret:
            raise Refusal(Code.WRONG_APP, "The app id or its secret is incorrect.")

    def exchange(self, auth_code: str, now: datetime) -> tuple[str, Grant]:
        """Exchange an authorization code for a token. The token's prefix shows that it is not one of TikTok's."""
        code = self._codes.get(auth_code)
        if code is None:
            raise Refusal(Code.BAD_AUTH_CODE, "The auth code is invalid.")
        if code.is_used or code.expires <= now:
            raise Refusal(Code.AUTH_CODE_SPENT, "Auth code is expired or has been used.")
        code.is_used = True
        token = f"emulator-{secrets.token_hex(16)}"
        self.grants[token] = Grant(scopes=code.scopes)
        return token, self.grants[token]

    def revoke(self, token: str) -> None:
        """Revoke a token. Tokens do not expire otherwise."""
        self.grant_of(token)
        del self.grants[token]

    def add(self, advertisers: Iterable[Advertiser]) -> None:
        """Add advertisers, and replace those with the same id."""
        self.advertisers.update((advertiser.advertiser_id, advertiser) for advertiser in advertisers)
