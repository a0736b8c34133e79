"""Who may do what: advertisers, access tokens with their permissions, and the codes that are exchanged for tokens."""

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
# Granting a parent grants its children.
CHILDREN = {AUDIENCE_MANAGEMENT: (READ_AUDIENCES, CHANGE_AUDIENCES, SHARE_AUDIENCES)}

# An authorisation code is valid for an hour, once.
AUTH_CODE_LIFETIME = timedelta(hours=1)


class Advertiser(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An ad account. Its time zone is far from UTC, as recorded, so that mixing up times cannot go unnoticed."""

    advertiser_id: str
    name: str = "Emulated advertiser"
    country: str = "US"
    status: str = "STATUS_ENABLE"
    timezone: str = "Etc/GMT-13"
    currency: str = "USD"

    def zone(self) -> tzinfo:
        """Find the time zone; those of fixed offset, as the default, need no time zone database."""
        fixed = re.fullmatch(r"Etc/GMT([+-]\d{1,2})", self.timezone)
        # The sign is that of POSIX: Etc/GMT-13 is ahead of UTC.
        return timezone(timedelta(hours=-int(fixed[1]))) if fixed else ZoneInfo(self.timezone)


class Grant(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a token may do; without a list of advertisers, for all there are."""

    scopes: tuple[int, ...] = (AUDIENCE_MANAGEMENT, READ_AUDIENCES, CHANGE_AUDIENCES, SHARE_AUDIENCES)
    advertiser_ids: tuple[str, ...] | None = None

    def allows(self, scope: int) -> bool:
        """Tell whether this permission, or its parent, was granted."""
        return scope in self.scopes or any(
            scope in children for parent, children in CHILDREN.items() if parent in self.scopes
        )


@dataclass
class AuthCode:
    """What the browser brings back after an approval."""

    expires: datetime
    scopes: tuple[int, ...]
    spent: bool = False


@dataclass
class Accounts:
    """All advertisers and tokens of the emulator."""

    app_id: str
    app_secret: str = field(repr=False)
    advertisers: dict[str, Advertiser] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict, repr=False)
    _codes: dict[str, AuthCode] = field(default_factory=dict, repr=False)

    @classmethod
    def made_from(cls, options: Options) -> Accounts:
        """Begin with the advertisers and the token of the options."""
        return cls(
            options.app_id,
            options.app_secret,
            {each: Advertiser(advertiser_id=each) for each in options.advertiser_ids},
            {options.token: Grant()},
        )

    def grant_of(self, token: str | None) -> Grant:
        """Find what a request's token allows, or refuse it with TikTok's recorded texts."""
        if not token:
            raise Refusal(
                Code.TOKEN_EMPTY,
                "Access token is null, you should set it in http header with key Access-Token.",
            )
        if token not in self.grants:
            raise Refusal(Code.TOKEN_INCORRECT, "Access token is incorrect or has been revoked.")
        return self.grants[token]

    def visible(self, grant: Grant) -> list[Advertiser]:
        """List the advertisers that a token may act for."""
        return [
            advertiser
            for advertiser in self.advertisers.values()
            if grant.advertiser_ids is None or advertiser.advertiser_id in grant.advertiser_ids
        ]

    def advertiser(self, grant: Grant, advertiser_id: str) -> Advertiser:
        """Find an advertiser, or refuse with the text that several clients match; unknown ones are no different."""
        for advertiser in self.visible(grant):
            if advertiser.advertiser_id == advertiser_id:
                return advertiser
        raise Refusal(Code.NO_PERMISSION, f"No permission to operate advertiser {advertiser_id}.")

    def new_auth_code(self, now: datetime, scopes: tuple[int, ...]) -> str:
        """Make the code that an approval of these permissions hands to the app."""
        code = secrets.token_hex(20)
        self._codes[code] = AuthCode(now + AUTH_CODE_LIFETIME, scopes)
        return code

    def check_app(self, app_id: str, secret: str) -> None:
        """Refuse an app that is unknown, or has another secret."""
        if app_id != self.app_id or secret != self.app_secret:
            raise Refusal(Code.WRONG_APP, "The app id or its secret is incorrect.")

    def exchange(self, auth_code: str, now: datetime) -> tuple[str, Grant]:
        """Make a token for an authorisation code. Its prefix says that it is none of TikTok's."""
        code = self._codes.get(auth_code)
        if code is None:
            raise Refusal(Code.BAD_AUTH_CODE, "The auth code is invalid.")
        if code.spent or code.expires <= now:
            raise Refusal(Code.AUTH_CODE_SPENT, "Auth code is expired or has been used.")
        code.spent = True
        token = f"emulator-{secrets.token_hex(16)}"
        self.grants[token] = Grant(scopes=code.scopes)
        return token, self.grants[token]

    def revoke(self, token: str) -> None:
        """End a token's life; nothing else does, for it never expires by time."""
        self.grant_of(token)
        del self.grants[token]

    def add(self, advertisers: Iterable[Advertiser]) -> None:
        """Add advertisers, or replace those of the same id."""
        self.advertisers.update((advertiser.advertiser_id, advertiser) for advertiser in advertisers)
