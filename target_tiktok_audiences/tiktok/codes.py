"""TikTok's return codes: the meaning of each, and what to do about it.

Sources: TikTok's list of return codes and the constants of its SDK. The code in a response takes precedence over the
HTTP status.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from target_tiktok_audiences.tiktok.errors import (
    AccessDenied,
    Busy,
    DailyLimitReached,
    FileLost,
    InvalidRequest,
    Maintenance,
    NotEditable,
    NotFound,
    RateLimited,
    Refused,
    ServiceFailed,
    SignatureMismatch,
)

NO_PERMISSION = 40001
"""For one call or one advertiser; the token itself is valid."""
NO_ADVERTISER = (40300, 40301, 40302)
NO_UPDATE_NEEDED = 40012
"""The update changes nothing, so it counts as done."""

FILE_REFUSED = (40000, 40002, 40700, *range(40900, 40916))
"""The file or another parameter of an upload is not valid, but the token is."""

_MAINTENANCE = timedelta(hours=1)


@dataclass(frozen=True)
class Code:
    """One return code."""

    meaning: str
    kind: type[Refused] = Refused
    advice: str = ""
    """What to do, if it differs from the advice of the error class."""


_API_URL = "Check the host and the version in the setting `api_url`."
_SANDBOX = "TikTok's sandbox does not serve this; set `api_url` to the production host."
_ADVERTISER = "Check `advertiser_id`."
_CONNECT = "Get a new token (`target-tiktok-audiences connect`) and set `access_token`."
_APP = "Check the app at TikTok for Business Developers and authorize it again."

CODES = {
    20001: Code(
        "partially successful",
        advice="TikTok does not report which part it did not do; the next run sends the change again.",
    ),
    40000: Code("invalid parameters"),
    40001: Code("no permission, or the token lacks a scope", AccessDenied),
    40002: Code("a parameter is not valid, see the message"),
    40003: Code("forbidden", AccessDenied),
    40006: Code("wrong version of the API", advice=_API_URL),
    40007: Code("the object does not exist", NotFound),
    40008: Code("endpoint not implemented, or not in the sandbox", advice=_API_URL),
    40009: Code("not supported in the sandbox", advice=_SANDBOX),
    40010: Code("domain not supported", advice=_API_URL),
    40011: Code("too many ids in one request", InvalidRequest),
    40013: Code("no sandbox account", advice=_SANDBOX),
    40014: Code("not supported in the sandbox", advice=_SANDBOX),
    40016: Code("too many requests", RateLimited),
    40050: Code(
        "duplicated request", advice="It is unknown whether the first request took effect; the next run sends it again."
    ),
    40051: Code("wrong version of the API", advice=_API_URL),
    40061: Code("invalid batch size", InvalidRequest),
    40062: Code(
        "personal data that is not hashed", advice="Set `apply_hashing: true`, or hash the identifiers in the source."
    ),
    40100: Code("too many requests by this app", RateLimited),
    40101: Code("invalid authorization parameters", AccessDenied, _APP),
    40102: Code("the access token has expired", AccessDenied, f"The token has expired. {_CONNECT}"),
    40103: Code("the refresh token has expired", AccessDenied),
    40104: Code("the access token is empty", AccessDenied, "Set `access_token`; TikTok received an empty token."),
    40105: Code(
        "the access token is incorrect or revoked",
        AccessDenied,
        f"The token is mistyped or was revoked. {_CONNECT}",
    ),
    40106: Code("the token's user is invalid for this advertiser", AccessDenied),
    40107: Code("the refresh token is wrong", AccessDenied),
    40108: Code("the grant type is wrong", AccessDenied),
    40110: Code("the authorization code was used, canceled or has expired", AccessDenied, _APP),
    40112: Code("the password is wrong", AccessDenied),
    40113: Code("the app is blocked or unknown, or its secret is wrong", AccessDenied, _APP),
    40114: Code("the advertiser is logged out", AccessDenied),
    40115: Code("the authorization's time has expired", AccessDenied, _APP),
    40116: Code("the authorization's signature is invalid", AccessDenied, _APP),
    40117: Code("method not allowed", InvalidRequest),
    40118: Code(
        "the account is not on the allowlist, or not in a supported region",
        AccessDenied,
        "The feature is not available to this account or region; contact TikTok.",
    ),
    40119: Code("app and advertiser belong to different companies", AccessDenied, _APP),
    40124: Code("the developer's profile is not approved", AccessDenied, _APP),
    40125: Code("the developer lacks the permission", AccessDenied, _APP),
    40130: Code("the scope is not authorized", AccessDenied),
    40131: Code("the authorization of a TikTok user failed", AccessDenied, _APP),
    40132: Code("too many requests for one value of a field", RateLimited),
    40133: Code("too many requests for this advertiser", RateLimited),
    40200: Code("task error", Busy),
    40201: Code("task not ready", Busy),
    40202: Code("write conflict", Busy),
    40300: Code("the advertiser does not exist", advice=_ADVERTISER),
    40301: Code("the advertiser was deleted", advice=_ADVERTISER),
    40302: Code("the advertiser cannot be matched", advice=_ADVERTISER),
    40400: Code("route not found", advice=_API_URL),
    40700: Code("internal validation error"),
    40900: Code("the file does not match its signature", SignatureMismatch),
    40905: Code("the file does not exist", FileLost),
    40906: Code("the file is empty", InvalidRequest),
    40907: Code("the file is too large", advice="Set a smaller `batch_size_rows`."),
    40908: Code("unsupported file type", InvalidRequest),
    40909: Code("unsupported identifier type", advice="TikTok does not accept this `contract`; choose another."),
    40910: Code("the file has expired", FileLost),
    40911: Code("duplicate file name", InvalidRequest),
    40914: Code("invalid file", InvalidRequest),
    40915: Code("the file does not meet the specification", InvalidRequest),
    41000: Code(
        "the IP address is in a country that TikTok does not serve",
        AccessDenied,
        "TikTok does not serve the country of this machine's IP address.",
    ),
    41001: Code("the endpoint is offline", InvalidRequest),
    41002: Code("the field is no longer in use", InvalidRequest),
    50000: Code("system error", ServiceFailed),
    50002: Code("error on TikTok's side", ServiceFailed),
    51003: Code("error of the audience service", ServiceFailed),
    51010: Code("internal timeout", ServiceFailed),
    51021: Code("too many requests", RateLimited),
    51305: Code("error of a satellite service", ServiceFailed),
    52202: Code("timeout of the file storage", ServiceFailed),
    53000: Code("serialization error", ServiceFailed),
    60001: Code("maintenance", Maintenance),
    61000: Code("too many requests", RateLimited),
}
"""Every documented error. One code each represents the 52xxx and 53xxx (databases and storage)."""


def refusal(path: str, code: int, message: str, request_id: str | None, now: datetime) -> Refused:
    """Return the error for a code; `now`, by TikTok's clock, is used to compute when a limit ends.

    40002 covers every invalid parameter, and also an audience that is being processed or has an unfinished replace:
    only the message differs. The numeric code of the latter is not published.
    """
    entry = CODES.get(code) or Code("unknown code", ServiceFailed if code >= 50000 else Refused)  # noqa: PLR2004
    kind, advice, text = entry.kind, entry.advice, message.lower()
    if "not editable" in text or "unfinished replace" in text:
        kind, advice = NotEditable, ""
    elif kind is RateLimited and "qpd" in text:
        kind, advice = DailyLimitReached, _after_midnight(now)
    elif kind is Maintenance:
        retry_at = now + _MAINTENANCE
        advice = f"TikTok is under maintenance, which takes minutes to hours; run again after {retry_at:%H:%M} UTC."
    return kind(path, message or entry.meaning, code=code, request_id=request_id, advice=advice)


def _after_midnight(now: datetime) -> str:
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    minutes = int((midnight - now).total_seconds() // 60)
    return (
        "The app has reached its daily limit of calls; run again after 00:00 UTC, which is in"
        f" {minutes // 60} h {minutes % 60} min."
    )
