"""Client of TikTok's Business API v1.3, limited to what audiences need.

Paths end with a slash, ids are strings, and an array in a query is one JSON string.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import random
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from target_tiktok_audiences.tiktok import models
from target_tiktok_audiences.tiktok.codes import FILE_REFUSED, NO_ADVERTISER, NO_UPDATE_NEEDED
from target_tiktok_audiences.tiktok.errors import AccessDenied, NotFound, Refused, TikTokError
from target_tiktok_audiences.tiktok.retry import RUN_RETRY_BUDGET_S, may_retry, pause_s, retry_budget_s
from target_tiktok_audiences.tiktok.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import requests
    import tenacity

    from target_tiktok_audiences.tiktok.models import CalculateType, UpdateAction
    from target_tiktok_audiences.tiktok.transport import Call

API_URL = "https://business-api.tiktok.com/open_api/v1.3"

_AUDIENCE = "dmp/custom_audience"
_LARGEST_PAGE = 100
_NO_FILE = hashlib.md5(usedforsecurity=False).hexdigest()

T = TypeVar("T")
log = logging.getLogger(__name__)


class TikTok:
    """Calls of TikTok's API, one method per endpoint.

    Methods raise `TikTokError`. Calls are retried where that is safe, after pauses made by `sleep`; a create or an
    update whose response was lost is never retried. `retry_budget_s` limits the total of all pauses. `user_agent` lets
    TikTok's support find the calls. Without a token, only endpoints that need none can be called. `secrets` are further
    secrets that are sent besides the token; they are masked in all responses.
    """

    def __init__(
        self,
        access_token: str,
        api_url: str = API_URL,
        *,
        user_agent: str = "target-tiktok-audiences",
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        retry_budget_s: float = RUN_RETRY_BUDGET_S,
        secrets: Sequence[str] = (),
    ) -> None:
        self._transport = Transport(access_token, api_url, user_agent, session, secrets)
        self._sleep = sleep
        self._retry_budget_s = retry_budget_s
        self._paused_s = 0.0
        self.not_before: datetime | None = None
        """A time that has certainly passed, such as the latest timestamp of a ledger; see `now`."""

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def calls(self) -> list[Call]:
        """All calls answered so far, for the report."""
        return self._transport.calls

    @property
    def now(self) -> datetime:
        """Current time by the clock of TikTok's last response, or by this machine's clock if there is none.

        If TikTok's clock is before `not_before` and this machine's is not, this machine's clock is used.
        """
        machine = datetime.now(UTC)
        date = self._transport.date or machine
        return machine if self.not_before and date < self.not_before <= machine else date

    def user(self) -> None:
        """Request the token's user: the cheapest check that a token is valid."""
        self.call("GET", "user/info/", dict)

    def refusal(self, advertiser_id: str) -> Refused | None:
        """Return the error if TikTok certainly refuses the token or this advertiser, otherwise None.

        The call is not retried and its connection is closed: hours can pass until the next call.
        """
        params = {"advertiser_id": advertiser_id, "page_size": 1}
        try:
            self._transport.call("GET", f"{_AUDIENCE}/list/", models.AudiencePage, params=params)
        except Refused as refused:
            return refused if isinstance(refused, AccessDenied) or refused.code in NO_ADVERTISER else None
        except TikTokError:
            return None
        finally:
            self._transport.close()
        return None

    def advertisers(self, advertiser_ids: Sequence[str]) -> list[models.Advertiser]:
        """Return ad accounts by id. For one that the token cannot read, TikTok returns an error or omits it."""
        accounts = []
        for first in range(0, len(advertiser_ids), _LARGEST_PAGE):
            params = {"advertiser_ids": _json(advertiser_ids[first : first + _LARGEST_PAGE])}
            accounts += self.call("GET", "advertiser/info/", models.AdvertiserPage, params=params).items
        return accounts

    def granted_advertisers(self, app_id: str, app_secret: str) -> list[models.GrantedAdvertiser]:
        """Return the ad accounts that the token is granted access to; the app must be the one that it belongs to.

        TikTok requires the secret in the query string, which is never logged.
        """
        self._transport.hide(app_secret)
        params = {"app_id": app_id, "secret": app_secret}
        return self.call("GET", "oauth2/advertiser/get/", models.GrantedAdvertiserPage, params=params).items

    def check_may_change(self, advertiser_id: str) -> None:
        """Raise `Refused` if the token cannot change this advertiser's audiences.

        Requests an upload without a file, which always fails: TikTok checks the token's scopes and the advertiser
        before it checks for the file.
        """
        from requests_toolbelt import MultipartEncoder  # noqa: PLC0415 - only uploads need it

        path = f"{_AUDIENCE}/file/upload/"
        fields = {
            "advertiser_id": advertiser_id,
            "calculate_type": models.CalculateType.EMAIL_SHA256.value,
            "file_signature": _NO_FILE,
        }

        def send() -> Any:
            return self._transport.call("POST", path, Any, multipart=MultipartEncoder(fields))

        try:
            self._repeat(send, idempotent=True)
        except Refused as refused:
            if refused.code not in FILE_REFUSED:
                raise

    def audiences(self, advertiser_id: str, audience_ids: Sequence[str] = ()) -> Iterator[models.Audience]:
        """Yield the audiences of any type that the advertiser owns or shares; `audience_ids` can have up to 100 ids."""
        params: dict[str, Any] = {"advertiser_id": advertiser_id, "page_size": _LARGEST_PAGE}
        if audience_ids:
            params["custom_audience_ids"] = _json(audience_ids)
        for page in itertools.count(1):
            answer = self.call("GET", f"{_AUDIENCE}/list/", models.AudiencePage, params={**params, "page": page})
            yield from answer.items
            if page >= answer.page_info.total_page or not answer.items:
                return

    def audience(self, advertiser_id: str, audience_id: str) -> models.AudienceWithHistory | None:
        """Return one audience with the history of its last changes; None if no audience has this id."""
        params = {"advertiser_id": advertiser_id, "custom_audience_ids": _json([audience_id])}
        answer = self.call("GET", f"{_AUDIENCE}/get/", models.AudienceDetailsPage, params=params)
        return next((item for item in answer.items if item.audience_details.audience_id == audience_id), None)

    def upload(
        self,
        advertiser_id: str,
        file: Path,
        signature: str,
        calculate_type: CalculateType,
        sent: Callable[[int, int], None] | None = None,
    ) -> str:
        """Upload a file, streamed from disk, and return its path for a create or an update.

        `signature` is the MD5 of the file, in hex. `sent` is called repeatedly with the number of bytes sent and the
        total number of bytes.
        """
        from requests_toolbelt import MultipartEncoder, MultipartEncoderMonitor  # noqa: PLC0415 - only uploads need it

        path = f"{_AUDIENCE}/file/upload/"
        fields = {
            "advertiser_id": advertiser_id,
            "calculate_type": calculate_type.value,
            "file_signature": signature,
        }

        def send() -> models.UploadedFile:
            with file.open("rb") as lines:
                body = MultipartEncoder({**fields, "file": (file.name, lines, "text/csv")})
                monitor = MultipartEncoderMonitor(body, lambda at: sent(at.bytes_read, at.len) if sent else None)
                return self._transport.call("POST", path, models.UploadedFile, multipart=monitor)

        return self._repeat(send, idempotent=True).file_path

    def create(
        self,
        advertiser_id: str,
        name: str,
        file_paths: Sequence[str],
        calculate_type: CalculateType,
        retention_in_days: int | None = None,
    ) -> str:
        """Create an audience and return its id. TikTok allows several audiences of the same name."""
        body: dict[str, Any] = {
            "advertiser_id": advertiser_id,
            "custom_audience_name": name,
            "file_paths": list(file_paths),
            "calculate_type": calculate_type.value,
        }
        if retention_in_days is not None:
            body["retention_in_days"] = retention_in_days
        return self.call(
            "POST", f"{_AUDIENCE}/create/", models.CreatedAudience, json=body, idempotent=False
        ).custom_audience_id

    def update(self, advertiser_id: str, audience_id: str, file_paths: Sequence[str], action: UpdateAction) -> None:
        """Append, remove or replace identifiers. The action is always sent, because TikTok's default is REPLACE."""
        body = {
            "advertiser_id": advertiser_id,
            "custom_audience_id": audience_id,
            "file_paths": list(file_paths),
            "action": action.value,
        }
        try:
            self.call("POST", f"{_AUDIENCE}/update/", Any, json=body, idempotent=False)
        except Refused as refused:
            if refused.code != NO_UPDATE_NEEDED:
                raise

    def delete(self, advertiser_id: str, audience_id: str) -> None:
        """Delete an audience with all its members. If it does not exist, do nothing."""
        body = {"advertiser_id": advertiser_id, "custom_audience_ids": [audience_id]}
        with suppress(NotFound):
            self.call("POST", f"{_AUDIENCE}/delete/", Any, json=body)

    def call(self, method: str, path: str, answer: type[T], *, idempotent: bool = True, **content: Any) -> T:
        """Make any call. One that is not `idempotent` is retried only if TikTok certainly did not process it."""
        return self._repeat(partial(self._transport.call, method, path, answer, **content), idempotent=idempotent)

    def _repeat(self, call: Callable[[], T], *, idempotent: bool) -> T:
        """Make a call, and retry it while `may_retry` and the retry budget allow it."""
        import tenacity  # noqa: PLC0415 - only calls need it

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, TikTokError)),
            wait=lambda state: pause_s(_error(state), state.attempt_number, random.random()),  # noqa: S311
            stop=lambda state: self._gives_up(state, idempotent=idempotent),
            sleep=self._sleep,
            before_sleep=self._note_pause,
            reraise=True,
        )
        return retrying(call)

    def _gives_up(self, state: tenacity.RetryCallState, *, idempotent: bool) -> bool:
        error, attempt = _error(state), state.attempt_number
        taken = max(state.idle_for, state.seconds_since_start or 0) + state.upcoming_sleep
        if attempt > 1:
            error.tried = f"Tried {attempt} times in {taken - state.upcoming_sleep:.0f} s."
        return (
            not may_retry(error, attempt, idempotent=idempotent)
            or taken > retry_budget_s(error)
            or self._paused_s + state.upcoming_sleep > self._retry_budget_s
        )

    def _note_pause(self, state: tenacity.RetryCallState) -> None:
        self._paused_s += state.upcoming_sleep
        log.warning("%s Retrying in %.0f s.", _error(state).summary, state.upcoming_sleep)


def _error(state: tenacity.RetryCallState) -> TikTokError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TikTokError):
        raise TypeError(type(error).__name__)
    return error


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()
