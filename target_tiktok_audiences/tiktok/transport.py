"""Send one request and read its response.

Every response of TikTok is HTTP 200 with a `code`; only 0 is success. The token is sent in the header `Access-Token`,
never in a URL (one endpoint requires the app's secret in its URL). Redirects are not followed, so that the token is not
sent to another host.
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import requests
import urllib3

from target_tiktok_audiences.tiktok.codes import refusal
from target_tiktok_audiences.tiktok.errors import NoAnswer, NotTikTok, OutOfHandles, TikTokError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from requests_toolbelt import MultipartEncoderMonitor

CONNECT_TIMEOUT_S = 30
ANSWER_TIMEOUT_S = 120
"""For the first byte of a response, and again for the rest of it."""
LARGEST_ANSWER_BYTES = 64_000_000

T = TypeVar("T")


class Envelope(msgspec.Struct):
    """Envelope of every response; `data` can be absent."""

    code: int
    message: str | None = ""
    request_id: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


@dataclass(frozen=True)
class Call:
    """A call that TikTok answered."""

    path: str
    code: int
    request_id: str | None

    @property
    def changes(self) -> bool:
        """Whether the call was to change an audience."""
        return self.path.endswith(("/create/", "/update/", "/delete/"))


class Transport:
    """HTTP transport: the token, the host and the calls answered so far."""

    def __init__(
        self,
        access_token: str,
        api_url: str,
        user_agent: str,
        session: requests.Session | None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._token = access_token
        self._secrets = {secret.encode() for secret in (access_token, *secrets) if secret}
        self._url = api_url.rstrip("/")
        self._user_agent = user_agent
        self._session = session or requests.Session()
        if self._url.startswith("http://"):
            self._session.trust_env = False  # http stays on this machine, so no proxy may see the token
        self._dated: tuple[datetime, float] | None = None
        """Date of TikTok's last response, and this machine's monotonic time when it arrived."""
        self.calls: list[Call] = []

    @property
    def date(self) -> datetime | None:
        """TikTok's time: the date of its last response plus the seconds since then; None before the first response."""
        if self._dated is None:
            return None
        date, at = self._dated
        return date + timedelta(seconds=int(time.monotonic() - at))

    def hide(self, secret: str) -> None:
        """Mask this secret in all responses, like the token."""
        self._secrets.add(secret.encode())

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        multipart: MultipartEncoderMonitor | None = None,
    ) -> T:
        """Make one call and return the `data` of its response as the type `answer`."""
        headers = {"User-Agent": self._user_agent}
        if self._token:
            headers["Access-Token"] = self._token
        if multipart:
            headers["Content-Type"] = multipart.content_type
        with _translate_errors(path):
            response = self._session.request(
                method,
                f"{self._url}/{path}",
                params=params,
                json=json,
                data=multipart,
                headers=headers,
                timeout=(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S),
                allow_redirects=False,
                stream=True,
            )
            with response:
                content = _content(path, response)
        if date := _date(response):
            self._dated = date, time.monotonic()
        return self._read(path, response.status_code, content, answer)

    def _read(self, path: str, status: int, content: bytes, answer: type[T]) -> T:
        """Unwrap a response. The code in the body takes precedence over the HTTP status, as TikTok documents."""
        try:
            for secret in self._secrets:
                content = content.replace(secret, b"***")  # no message may quote a secret
            envelope = msgspec.json.decode(content, type=Envelope)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _http_error(path, status) from None
        self.calls.append(Call(path, envelope.code, envelope.request_id))
        if envelope.code != 0:
            raise refusal(
                path,
                envelope.code,
                envelope.message or "",
                envelope.request_id,
                self.date or datetime.now(UTC),
            )
        try:
            return msgspec.json.decode(envelope.data, type=answer)
        except msgspec.DecodeError:
            raise NoAnswer(
                path, f"the data of request {envelope.request_id} does not have the documented structure"
            ) from None


def _content(path: str, response: requests.Response) -> bytes:
    """Read the body of a response, within limits of size and time: each byte restarts the timeout of a socket."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    content = b""
    while block := response.raw.read1(1 << 16, decode_content=True):
        content += block
        if len(content) > LARGEST_ANSWER_BYTES:
            raise NoAnswer(path, f"the response exceeds {LARGEST_ANSWER_BYTES:,} bytes")
        if time.monotonic() > deadline:
            raise NoAnswer(path, f"the response was not complete after {ANSWER_TIMEOUT_S} s")
    return content


def _http_error(path: str, status: int) -> TikTokError:
    if status == 429:  # noqa: PLR2004 - from a server before TikTok's API, whose limits come as codes
        return Unreachable(path, "HTTP status 429, too many requests", advice=_EDGE)
    if 300 <= status < 500 and status != 408:  # noqa: PLR2004 - the request was not processed; 408: unknown
        return NotTikTok(path, f"HTTP status {status}, which is not a response of TikTok's API")
    return NoAnswer(path, f"HTTP status {status} without a JSON response")


_EDGE = "Run fewer pipelines at a time; if the error persists, check the proxy."


@contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    """Raise errors of requests and urllib3 as `TikTokError`, without their texts, which quote URLs."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
        causes = list(_causes(exc))
        raise _kind(causes)(path, _why(causes)) from None


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, outermost first; requests has causes in its arguments."""
    yield exc
    inside = [*exc.args, getattr(exc, "reason", None), exc.__cause__]
    for cause in inside:
        if isinstance(cause, BaseException):
            yield from _causes(cause)


def _kind(causes: Sequence[BaseException]) -> type[TikTokError]:
    if any(isinstance(cause, OSError) and cause.errno in {errno.EMFILE, errno.ENFILE} for cause in causes):
        return OutOfHandles
    return Unreachable if any(map(_not_sent, causes)) else NoAnswer


def _not_sent(cause: BaseException) -> bool:
    """Return whether the connection was certainly not made. Of the TLS errors, these two occur in the handshake."""
    no_tls = isinstance(cause, ssl.SSLCertVerificationError) or getattr(cause, "reason", "") == "WRONG_VERSION_NUMBER"
    return no_tls or isinstance(
        cause,
        (
            requests.ConnectTimeout,
            requests.exceptions.ProxyError,
            urllib3.exceptions.NewConnectionError,
            urllib3.exceptions.ConnectTimeoutError,
            socket.gaierror,
        ),
    )


def _why(causes: Sequence[BaseException]) -> str:
    """Describe the error in the words of the operating system, which quote no data."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate was not accepted ({cause.verify_message})"
        if isinstance(cause, (TimeoutError, requests.Timeout)):
            return "timed out"
    messages = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    return messages[-1] if messages else f"the connection broke ({type(causes[-1]).__name__})"


def _date(response: requests.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
