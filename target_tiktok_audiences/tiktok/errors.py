"""What can go wrong between us and TikTok.

TikTokError
├── Unreachable      the request never left: TikTok did nothing
│   └── OutOfHandles     this machine's fault
├── NotTikTok        somebody else answered: TikTok did nothing
├── NoAnswer         it may have left, and no answer came that can be read: TikTok may have done it
└── Refused          TikTok answered with a code that is not 0
    ├── AccessDenied       the token, its scopes or the role of its user
    ├── RateLimited        too many calls, of this app or for this advertiser
    │   └── DayUsedUp      until the day is over
    ├── NotEditable        the audience is being processed, or too small: the same call works later
    ├── NotFound           no such audience
    ├── FileLost           an uploaded file that TikTok no longer has
    ├── SignatureMismatch  an uploaded file that arrived changed
    ├── Busy               another write, or a task, at the same moment
    ├── OurFault           a request that TikTok should never have got
    └── ServiceFailed      TikTok's own fault
        └── Maintenance    or closed for a while
"""

from __future__ import annotations

_DUPLICATED = 40050


class TikTokError(Exception):
    """Any failure of a call; its text is one line for the user: what happened, code, request id, what to do."""

    advice = "Run again later; if it stays, give TikTok's support the request id."
    transient = False
    """Whether the same call may soon succeed."""
    certain = False
    """Whether TikTok surely did nothing."""
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
        """What happened, without what to do."""
        super().__init__(self.summary)
        self.path = path
        self.message = message
        self.code = code
        self.advice = advice or self.advice
        self.tried = ""
        """How often and how long it was tried, if more than once."""

    def __str__(self) -> str:
        return " ".join(filter(None, [self.summary, self.tried, self.advice]))


class Unreachable(TikTokError):
    """The connection could not be made."""

    happened = "TikTok cannot be reached for"
    advice = "Check the network, the proxy and the setting `api_url`."
    transient = True
    certain = True


class OutOfHandles(Unreachable):
    """This process may open no more files, so no connection either."""

    advice = "Raise the limit of open files (`ulimit -n`), and run again."
    transient = False


class NotTikTok(TikTokError):
    """A proxy, a wrong host or a wrong path answered."""

    happened = "TikTok was not found at"
    advice = "Check the proxy and the setting `api_url`."
    certain = True


class NoAnswer(TikTokError):
    """The connection broke, timed out or brought something that is no answer of TikTok's."""

    happened = "TikTok gave no clear answer to"
    advice = "Run again; if it stays, check the network and the proxy."
    transient = True


class Refused(TikTokError):
    """A code of TikTok's; 4xxxx says that nothing was done, except 40050 (the same request came before)."""

    happened = "TikTok refused"
    advice = "Correct the setting that TikTok names."

    def __init__(self, path: str, message: str, *, code: int, request_id: str | None, advice: str = "") -> None:
        super().__init__(path, message, code=code, request_id=request_id, advice=advice)
        self.certain = 40000 <= code < 50000 and code != _DUPLICATED  # noqa: PLR2004


class AccessDenied(Refused):
    """The token, its scopes, its user's role or the app is not enough."""

    advice = (
        "Check that the token's scopes hold Audience Management (30 and 31), and that its user is Admin or Operator of"
        " the advertiser; after a change, get a new token: `target-tiktok-audiences connect`."
    )


class RateLimited(Refused):
    """Too many calls; a second or some minutes later there is room again."""

    advice = "Run fewer pipelines of this app at a time, or ask TikTok for a higher tier."
    transient = True


class DailyLimitReached(RateLimited):
    """Too many calls for this day, which ends at 00:00 UTC."""

    transient = False


class NotEditable(Refused):
    """The audience is being processed, or has fewer than 1,000 members."""

    advice = "TikTok is still processing the audience, up to 48 hours; run again later."


class NotFound(Refused):
    """There is nothing of that id."""

    advice = "Check `audience_id`, and that the audience belongs to this advertiser."


class FileLost(Refused):
    """An uploaded file has expired, or its path is unknown."""

    advice = "Run again: the files are uploaded anew."


class SignatureMismatch(Refused):
    """The file arrived changed; a second upload usually settles it."""

    advice = "What was uploaded arrived damaged; check the network, and run again."
    transient = True


class Busy(Refused):
    """Two writes met, or a task is not ready."""

    advice = "Something else is changing the audience at the same moment; run again later."
    transient = True


class InvalidRequest(Refused):
    """A request that this program should never make."""

    advice = "This is a fault of the target, or TikTok has changed; please report this line."


class ServiceFailed(Refused):
    """TikTok's own fault; whether the call took effect is unknown."""

    happened = "TikTok failed at"
    advice = "Run again later; if it stays, give TikTok's support the request id."
    transient = True


class Maintenance(ServiceFailed):
    """TikTok is closed for minutes to hours."""

    transient = False
