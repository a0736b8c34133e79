"""What happens when: each fault of TikTok and of the way to it, at each endpoint, if it stays.

The page docs/reference/faults.md is made from this by scripts/docs.py. tests/component/test_fault_table.py plays one
row of each kind, and with `--long` every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class End:
    """How a call ends that meets the same fault each time."""

    name: str
    meaning: str
    calls: int | None = None
    """How often it is made; None where pauses say it."""
    pauses_s: tuple[float, float] = (0, 0)
    """The least and the most that is waited in all."""
    exit_code: int = 1
    outcome: str = "failed"


FAILS = End("fails", "It is made once. The run says what to do, and exits with 1.", calls=1)
TWICE = End("once more", "It is made twice; then as *fails*.", calls=2, pauses_s=(0, 3))
FRESH = End("new files", "All files are uploaded again and it is made once more; then as *fails*.", calls=2)
SHORT = End("2 min", "It is made again for up to two minutes, in growing pauses; then as *fails*.", pauses_s=(50, 120))
LONG = End("15 min", "The same for up to fifteen minutes.", pauses_s=(590, 900))
LOST = End(
    "unsure",
    "It is made once and never blindly repeated, for it may have had its effect; the run exits with 1. An audience is"
    " looked for by its name, in this run and the next, before one is created; what an update was to do is sent again.",
    calls=1,
)
HELD = End(
    "held",
    "It is made once. The run warns and exits with 0; what differs waits, and goes with a later run. From 72 hours on"
    " the run exits with 1.",
    calls=1,
    exit_code=0,
    outcome="held",
)
DONE = End("done", "It counts as a success.", calls=1, exit_code=0, outcome="ok")

FOUND = End(
    "found",
    "It is made once; the audience is then found by its name, new as it is, and the run goes on.",
    calls=1,
    exit_code=0,
    outcome="ok",
)

ENDS = (FAILS, TWICE, FRESH, SHORT, LONG, LOST, FOUND, HELD, DONE)


@dataclass(frozen=True)
class Endpoint:
    """A call that a run makes, and what becomes of the tap's state if it fails."""

    path: str
    column: str
    when: str
    state_goes_out: bool


ENDPOINTS = (
    Endpoint("/user/info/", "reading", "a credential check", state_goes_out=False),
    Endpoint("/advertiser/info/", "reading", "a credential check", state_goes_out=False),
    Endpoint("/dmp/custom_audience/list/", "reading", "looking for an audience by its name", state_goes_out=False),
    Endpoint("/dmp/custom_audience/get/", "reading", "looking at a known audience", state_goes_out=False),
    Endpoint("/dmp/custom_audience/file/upload/", "uploading", "uploading a file, in a later run", state_goes_out=True),
    Endpoint("/dmp/custom_audience/create/", "creating", "creating an audience, in a first run", state_goes_out=False),
    Endpoint("/dmp/custom_audience/update/", "updating", "changing an audience, in a later run", state_goes_out=True),
)


@dataclass(frozen=True)
class Row:
    """One fault; `order` makes the emulator commit it, `detour` sends the call to a wrong address instead."""

    what: str
    reading: End
    uploading: End
    creating: End
    updating: End
    advice: str
    """The words of the last line that say what to do."""
    order: dict[str, Any]
    detour: str


ROLE = "after a change, get a new token: `target-tiktok-audiences connect`."
RENEW = "Get a new one (`target-tiktok-audiences connect`), and set `access_token`."
APP = "Check the app at TikTok for Business, and authorise it again."
SETTING = "Correct the setting that TikTok names."
API_URL = "Check the host and the version in the setting `api_url`."
SANDBOX = "TikTok's sandbox does not serve this; set `api_url` to the production host."
ADVERTISER = "Check `advertiser_id`."
REPORT = "This is a fault of the target, or TikTok has changed; please report this line."
TIER = "Run fewer pipelines of this app at a time, or ask TikTok for a higher tier."
BUSY = "Something else is changing the audience at the same moment; run again later."
SUPPORT = "Run again later; if it stays, give TikTok's support the request id."
NETWORK = "Check the network, the proxy and the setting `api_url`."
PROXY = "Check the proxy and the setting `api_url`."
AGAIN = "Run again; if it stays, check the network and the proxy."
PROCESSING = "TikTok is still processing the audience, up to 48 hours; run again later."
ANEW = "Run again: the files are uploaded anew."


def _row(what: str, advice: str, *ends: End, order: dict[str, Any] | None = None, detour: str = "") -> Row:
    """Make a row: one end for all columns, or one for each."""
    reading, uploading, creating, updating = ends if len(ends) > 1 else ends * 4
    return Row(what, reading, uploading, creating, updating, advice, order or {}, detour)


def _code(code: int, meaning: str, advice: str, *ends: End, message: str = "Emulated.") -> Row:
    return _row(f"{code} {meaning}", advice, *ends, order={"code": code, "message": message})


def _http(what: str, advice: str, *ends: End, **order: Any) -> Row:
    return _row(what, advice, *ends, order=order)


_REPEATED_OR_UNSURE = (LONG, LONG, LOST, LOST)
_AFTER_THE_EFFECT = (LONG, LONG, FOUND, LOST)
_ONCE_OR_UNSURE = (FAILS, FAILS, LOST, LOST)

UNFINISHED = (
    "This replace operation is rejected as there is an existing unfinished replace operation for this audience."
    " Please wait until the current operation completes on this audience before re trying."
)

CODES = (
    _code(20001, "partially successful", "is sent again by the next run.", *_ONCE_OR_UNSURE),
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
    _code(40016, "too frequent", TIER, LONG),
    _code(40050, "duplicated request", "the next run sends it again.", *_ONCE_OR_UNSURE),
    _code(40051, "wrong version", API_URL, FAILS),
    _code(40061, "invalid batch size", REPORT, FAILS),
    _code(40062, "not hashed", "Switch `apply_hashing` on, or hash the identifiers in the source.", FAILS),
    _code(40100, "too frequent, by the second", TIER, LONG, message="App reaches the QPS limit 10"),
    _code(40100, "too frequent, by the minute", TIER, LONG, message="App reaches the QPM limit 600"),
    _code(40100, "too frequent, by the day", "run again after 00:00 UTC", FAILS, message="The QPD limit is reached"),
    _code(40101, "invalid authorisation", APP, FAILS),
    _code(40102, "token expired", RENEW, FAILS),
    _code(40103, "refresh token expired", ROLE, FAILS),
    _code(40104, "token empty", "Set `access_token`; it arrives empty.", FAILS),
    _code(40105, "token incorrect or revoked", RENEW, FAILS),
    _code(40106, "user invalid for this advertiser", ROLE, FAILS),
    _code(40107, "refresh token wrong", ROLE, FAILS),
    _code(40108, "grant type wrong", ROLE, FAILS),
    _code(40110, "authorisation code used or expired", APP, FAILS),
    _code(40112, "password wrong", ROLE, FAILS),
    _code(40113, "app blocked or unknown", APP, FAILS),
    _code(40114, "advertiser logged out", ROLE, FAILS),
    _code(40115, "authorisation's time expired", APP, FAILS),
    _code(40116, "authorisation's signature invalid", APP, FAILS),
    _code(40117, "method not allowed", REPORT, FAILS),
    _code(40118, "not open to this account or region", "not open to this account or region; ask TikTok.", FAILS),
    _code(40119, "app and advertiser of different companies", APP, FAILS),
    _code(40124, "developer not approved", APP, FAILS),
    _code(40125, "developer lacks the permission", APP, FAILS),
    _code(40130, "scope not authorised", ROLE, FAILS),
    _code(40131, "authorisation of a user failed", APP, FAILS),
    _code(40132, "too frequent, for a value", TIER, LONG),
    _code(40133, "too frequent, for this advertiser", TIER, LONG, message="Advertiser (7)'s QPS (9) reaches QPS limit"),
    _code(40200, "task error", BUSY, LONG),
    _code(40201, "task not ready", BUSY, LONG),
    _code(40202, "write conflict", BUSY, LONG),
    _code(40300, "advertiser does not exist", ADVERTISER, FAILS),
    _code(40301, "advertiser deleted", ADVERTISER, FAILS),
    _code(40302, "advertiser cannot be matched", ADVERTISER, FAILS),
    _code(40400, "route not found", API_URL, FAILS),
    _code(40700, "internal validation error", SETTING, FAILS),
    _code(40900, "signature mismatch", "arrived damaged; check the network, and run again.", TWICE),
    _code(40905, "file does not exist", ANEW, *(FAILS, FRESH, FRESH, FRESH)),
    _code(40906, "file empty", REPORT, FAILS),
    _code(40907, "file too large", "Set a smaller `batch_size_rows`.", FAILS),
    _code(40908, "kind of file unsupported", REPORT, FAILS),
    _code(40909, "kind of identifier unsupported", "TikTok does not take this `contract`; choose another.", FAILS),
    _code(40910, "file expired", ANEW, *(FAILS, FRESH, FRESH, FRESH)),
    _code(40911, "file's name is taken", REPORT, FAILS),
    _code(40914, "file invalid", REPORT, FAILS),
    _code(40915, "file against the specification", REPORT, FAILS),
    _code(41000, "country not served", "TikTok does not serve the country of this machine's address.", FAILS),
    _code(41001, "endpoint offline", REPORT, FAILS),
    _code(41002, "field not in use", REPORT, FAILS),
    _code(50000, "system error", SUPPORT, *_REPEATED_OR_UNSURE),
    _code(50002, "error on TikTok's side", SUPPORT, *_REPEATED_OR_UNSURE),
    _code(51003, "audience service", SUPPORT, *_REPEATED_OR_UNSURE),
    _code(51010, "internal timeout", SUPPORT, *_REPEATED_OR_UNSURE),
    _code(51021, "too many requests", TIER, *_REPEATED_OR_UNSURE),
    _code(51305, "satellite service", SUPPORT, *_REPEATED_OR_UNSURE),
    _code(52202, "file storage (52xxx)", SUPPORT, *_REPEATED_OR_UNSURE),
    _code(53000, "serialisation (53xxx)", SUPPORT, *_REPEATED_OR_UNSURE),
    _code(60001, "maintenance", "TikTok is under maintenance, for minutes to hours; run again after", *_ONCE_OR_UNSURE),
    _code(61000, "too many requests", TIER, *_REPEATED_OR_UNSURE),
    _code(49999, "a code that nobody knows", SETTING, FAILS),
    _code(59999, "a code that nobody knows", SUPPORT, *_REPEATED_OR_UNSURE),
)
"""TikTok's return codes."""

TRANSPORT = (
    _row("connection refused", NETWORK, SHORT, detour="http://127.0.0.1:9"),
    _row("unknown host (DNS)", NETWORK, SHORT, detour="http://nowhere.invalid"),
    _row("TLS cannot be agreed on", NETWORK, SHORT, detour="https://{host}"),
    _http("timeout, and nothing was done", AGAIN, *_REPEATED_OR_UNSURE, delay_s=0.3, drop="before"),
    _http("timeout, and it is done later", AGAIN, *_REPEATED_OR_UNSURE, delay_s=0.3),
    _http("an answer that never ends", AGAIN, *_AFTER_THE_EFFECT, drip_s=0.05),
    _http("connection reset before the effect", AGAIN, *_REPEATED_OR_UNSURE, drop="before"),
    _http("connection reset in the middle of the request", AGAIN, *_REPEATED_OR_UNSURE, drop="during"),
    _http("connection reset after the effect", AGAIN, *_AFTER_THE_EFFECT, drop="after"),
    *[_http(f"HTTP {status} with HTML", PROXY, FAILS, http_status=status) for status in (400, 401, 403, 404, 405, 413)],
    _http("HTTP 408 with HTML", AGAIN, *_REPEATED_OR_UNSURE, http_status=408),
    _http("HTTP 429 with HTML", "Run fewer pipelines at a time; if it stays, check the proxy.", SHORT, http_status=429),
    *[
        _http(f"HTTP {status} with HTML", AGAIN, *_REPEATED_OR_UNSURE, http_status=status)
        for status in (500, 502, 503, 504)
    ],
    _http("HTTP 504 with HTML, after the effect", AGAIN, *_AFTER_THE_EFFECT, http_status=504, after_effect=True),
    _http("HTTP 200 with HTML", AGAIN, *_REPEATED_OR_UNSURE, body="<html>Sign in</html>"),
    _http("JSON that breaks off, after the effect", AGAIN, *_AFTER_THE_EFFECT, truncate=True),
    _http("JSON of another shape", AGAIN, *_REPEATED_OR_UNSURE, body='["code", 0]'),
    _http("`data` of another shape", AGAIN, *(LONG, LONG, LOST, DONE), body='{"code": 0, "data": 5}'),
    _http("redirect (302, 307, 308)", PROXY, FAILS, http_status=307, location="http://127.0.0.1:9/elsewhere/"),
)
"""The way to TikTok."""

ROWS = CODES + TRANSPORT


def markdown() -> str:
    """Give the table, and what its words mean, as Markdown."""
    lines = ["| word | what happens, if the fault stays |", "| --- | --- |"]
    lines += [f"| *{end.name}* | {end.meaning} |" for end in ENDS]
    lines += ["", "| call | made when | if it fails, the tap's state |", "| --- | --- | --- |"]
    states = {False: "stays where it was", True: "goes out: the ledger has proved to last, and holds what waits"}
    lines += [f"| `{e.path.strip('/')}/` ({e.column}) | {e.when} | {states[e.state_goes_out]} |" for e in ENDPOINTS]
    for title, rows in (("TikTok's return codes", CODES), ("The way to TikTok", TRANSPORT)):
        lines += ["", f"## {title}", ""]
        lines += ["| fault | reading | uploading | creating | updating | the message advises |", "| --- " * 6 + "|"]
        for row in rows:
            ends = " | ".join(end.name for end in (row.reading, row.uploading, row.creating, row.updating))
            advice = row.advice if row.advice[0].isupper() else f"… {row.advice}"
            lines.append(f"| {row.what} | {ends} | {advice} |")
    return "\n".join(lines)
