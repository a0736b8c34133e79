"""What can go wrong between us and TikTok.

TikTokError
├── Unreachable      the request never left: TikTok did nothing
├── NoAnswer         it may have left, and no answer came that can be read: TikTok may have done it
└── Refused          TikTok answered with a code that is not 0
    ├── AccessDenied     the token, its scopes or the role of its user
    ├── RateLimited      too many calls, of this app or for this advertiser
    ├── NotEditable      the audience is being processed, or too small: the same call works later
    ├── NotFound         no such audience
    ├── FileLost         an uploaded file that TikTok no longer has
    ├── Conflict         another write at the same moment
    └── ServiceFailed    TikTok's own fault, or its maintenance
"""

from __future__ import annotations


class TikTokError(Exception):
    """Any failure of a call; its text is one line for the user: what happened, code, request id, what to do."""

    advice = "Try again later; if it stays, give TikTok's support the request id."
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
        advice: str | None = None,
    ) -> None:
        where = f"{path} (code {code}, request {request_id or 'unknown'})" if code is not None else path
        message = " ".join(message.split())
        super().__init__(f"{self.happened} {where}: {message.rstrip('.')}. {advice or self.advice}")
        self.path = path
        self.message = message
        self.code = code
        self.request_id = request_id


class Unreachable(TikTokError):
    """The connection could not be made."""

    happened = "TikTok cannot be reached for"
    advice = "Check the network, the proxy and the setting `api_url`."
    transient = True
    certain = True


class NotTikTok(TikTokError):
    """A proxy, a wrong host or a wrong path answered."""

    happened = "TikTok was not found at"
    advice = "Check the proxy and the setting `api_url`."
    certain = True


class NoAnswer(TikTokError):
    """The connection broke, timed out or brought something that is no answer of TikTok's."""

    happened = "TikTok gave no clear answer to"
    transient = True


class Refused(TikTokError):
    """A code of TikTok's; 4xxxx says that nothing was done, except 40050 (the same request came before)."""

    happened = "TikTok refused"
    advice = "Correct the setting that TikTok names."

    def __init__(
        self, path: str, message: str, *, code: int, request_id: str | None, advice: str | None = None
    ) -> None:
        super().__init__(path, message, code=code, request_id=request_id, advice=advice)
        self.certain = 40000 <= code < 50000 and code != _DUPLICATED  # noqa: PLR2004


class AccessDenied(Refused):
    """The token, its scopes, its user's role or the app is not enough."""

    advice = (
        "Check that the access token is current, that its scopes hold Audience Management (30 and 31), and that its"
        " user is Admin or Operator of the advertiser; authorise the app again after a change."
    )


class RateLimited(Refused):
    """QPS passes in a second and QPM in five minutes; QPD lasts until 00:00 UTC."""

    advice = (
        "The app's calls for this advertiser are used up for now; run again later, or ask TikTok for a higher tier."
    )

    def __init__(
        self, path: str, message: str, *, code: int, request_id: str | None, advice: str | None = None
    ) -> None:
        super().__init__(path, message, code=code, request_id=request_id, advice=advice)
        self.transient = "QPD" not in message


class NotEditable(Refused):
    """The audience is being processed, or has fewer than 1,000 members."""

    advice = "TikTok is still processing the audience, up to 48 hours; run again later."


class NotFound(Refused):
    """There is nothing of that id."""

    advice = "Check the id, and that it belongs to this advertiser."


class FileLost(Refused):
    """An uploaded file has expired, or its path is unknown."""

    advice = "Run again: the files will be uploaded anew."


class SignatureMismatch(Refused):
    """The file arrived changed; a second upload usually settles it."""

    advice = "The upload arrived damaged; run again."
    transient = True


class Conflict(Refused):
    """Two writes met."""

    advice = "Something else changed the audience at the same moment; run again."
    transient = True


class ServiceFailed(Refused):
    """TikTok's own fault; whether the call took effect is unknown."""

    transient = True


class Maintenance(ServiceFailed):
    """TikTok is closed for a while."""

    advice = "TikTok is under maintenance, for minutes to hours; run again later."
    transient = False


_DUPLICATED = 40050
_KINDS: dict[int, type[Refused]] = {
    **dict.fromkeys(
        (40001, 40003, 40101, 40102, 40103, 40104, 40105, 40106, 40107, 40108, 40110, *range(40112, 40120)),
        AccessDenied,
    ),
    **dict.fromkeys((40124, 40125, 40130, 40131, 41000), AccessDenied),
    **dict.fromkeys((40016, 40100, 40132, 40133, 51021, 61000), RateLimited),
    40007: NotFound,
    40202: Conflict,
    40900: SignatureMismatch,
    40905: FileLost,
    40910: FileLost,
    60001: Maintenance,
}
_ADVICE = {
    40006: "This version of the target speaks API v1.3; check the setting `api_url`.",
    40010: "Check the host in the setting `api_url`.",
    40062: "Send hashed identifiers: switch `apply_hashing` on, or hash them before.",
    40118: "The feature is not open to this account or region; ask TikTok.",
    40300: "Check `advertiser_id`.",
    40301: "The advertiser was deleted; check `advertiser_id`.",
    40302: "Check `advertiser_id`.",
    41000: "TikTok does not serve the country of this machine's address.",
}


def refusal(path: str, code: int, message: str, request_id: str | None) -> Refused:
    """Make the error that a code stands for.

    40002 covers every wrong parameter and, told apart by its text alone, an audience that is being processed or
    has an unfinished replace; the numeric code of the latter is not published.
    """
    text = message.lower()
    if "not editable" in text or "unfinished replace" in text:
        kind: type[Refused] = NotEditable
    else:
        kind = _KINDS.get(code, ServiceFailed if code >= 50000 else Refused)  # noqa: PLR2004
    return kind(path, message, code=code, request_id=request_id, advice=_ADVICE.get(code))
