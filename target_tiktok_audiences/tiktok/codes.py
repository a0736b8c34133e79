"""TikTok's return codes: what each means, and what to do about it.

From TikTok's list of return codes and the constants of its SDK. The code in an answer counts, whatever its HTTP status.
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
"""For one call, or one advertiser: the token itself is good."""
NO_ADVERTISER = (40300, 40301, 40302)
NO_UPDATE_NEEDED = 40012
"""An update that changes nothing: it is done."""

FILE_REFUSED = (40000, 40002, 40700, *range(40900, 40916))
"""An upload whose file, or another parameter, is not right, and whose token is."""

_MAINTENANCE = timedelta(hours=1)


@dataclass(frozen=True)
class Code:
    """One return code."""

    meaning: str
    kind: type[Refused] = Refused
    advice: str = ""
    """What to do, where the kind of error does not say it."""


_API_URL = "Check the host and the version in the setting `api_url`."
_SANDBOX = "TikTok's sandbox does not serve this; set `api_url` to the production host."
_ADVERTISER = "Check `advertiser_id`."
_CONNECT = "Get a new one (`target-tiktok-audiences connect`), and set `access_token`."
_APP = "Check the app at TikTok for Business, and authorise it again."

CODES = {
    20001: Code(
        "partially successful",
        advice="What TikTok did not do is not told; what was to be changed is sent again by the next run.",
    ),
    40000: Code("invalid parameters"),
    40001: Code("no permission, or the token lacks a scope", AccessDenied),
    40002: Code("a parameter is wrong, as the message says"),
    40003: Code("forbidden", AccessDenied),
    40006: Code("wrong version of the API", advice=_API_URL),
    40007: Code("the object does not exist", NotFound),
    40008: Code("endpoint not implemented, or not in the sandbox", advice=_API_URL),
    40009: Code("not supported in the sandbox", advice=_SANDBOX),
    40010: Code("domain not supported", advice=_API_URL),
    40011: Code("too many ids in one request", InvalidRequest),
    40013: Code("no sandbox account", advice=_SANDBOX),
    40014: Code("not supported in the sandbox", advice=_SANDBOX),
    40016: Code("too frequent", RateLimited),
    40050: Code(
        "duplicated request", advice="Whether the first one was carried out is not known; the next run sends it again."
    ),
    40051: Code("wrong version of the API", advice=_API_URL),
    40061: Code("invalid batch size", InvalidRequest),
    40062: Code(
        "personal data that is not hashed", advice="Switch `apply_hashing` on, or hash the identifiers in the source."
    ),
    40100: Code("too frequent, for this app", RateLimited),
    40101: Code("invalid authorisation parameters", AccessDenied, _APP),
    40102: Code("the access token has expired", AccessDenied, f"The token has expired. {_CONNECT}"),
    40103: Code("the refresh token has expired", AccessDenied),
    40104: Code("the access token is empty", AccessDenied, "Set `access_token`; it arrives empty."),
    40105: Code(
        "the access token is incorrect or revoked",
        AccessDenied,
        f"The token is mistyped, or was revoked. {_CONNECT}",
    ),
    40106: Code("the token's user is invalid for this advertiser", AccessDenied),
    40107: Code("the refresh token is wrong", AccessDenied),
    40108: Code("the grant type is wrong", AccessDenied),
    40110: Code("the authorisation code was used, cancelled or has expired", AccessDenied, _APP),
    40112: Code("the password is wrong", AccessDenied),
    40113: Code("the app is blocked or unknown, or its secret is wrong", AccessDenied, _APP),
    40114: Code("the advertiser is logged out", AccessDenied),
    40115: Code("the authorisation's time has expired", AccessDenied, _APP),
    40116: Code("the authorisation's signature is invalid", AccessDenied, _APP),
    40117: Code("method not allowed", InvalidRequest),
    40118: Code(
        "not on the list of accounts that may, or not in this region",
        AccessDenied,
        "The feature is not open to this account or region; ask TikTok.",
    ),
    40119: Code("app and advertiser belong to different companies", AccessDenied, _APP),
    40124: Code("the developer's profile is not approved", AccessDenied, _APP),
    40125: Code("the developer lacks the permission", AccessDenied, _APP),
    40130: Code("the scope is not authorised", AccessDenied),
    40131: Code("the authorisation of a TikTok user failed", AccessDenied, _APP),
    40132: Code("too frequent, for one value of a field", RateLimited),
    40133: Code("too frequent, for this advertiser", RateLimited),
    40200: Code("task error", Busy),
    40201: Code("task not ready", Busy),
    40202: Code("write conflict", Busy),
    40300: Code("the advertiser does not exist", advice=_ADVERTISER),
    40301: Code("the advertiser was deleted", advice=_ADVERTISER),
    40302: Code("the advertiser cannot be matched", advice=_ADVERTISER),
    40400: Code("route not found", advice=_API_URL),
    40700: Code("internal validation error"),
    40900: Code("the file is not that of the signature", SignatureMismatch),
    40905: Code("the file does not exist", FileLost),
    40906: Code("the file is empty", InvalidRequest),
    40907: Code("the file is too large", advice="Set a smaller `batch_size_rows`."),
    40908: Code("unsupported kind of file", InvalidRequest),
    40909: Code("unsupported kind of identifier", advice="TikTok does not take this `contract`; choose another."),
    40910: Code("the file has expired", FileLost),
    40911: Code("duplicate name of a file", InvalidRequest),
    40914: Code("invalid file", InvalidRequest),
    40915: Code("the file does not meet the specification", InvalidRequest),
    41000: Code(
        "the address is in a country that is not served",
        AccessDenied,
        "TikTok does not serve the country of this machine's address.",
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
    53000: Code("serialisation error", ServiceFailed),
    60001: Code("maintenance", Maintenance),
    61000: Code("too many requests", RateLimited),
}
"""Every documented failure. Of the 52xxx and 53xxx, databases and storage, one each stands for all."""


def refusal(path: str, code: int, message: str, request_id: str | None, now: datetime) -> Refused:
    """Make the error that a code stands for; `now`, by TikTok's clock, tells when a limit is over.

    40002 covers every wrong parameter and, told apart by its text alone, an audience that is being processed or
    has an unfinished replace; the numeric code of the latter is not published.
    """
    known = CODES.get(code) or Code("unknown code", ServiceFailed if code >= 50000 else Refused)  # noqa: PLR2004
    kind, advice, text = known.kind, known.advice, message.lower()
    if "not editable" in text or "unfinished replace" in text:
        kind, advice = NotEditable, ""
    elif kind is RateLimited and "qpd" in text:
        kind, advice = DailyLimitReached, _after_midnight(now)
    elif kind is Maintenance:
        back = now + _MAINTENANCE
        advice = f"TikTok is under maintenance, for minutes to hours; run again after {back:%H:%M} UTC."
    return kind(path, message or known.meaning, code=code, request_id=request_id, advice=advice)


def _after_midnight(now: datetime) -> str:
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    minutes = int((midnight - now).total_seconds() // 60)
    return (
        "The app's calls of this day are used up; run again after 00:00 UTC, which is in"
        f" {minutes // 60} h {minutes % 60} min."
    )
