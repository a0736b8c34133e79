"""TikTok's Business API v1.3, as far as audiences need it.

Every answer is HTTP 200 with a `code`; 0 alone is success. Paths end in a slash, ids are strings, and arrays in a
query are one JSON string. The token travels in the header `Access-Token`, never in a URL; redirects are not
followed, so that it goes nowhere else.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import requests
import tenacity
import urllib3
from requests_toolbelt import MultipartEncoder

from target_tiktok_audiences.tiktok import models
from target_tiktok_audiences.tiktok.errors import NoAnswer, NotTikTok, Refused, TikTokError, Unreachable, refusal
from target_tiktok_audiences.tiktok.retry import ATTEMPTS, PATIENCE_S, may_retry, pause_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from target_tiktok_audiences.tiktok.models import Action, CalculateType

API_URL = "https://business-api.tiktok.com/open_api/v1.3"
CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 120

_AUDIENCE = "dmp/custom_audience"
_CREATE = f"{_AUDIENCE}/create/"
_UPDATE = f"{_AUDIENCE}/update/"
_NO_UPDATE_NEEDED = 40012
_LARGEST_PAGE = 100

T = TypeVar("T")
log = logging.getLogger(__name__)


class Envelope(msgspec.Struct):
    """What wraps every answer; `data` may be absent."""

    code: int
    message: str | None = ""
    request_id: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


@dataclass(frozen=True)
class Call:
    """One answered call."""

    path: str
    code: int
    request_id: str | None

    @property
    def changes(self) -> bool:
        """Whether it was made to change an audience."""
        return self.path in {_CREATE, _UPDATE}


class TikTok:
    """The calls, each one line of TikTok's reference.

    Methods raise `TikTokError`. What may be repeated is, in pauses made by `sleep`; a create or an update whose
    answer was lost never is. `user_agent` lets TikTok's support find our calls.
    """

    def __init__(
        self,
        access_token: str,
        api_url: str = API_URL,
        *,
        user_agent: str = "target-tiktok-audiences",
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._token = access_token
        self._url = api_url.rstrip("/")
        self._user_agent = user_agent
        self._session = session or requests.Session()
        if self._url.startswith("http://"):
            self._session.trust_env = False  # http stays on this machine, so no proxy may see the token
        self._sleep = sleep
        self._date: datetime | None = None
        self.calls: list[Call] = []
        """Every answer so far, for the report."""

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    @property
    def now(self) -> datetime:
        """TikTok's clock as its last answer gave it, else this machine's."""
        return self._date or datetime.now(timezone.utc)

    def user(self) -> None:
        """Ask for the token's user: the cheapest proof that a token is good."""
        self._call("GET", "user/info/", Any)

    def advertisers(self, advertiser_ids: Sequence[str]) -> list[models.Advertiser]:
        """Look up ad accounts; one that the token may not see is an error or is left out."""
        params = {"advertiser_ids": _json(advertiser_ids)}
        return self._call("GET", "advertiser/info/", models.AdvertiserPage, params=params).items

    def audiences(self, advertiser_id: str, audience_ids: Sequence[str] = ()) -> Iterator[models.Audience]:
        """List audiences that the advertiser owns or shares, of any type, page by page; at most 100 ids."""
        params: dict[str, Any] = {"advertiser_id": advertiser_id, "page_size": _LARGEST_PAGE}
        if audience_ids:
            params["custom_audience_ids"] = _json(audience_ids)
        for page in itertools.count(1):
            answer = self._call("GET", f"{_AUDIENCE}/list/", models.AudiencePage, params={**params, "page": page})
            yield from answer.items
            if page >= answer.page_info.total_page:
                return

    def audience(self, advertiser_id: str, audience_id: str) -> models.AudienceWithHistory | None:
        """Get one audience with what TikTok says of its last changes; None where there is none of that id."""
        params = {"advertiser_id": advertiser_id, "custom_audience_ids": _json([audience_id])}
        answer = self._call("GET", f"{_AUDIENCE}/get/", models.AudienceDetailsPage, params=params)
        return next((found for found in answer.items if found.audience_details.audience_id == audience_id), None)

    def upload(self, advertiser_id: str, file: Path, calculate_type: CalculateType) -> str:
        """Upload a file, streamed from disk; give the path under which a create or an update finds it."""
        path = f"{_AUDIENCE}/file/upload/"
        fields = {
            "advertiser_id": advertiser_id,
            "calculate_type": calculate_type.value,
            "file_signature": _md5(file),
        }

        def send() -> models.UploadedFile:
            with file.open("rb") as lines:
                body = MultipartEncoder({**fields, "file": (file.name, lines, "text/csv")})
                return self._once("POST", path, models.UploadedFile, multipart=body)

        return self._repeat(send, harmless=True).file_path

    def create(
        self,
        advertiser_id: str,
        name: str,
        file_paths: Sequence[str],
        calculate_type: CalculateType,
        retention_in_days: int | None = None,
    ) -> str:
        """Create an audience and give its id. TikTok makes a second one of the same name without complaint."""
        body: dict[str, Any] = {
            "advertiser_id": advertiser_id,
            "custom_audience_name": name,
            "file_paths": list(file_paths),
            "calculate_type": calculate_type.value,
        }
        if retention_in_days is not None:
            body["retention_in_days"] = retention_in_days
        return self._call("POST", _CREATE, models.CreatedAudience, json=body, harmless=False).custom_audience_id

    def update(self, advertiser_id: str, audience_id: str, file_paths: Sequence[str], action: Action) -> None:
        """Append, remove or replace identifiers. The action is always sent: without one TikTok replaces."""
        body = {
            "advertiser_id": advertiser_id,
            "custom_audience_id": audience_id,
            "file_paths": list(file_paths),
            "action": action.value,
        }
        try:
            self._call("POST", _UPDATE, Any, json=body, harmless=False)
        except Refused as refused:
            if refused.code != _NO_UPDATE_NEEDED:
                raise

    def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        harmless: bool = True,
    ) -> T:
        return self._repeat(partial(self._once, method, path, answer, params=params, json=json), harmless=harmless)

    def _repeat(self, call: Callable[[], T], *, harmless: bool) -> T:
        """Make a call, again where `may_retry` allows it."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, TikTokError) and may_retry(error, harmless=harmless)
            ),
            wait=_wait,
            stop=lambda state: state.attempt_number >= ATTEMPTS or state.idle_for >= PATIENCE_S,
            sleep=self._sleep,
            before_sleep=_log_pause,
            reraise=True,
        )
        return retrying(call)

    def _once(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        multipart: MultipartEncoder | None = None,
    ) -> T:
        """Make one call and read the `data` of its answer as the given shape."""
        headers = {"Access-Token": self._token, "User-Agent": self._user_agent}
        if multipart:
            headers["Content-Type"] = multipart.content_type
        with _no_foreign_errors(path):
            response = self._session.request(
                method,
                f"{self._url}/{path}",
                params=params,
                json=json,
                data=multipart,
                headers=headers,
                timeout=(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S),
                allow_redirects=False,
            )
        self._date = _date(response) or self._date
        return self._read(path, response, answer)

    def _read(self, path: str, response: requests.Response, answer: type[T]) -> T:
        """Unwrap an answer. The code in the body counts before the HTTP status, as TikTok says."""
        try:
            content = response.content.replace(self._token.encode(), b"***")  # nothing that TikTok says may quote it
            envelope = msgspec.json.decode(content, type=Envelope)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _http_error(path, response.status_code) from None
        self.calls.append(Call(path, envelope.code, envelope.request_id))
        if envelope.code != 0:
            raise refusal(path, envelope.code, envelope.message or "no message", envelope.request_id)
        try:
            return msgspec.json.decode(envelope.data, type=answer)
        except msgspec.DecodeError:
            raise NoAnswer(path, f"the data of request {envelope.request_id} have an unknown shape") from None


def _http_error(path: str, status: int) -> TikTokError:
    if status in {408, 429}:
        return Unreachable(path, f"HTTP status {status}")
    if 300 <= status < 500:  # noqa: PLR2004 - redirects and client errors: whoever answered did nothing
        return NotTikTok(path, f"HTTP status {status}, which is no answer of TikTok's API")
    return NoAnswer(path, f"HTTP status {status} and no JSON answer")


@contextmanager
def _no_foreign_errors(path: str) -> Iterator[None]:
    """Turn the errors of requests into ours, without their texts, which quote URLs."""
    try:
        yield
    except requests.RequestException as exc:
        reason = getattr(exc.args[0] if exc.args else None, "reason", None)
        never_left = isinstance(exc, (requests.ConnectTimeout, requests.exceptions.SSLError)) or isinstance(
            reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
        )
        kind = Unreachable if never_left else NoAnswer
        raise kind(path, type(reason or exc).__name__) from None


def _wait(state: tenacity.RetryCallState) -> float:
    return pause_s(_error_of(state), state.attempt_number, random.random())  # noqa: S311 - no secret hangs on it


def _log_pause(state: tenacity.RetryCallState) -> None:
    pause = state.next_action.sleep if state.next_action else 0
    log.warning("%s Trying again in %.0f s.", _error_of(state), pause)


def _error_of(state: tenacity.RetryCallState) -> TikTokError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TikTokError):
        raise TypeError(type(error).__name__)
    return error


def _date(response: requests.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()


def _md5(file: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as lines:
        while block := lines.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
