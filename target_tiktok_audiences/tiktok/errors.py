"""Errors of calls to TikTok.

TikTokError
├── Unreachable      the request was not sent: TikTok did nothing
│   └── OutOfHandles     this process has too many open files
├── NotTikTok        something other than TikTok answered: TikTok did nothing
├── NoAnswer         no readable response; TikTok may have processed the request
└── Refused          TikTok answered with a code other than 0
    ├── AccessDenied       the token, its scopes or the role of its user is not sufficient
    ├── RateLimited        too many calls by this app or for this advertiser
    │   └── DailyLimitReached  until the end of the day
    ├── NotEditable        the audience is being processed or too small: the same call works later
    ├── NotFound           no such audience
    ├── FileLost           TikTok no longer has an uploaded file
    ├── SignatureMismatch  an uploaded file arrived changed
    ├── Busy               another write or task runs at the same time
    ├── InvalidRequest     a request that this program should never send
    └── ServiceFailed      an error on TikTok's side
        └── Maintenance    TikTok is temporarily closed
"""

from __future__ import annotations

_DUPLICATED = 40050


class TikTokError(Exception):
    """Failure of a call. Its text is one line for the user: what happened, code, request id and what to do."""

    advice = "Run again later; if the error persists, contact TikTok's support with the request id."
    transient = False
    """Whether the same call can succeed soon."""
    safe_to_retry = False
    """Whether TikTok certainly did not process the call."""
    happened = "TikTok failed at"

    def __init__(
        self,
        path: str,
        message: str,
        *,
        code: int | None = None,
        request_id: str | None = None,
        advice: str = "",
    ) -> None:
        where = f"{path} (code {code}, request {request_id or 'unknown'})" if code is not None else path
        self.summary = f"{self.happened} {where}: {' '.join(message.split()).rstrip('.')}."
        """What happened, without the advice."""
        super().__init__(self.summary)
        self.path = path
        self.message = message
        self.code = code
        self.advice = advice or self.advice
        self.tried = ""
        """Number and duration of the attempts, if there was more than one."""

    def __str__(self) -> str:
        return " ".join(filter(None, [self.summary, self.tried, self.advice]))


class Unreachable(TikTokError):
    """The connection could not be made."""

    happened = "TikTok cannot be reached for"
    advice = "Check the network, the proxy and the setting `api_url`."
    transient = True
    safe_to_retry = True


class OutOfHandles(Unreachable):
    """This process cannot open more files, and therefore no connection."""

    advice = "Raise the limit of open files (`ulimit -n`) and run again."
    transient = False


class NotTikTok(TikTokError):
    """The response is from a proxy, a wrong host or a wrong path."""

    happened = "TikTok's API was not found at"
    advice = "Check the proxy and the setting `api_url`."
    safe_to_retry = True


class NoAnswer(TikTokError):
    """The connection broke, timed out or returned something that is not a response of TikTok's."""

    happened = "TikTok returned no valid response to"
    advice = "Run again; if the error persists, check the network and the proxy."
    transient = True


class Refused(TikTokError):
    """TikTok returned an error code. 4xxxx means that nothing was done, except for 40050 (duplicated request)."""

    happened = "TikTok refused"
    advice = "Correct the setting that TikTok names."

    def __init__(self, path: str, message: str, *, code: int, request_id: str | None, advice: str = "") -> None:
        super().__init__(path, message, code=code, request_id=request_id, advice=advice)
        self.safe_to_retry = 40000 <= code < 50000 and code != _DUPLICATED  # noqa: PLR2004


class AccessDenied(Refused):
    """The token, its scopes, its user's role or the app is not sufficient."""

    advice = (
        "Check that the token's scopes include Audience Management (30 and 31), and that its user is Admin or Operator"
        " of the advertiser; after a change, get a new token: `target-tiktok-audiences connect`."
    )


class RateLimited(Refused):
    """Too many calls; calls succeed again after a second or some minutes."""

    advice = "Run fewer pipelines of this app at a time, or ask TikTok for a higher tier."
    transient = True


class DailyLimitReached(RateLimited):
    """Too many calls for this day; the limit resets at 00:00 UTC."""

    transient = False


class NotEditable(Refused):
    """The audience is being processed, or has fewer than 1,000 members."""

    advice = "TikTok is still processing the audience, which takes up to 48 hours; run again later."


class NotFound(Refused):
    """No object has this id."""

    advice = "Check `audience_id`, and that the audience belongs to this advertiser."


class FileLost(Refused):
    """An uploaded file has expired, or its path is unknown."""

    advice = "Run again to upload the files again."


class SignatureMismatch(Refused):
    """The file arrived changed; a second upload usually succeeds."""

    advice = "The uploaded file arrived damaged; check the network and run again."
    transient = True


class Busy(Refused):
    """Another write runs at the same time, or a task is not ready."""

    advice = "Something else is changing the audience at the same time; run again later."
    transient = True


class InvalidRequest(Refused):
    """A request that this program should never send."""

    advice = "Internal error, or TikTok's API has changed; please report this line."


class ServiceFailed(Refused):
    """Error on TikTok's side; it is unknown whether the call took effect."""

    happened = "TikTok failed at"
    advice = "Run again later; if the error persists, contact TikTok's support with the request id."
    transient = True


class Maintenance(ServiceFailed):
    """TikTok is unavailable for minutes to hours."""

    transient = False
