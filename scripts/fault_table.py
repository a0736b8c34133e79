"""Fault table: how a run ends for each persistent fault of TikTok or the connection, at each endpoint.

scripts/docs.py generates docs/reference/faults.md from it; tests/component/test_fault_table.py runs one row
of each kind, and with `--long` every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class End:
    """How a call ends if the same fault occurs each time."""

    name: str
    meaning: str
    calls: int | None = None
    """Number of attempts; None if `pauses_s` determines it."""
    pauses_s: tuple[float, float] = (0, 0)
    """Minimum and maximum of all pauses together."""
    exit_code: int = 1
    outcome: str = "failed"


FAILS = End("fails", "The call is made once. The run prints what to do and exits with 1.", calls=1)
TWICE = End("one retry", "The call is made twice, then as *fails*.", calls=2, pauses_s=(0, 3))
FRESH = End("new files", "All files are uploaded again and the call is made a second time, then as *fails*.", calls=2)
SHORT = End(
    "2 min", "The call is retried for up to two minutes with growing pauses, then as *fails*.", pauses_s=(50, 120)
)
LONG = End("15 min", "As *2 min*, for up to fifteen minutes.", pauses_s=(590, 900))
LOST = End(
    "unconfirmed",
    "The call is made once and not retried, because it may have taken effect; the run exits with 1. This run and the"
    " next look for the audience by its name before they create one; the next run sends an update again.",
    calls=1,
)
HELD = End(
    "held",
    "The call is made once. The run logs a warning and exits with 0; the changes stay pending and are sent by a later"
    " run. After 72 hours the run exits with 1.",
    calls=1,
    exit_code=0,
    outcome="held",
)
DONE = End("done", "The call counts as successful.", calls=1, exit_code=0, outcome="ok")

FOUND = End(
    "found",
    "The call is made once; the run then finds the new audience by its name and continues.",
    calls=1,
    exit_code=0,
    outcome="ok",
)

ENDS = (FAILS, TWICE, FRESH, SHORT, LONG, LOST, FOUND, HELD, DONE)


@dataclass(frozen=True)
class Endpoint:
    """A call that a run makes, and whether the run emits state if the call fails."""

    path: str
    column: str
    when: str
    state_goes_out: bool


ENDPOINTS = (
    Endpoint("/user/info/", "reading", "a credential check", state_goes_out=False),
    Endpoint("/advertiser/info/", "reading", "a credential check", state_goes_out=False),
    Endpoint("/dmp/custom_audience/list/", "reading", "searching for an audience by its name", state_goes_out=False),
    Endpoint("/dmp/custom_audience/get/", "reading", "reading a known audience", state_goes_out=False),
    Endpoint("/dmp/custom_audience/file/upload/", "uploading", "uploading a file, in a later run", state_goes_out=True),
    Endpoint("/dmp/custom_audience/create/", "creating", "creating an audience, in a first run", state_goes_out=False),
    Endpoint("/dmp/custom_audience/update/", "updating", "changing an audience, in a later run", state_goes_out=True),
)


@dataclass(frozen=True)
class Row:
    """One fault: `order` is a fault injection of the emulator, `detour` a wrong address that the call is sent to."""

    what: str
    reading: End
    uploading: End
    creating: End
    updating: End
    advice: str
    """The part of the last line that tells the user what to do."""
    order: dict[str, Any]
    detour: str


ROLE = "after a change, get a new token: `target-tiktok-audiences connect`."
RENEW = "Get a new token (`target-tiktok-audiences connect`) and set `access_token`."
APP = "Check the app at TikTok for Business Developers and authorize it again."
SETTING = "Correct the setting that TikTok names."
API_URL = "Check the host and the version in the setting `api_url`."
SANDBOX = "TikTok's sandbox does not serve this; set `api_url` to the production host."
ADVERTISER = "Check `advertiser_id`."
REPORT = "Internal error, or TikTok's API has changed; please report this line."
TIER = "Run fewer pipelines of this app at a time, or ask TikTok for a higher tier."
BUSY = "Something else is changing the audience at the same time; run again later."
SUPPORT = "Run again later; if the error persists, contact TikTok's support with the request id."
NETWORK = "Check the network, the proxy and the setting `api_url`."
PROXY = "Check the proxy and the setting `api_url`."
AGAIN = "Run again; if the error persists, check the network and the proxy."
PROCESSING = "TikTok is still processing the audience, which takes up to 48 hours; run again later."
UPLOAD_AGAIN = "Run again to upload the files again."


def _row(what: str, advice: str, *ends: End, order: dict[str, Any] | None = None, detour: str = "") -> Row:
    """Create a row from one end for all columns, or from one end per column."""
    reading, uploading, creating, updating = ends if len(ends) > 1 else ends * 4
    return Row(what, reading, uploading, creating, updating, advice, order or {}, detour)


def _code(code: int, meaning: str, advice: str, *ends: End, message: str = "Emulated.") -> Row:
    return _row(f"{code} {meaning}", advice, *ends, order={"code": code, "message": message})


def _http(what: str, advice: str, *ends: End, **order: Any) -> Row:
    return _row(what, advice, *ends, order=order)


_RETRIED_OR_UNCONFIRMED = (LONG, LONG, LOST, LOST)
_AFTER_THE_EFFECT = (LONG, LONG, FOUND, LOST)
_ONCE_OR_UNCONFIRMED = (FAILS, FAILS, LOST, LOST)

UNFINISHED = (
    "This replace operation is rejected as there is an existing unfinished replace operation for this audience."
    " Please wait until the current operation completes on this audience before re trying."
)

CODES = (
    _code(20001, "partially successful", "the next run sends the change again.", *_ONCE_OR_UNCONFIRMED),
    _code(40000, "invalid parameters", SETTING, FAILS),
    _code(40001, "no permission", ROLE, FAILS, message="No permission to operate advertiser 7."),
    _code(40002, "parameter error", SETTING, FAILS, message="Missing required field(s): x."),
    _code(
        40002,
        "not editable",
        PROCESSING,
        *(FAILS, HELD, HELD, HELD),
        message="Audience is not editable, please check audience status",
    ),
    _code(40002, "unfinished replace", PROCESSING, *(FAILS, HELD, HELD, HELD), message=UNFINISHED),
    _code(40003, "forbidden", ROLE, FAILS),
    _code(40006, "wrong version", API_URL, FAILS),
    _code(40007, "does not exist", "Check `audience_id`", FAILS),
    _code(40008, "not implemented", API_URL, FAILS),
    _code(40009, "not in the sandbox", SANDBOX, FAILS),
    _code(40010, "domain not supported", API_URL, FAILS),
    _code(40011, "too many ids", REPORT, FAILS),
    _code(40012, "no update needed", SETTING, *(FAILS, FAILS, FAILS, DONE)),
    _code(40013, "no sandbox account", SANDBOX, FAILS),
    _code(40014, "not in the sandbox", SANDBOX, FAILS),
    _code(40016, "too many requests", TIER, LONG),
    _code(40050, "duplicated request", "the next run sends it again.", *_ONCE_OR_UNCONFIRMED),
    _code(40051, "wrong version", API_URL, FAILS),
    _code(40061, "invalid batch size", REPORT, FAILS),
    _code(40062, "not hashed", "Set `apply_hashing: true`, or hash the identifiers in the source.", FAILS),
    _code(40100, "too many requests, per second", TIER, LONG, message="App reaches the QPS limit 10"),
    _code(40100, "too many requests, per minute", TIER, LONG, message="App reaches the QPM limit 600"),
    _code(40100, "too many requests, per day", "run again after 00:00 UTC", FAILS, message="The QPD limit is reached"),
    _code(40101, "invalid authorization", APP, FAILS),
    _code(40102, "token expired", RENEW, FAILS),
    _code(40103, "refresh token expired", ROLE, FAILS),
    _code(40104, "token empty", "Set `access_token`; TikTok received an empty token.", FAILS),
    _code(40105, "token incorrect or revoked", RENEW, FAILS),
    _code(40106, "user invalid for this advertiser", ROLE, FAILS),
    _code(40107, "refresh token wrong", ROLE, FAILS),
    _code(40108, "grant type wrong", ROLE, FAILS),
    _code(40110, "authorization code used or expired", APP, FAILS),
    _code(40112, "password wrong", ROLE, FAILS),
    _code(40113, "app blocked or unknown", APP, FAILS),
    _code(40114, "advertiser logged out", ROLE, FAILS),
    _code(40115, "authorization's time expired", APP, FAILS),
    _code(40116, "authorization's signature invalid", APP, FAILS),
    _code(40117, "method not allowed", REPORT, FAILS),
    _code(
        40118,
        "not available to this account or region",
        "is not available to this account or region; contact TikTok.",
        FAILS,
    ),
    _code(40119, "app and advertiser of different companies", APP, FAILS),
    _code(40124, "developer not approved", APP, FAILS),
    _code(40125, "developer lacks the permission", APP, FAILS),
    _code(40130, "scope not authorized", ROLE, FAILS),
    _code(40131, "authorization of a user failed", APP, FAILS),
    _code(40132, "too many requests, for a value", TIER, LONG),
    _code(
        40133,
        "too many requests, for this advertiser",
        TIER,
        LONG,
        message="Advertiser (7)'s QPS (9) reaches QPS limit",
    ),
    _code(40200, "task error", BUSY, LONG),
    _code(40201, "task not ready", BUSY, LONG),
    _code(40202, "write conflict", BUSY, LONG),
    _code(40300, "advertiser does not exist", ADVERTISER, FAILS),
    _code(40301, "advertiser deleted", ADVERTISER, FAILS),
    _code(40302, "advertiser cannot be matched", ADVERTISER, FAILS),
    _code(40400, "route not found", API_URL, FAILS),
    _code(40700, "internal validation error", SETTING, FAILS),
    _code(40900, "signature mismatch", "arrived damaged; check the network and run again.", TWICE),
    _code(40905, "file does not exist", UPLOAD_AGAIN, *(FAILS, FRESH, FRESH, FRESH)),
    _code(40906, "file empty", REPORT, FAILS),
    _code(40907, "file too large", "Set a smaller `batch_size_rows`.", FAILS),
    _code(40908, "file type unsupported", REPORT, FAILS),
    _code(40909, "identifier type unsupported", "TikTok does not accept this `contract`; choose another.", FAILS),
    _code(40910, "file expired", UPLOAD_AGAIN, *(FAILS, FRESH, FRESH, FRESH)),
    _code(40911, "duplicate file name", REPORT, FAILS),
    _code(40914, "file invalid", REPORT, FAILS),
    _code(40915, "file does not meet the specification", REPORT, FAILS),
    _code(41000, "country not served", "TikTok does not serve the country of this machine's IP address.", FAILS),
    _code(41001, "endpoint offline", REPORT, FAILS),
    _code(41002, "field not in use", REPORT, FAILS),
    _code(50000, "system error", SUPPORT, *_RETRIED_OR_UNCONFIRMED),
    _code(50002, "error on TikTok's side", SUPPORT, *_RETRIED_OR_UNCONFIRMED),
    _code(51003, "audience service", SUPPORT, *_RETRIED_OR_UNCONFIRMED),
    _code(51010, "internal timeout", SUPPORT, *_RETRIED_OR_UNCONFIRMED),
    _code(51021, "too many requests", TIER, *_RETRIED_OR_UNCONFIRMED),
    _code(51305, "satellite service", SUPPORT, *_RETRIED_OR_UNCONFIRMED),
    _code(52202, "file storage (52xxx)", SUPPORT, *_RETRIED_OR_UNCONFIRMED),
    _code(53000, "serialization (53xxx)", SUPPORT, *_RETRIED_OR_UNCONFIRMED),
    _code(
        60001,
        "maintenance",
        "TikTok is under maintenance, which takes minutes to hours; run again after",
        *_ONCE_OR_UNCONFIRMED,
    ),
    _code(61000, "too many requests", TIER, *_RETRIED_OR_UNCONFIRMED),
    _code(49999, "an unknown code", SETTING, FAILS),
    _code(59999, "an unknown code", SUPPORT, *_RETRIED_OR_UNCONFIRMED),
)
"""TikTok's return codes."""

TRANSPORT = (
    _row("connection refused", NETWORK, SHORT, detour="http://127.0.0.1:9"),
    _row("unknown host (DNS)", NETWORK, SHORT, detour="http://nowhere.invalid"),
    _row("TLS handshake fails", NETWORK, SHORT, detour="https://{host}"),
    _http("timeout, takes no effect", AGAIN, *_RETRIED_OR_UNCONFIRMED, delay_s=0.3, drop="before"),
    _http("timeout, takes effect later", AGAIN, *_RETRIED_OR_UNCONFIRMED, delay_s=0.3),
    _http("a response that never ends", AGAIN, *_AFTER_THE_EFFECT, drip_s=0.05),
    _http("connection reset before the effect", AGAIN, *_RETRIED_OR_UNCONFIRMED, drop="before"),
    _http("connection reset in the middle of the request", AGAIN, *_RETRIED_OR_UNCONFIRMED, drop="during"),
    _http("connection reset after the effect", AGAIN, *_AFTER_THE_EFFECT, drop="after"),
    *[_http(f"HTTP {status} with HTML", PROXY, FAILS, http_status=status) for status in (400, 401, 403, 404, 405, 413)],
    _http("HTTP 408 with HTML", AGAIN, *_RETRIED_OR_UNCONFIRMED, http_status=408),
    _http(
        "HTTP 429 with HTML",
        "Run fewer pipelines at a time; if the error persists, check the proxy.",
        SHORT,
        http_status=429,
    ),
    *[
        _http(f"HTTP {status} with HTML", AGAIN, *_RETRIED_OR_UNCONFIRMED, http_status=status)
        for status in (500, 502, 503, 504)
    ],
    _http("HTTP 504 with HTML, after the effect", AGAIN, *_AFTER_THE_EFFECT, http_status=504, after_effect=True),
    _http("HTTP 200 with HTML", AGAIN, *_RETRIED_OR_UNCONFIRMED, body="<html>Sign in</html>"),
    _http("truncated JSON, after the effect", AGAIN, *_AFTER_THE_EFFECT, truncate=True),
    _http("JSON of another structure", AGAIN, *_RETRIED_OR_UNCONFIRMED, body='["code", 0]'),
    _http("`data` of another structure", AGAIN, *(LONG, LONG, LOST, DONE), body='{"code": 0, "data": 5}'),
    _http("redirect (302, 307, 308)", PROXY, FAILS, http_status=307, location="http://127.0.0.1:9/elsewhere/"),
)
"""Connection to TikTok."""

ROWS = CODES + TRANSPORT


def markdown() -> str:
    """Return the table and the meaning of its terms as Markdown."""
    lines = ["| term | what happens if the fault persists |", "| --- | --- |"]
    lines += [f"| *{end.name}* | {end.meaning} |" for end in ENDS]
    lines += ["", "| call | made when | if it fails, the tap's state |", "| --- | --- | --- |"]
    states = {False: "is not emitted", True: "is emitted: the ledger is durable and contains the pending changes"}
    lines += [f"| `{e.path.strip('/')}/` ({e.column}) | {e.when} | {states[e.state_goes_out]} |" for e in ENDPOINTS]
    for title, rows in (("TikTok's return codes", CODES), ("Connection to TikTok", TRANSPORT)):
        lines += ["", f"## {title}", ""]
        lines += ["| fault | reading | uploading | creating | updating | advice in the message |", "| --- " * 6 + "|"]
        for row in rows:
            ends = " | ".join(end.name for end in (row.reading, row.uploading, row.creating, row.updating))
            advice = row.advice if row.advice[0].isupper() else f"… {row.advice}"
            lines.append(f"| {row.what} | {ends} | {advice} |")
    return "\n".join(lines)
