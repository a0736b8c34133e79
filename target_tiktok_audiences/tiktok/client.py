"""TikTok's Business API v1.3, as far as audiences need it.

Paths end in a slash, ids are strings, and arrays in a query are one JSON string.
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
from target_tiktok_audiences.tiktok.retry import RUN_PATIENCE_S, may_retry, patience_s, pause_s
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
    """The calls, each one line of TikTok's reference.

    Methods raise `TikTokError`. What may be repeated is, in pauses made by `sleep`; a create or an update whose
    answer was lost never is. All pauses together take `patience_s` at most. `user_agent` lets TikTok's support find our
    calls. Without a token only what needs none can be called. What is sent besides the token and is secret, too, stands
    in `secrets`: no answer will show it.
    """

    def __init__(
        self,
        access_token: str,
        api_url: str = API_URL,
        *,
        user_agent: str = "target-tiktok-audiences",
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        patience_s: float = RUN_PATIENCE_S,
        secrets: Sequence[str] = (),
    ) -> None:
        self._transport = Transport(access_token, api_url, user_agent, session, secrets)
        self._sleep = sleep
        self._patience_s = patience_s
        self._paused_s = 0.0
        self.not_before: datetime | None = None
        """What time it was once, as somebody noted it; see `now`."""

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    @property
    def calls(self) -> list[Call]:
        """Every answer so far, for the report."""
        return self._transport.calls

    @property
    def now(self) -> datetime:
        """TikTok's clock as its last answer gave it, else this machine's.

        If it has gone back behind `not_before`, and this machine's has not, then this machine is right.
        """
        machine = datetime.now(UTC)
        date = self._transport.date or machine
        return machine if self.not_before and date < self.not_before <= machine else date

    def user(self) -> None:
        """Ask for the token's user: the cheapest proof that a token is good."""
        self.call("GET", "user/info/", dict)

    def refusal(self, advertiser_id: str) -> Refused | None:
        """Ask once whether TikTok surely refuses the token, or this advertiser; None where it may yet be taken.

        No patience is spent, and no connection kept: hours may pass until the next call.
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
        """Look up ad accounts; one that the token may not see is an error or is left out."""
        found = []
        for first in range(0, len(advertiser_ids), _LARGEST_PAGE):
            params = {"advertiser_ids": _json(advertiser_ids[first : first + _LARGEST_PAGE])}
            found += self.call("GET", "advertiser/info/", models.AdvertiserPage, params=params).items
        return found

    def granted_advertisers(self, app_id: str, app_secret: str) -> list[models.GrantedAdvertiser]:
        """List the ad accounts that the token may act for; only the app that the token is of may ask.

        TikTok wants the secret in the query, which nobody logs.
        """
        self._transport.hide(app_secret)
        params = {"app_id": app_id, "secret": app_secret}
        return self.call("GET", "oauth2/advertiser/get/", models.GrantedAdvertiserPage, params=params).items

    def check_may_change(self, advertiser_id: str) -> None:
        """Ask for an upload without a file, which can only be refused; raise why, unless it is for the file alone.

        TikTok looks at the token's scopes, and whose account it is, before it looks for the file.
        """
        from requests_toolbelt import MultipartEncoder  # noqa: PLC0415 - for whoever uploads

        path = f"{_AUDIENCE}/file/upload/"
        fields = {
            "advertiser_id": advertiser_id,
            "calculate_type": models.CalculateType.EMAIL_SHA256.value,
            "file_signature": _NO_FILE,
        }

        def send() -> Any:
            return self._transport.call("POST", path, Any, multipart=MultipartEncoder(fields))

        try:
            self._repeat(send, harmless=True)
        except Refused as refused:
            if refused.code not in FILE_REFUSED:
                raise

    def audiences(self, advertiser_id: str, audience_ids: Sequence[str] = ()) -> Iterator[models.Audience]:
        """List audiences that the advertiser owns or shares, of any type, page by page; at most 100 ids."""
        params: dict[str, Any] = {"advertiser_id": advertiser_id, "page_size": _LARGEST_PAGE}
        if audience_ids:
            params["custom_audience_ids"] = _json(audience_ids)
        for page in itertools.count(1):
            answer = self.call("GET", f"{_AUDIENCE}/list/", models.AudiencePage, params={**params, "page": page})
            yield from answer.items
            if page >= answer.page_info.total_page or not answer.items:
                return

    def audience(self, advertiser_id: str, audience_id: str) -> models.AudienceWithHistory | None:
        """Get one audience with what TikTok says of its last changes; None where there is none of that id."""
        params = {"advertiser_id": advertiser_id, "custom_audience_ids": _json([audience_id])}
        answer = self.call("GET", f"{_AUDIENCE}/get/", models.AudienceDetailsPage, params=params)
        return next((found for found in answer.items if found.audience_details.audience_id == audience_id), None)

    def upload(
        self,
        advertiser_id: str,
        file: Path,
        signature: str,
        calculate_type: CalculateType,
        sent: Callable[[int, int], None] | None = None,
    ) -> str:
        """Upload a file, streamed from disk; give the path under which a create or an update finds it.

        `signature` is the MD5 of the file, in hex; `sent` is told again and again how many bytes have gone, and of how
        many.
        """
        from requests_toolbelt import MultipartEncoder, MultipartEncoderMonitor  # noqa: PLC0415 - for whoever uploads

        path = f"{_AUDIENCE}/file/upload/"
        fields = {
            "advertiser_id": advertiser_id,
            "calculate_type": calculate_type.value,
            "file_signature": signature,
        }

        def send() -> models.UploadedFile:
            with file.open("rb") as lines:
                body = MultipartEncoder({**fields, "file": (file.name, lines, "text/csv")})
                told = MultipartEncoderMonitor(body, lambda at: sent(at.bytes_read, at.len) if sent else None)
                return self._transport.call("POST", path, models.UploadedFile, multipart=told)

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
        return self.call(
            "POST", f"{_AUDIENCE}/create/", models.CreatedAudience, json=body, harmless=False
        ).custom_audience_id

    def update(self, advertiser_id: str, audience_id: str, file_paths: Sequence[str], action: UpdateAction) -> None:
        """Append, remove or replace identifiers. The action is always sent: without one TikTok replaces."""
        body = {
            "advertiser_id": advertiser_id,
            "custom_audience_id": audience_id,
            "file_paths": list(file_paths),
            "action": action.value,
        }
        try:
            self.call("POST", f"{_AUDIENCE}/update/", Any, json=body, harmless=False)
        except Refused as refused:
            if refused.code != NO_UPDATE_NEEDED:
                raise

    def delete(self, advertiser_id: str, audience_id: str) -> None:
        """Delete an audience, with all who are in it; one that is gone already is no error."""
        body = {"advertiser_id": advertiser_id, "custom_audience_ids": [audience_id]}
        with suppress(NotFound):
            self.call("POST", f"{_AUDIENCE}/delete/", Any, json=body)

    def call(self, method: str, path: str, answer: type[T], *, harmless: bool = True, **content: Any) -> T:
        """Make any call; one that is not `harmless` is repeated only where TikTok surely did nothing."""
        return self._repeat(partial(self._transport.call, method, path, answer, **content), harmless=harmless)

    def _repeat(self, call: Callable[[], T], *, harmless: bool) -> T:
        """Make a call, and again where `may_retry` allows it, until patience is at an end."""
        import tenacity  # noqa: PLC0415 - for whoever calls

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, TikTokError)),
            wait=lambda state: pause_s(_error(state), state.attempt_number, random.random()),  # noqa: S311
            stop=lambda state: self._gives_up(state, harmless=harmless),
            sleep=self._sleep,
            before_sleep=self._note_pause,
            reraise=True,
        )
        return retrying(call)

    def _gives_up(self, state: tenacity.RetryCallState, *, harmless: bool) -> bool:
        error, attempt = _error(state), state.attempt_number
        taken = max(state.idle_for, state.seconds_since_start or 0) + state.upcoming_sleep
        if attempt > 1:
            error.tried = f"It was tried {attempt} times in {taken - state.upcoming_sleep:.0f} s."
        return (
            not may_retry(error, attempt, harmless=harmless)
            or taken > patience_s(error)
            or self._paused_s + state.upcoming_sleep > self._patience_s
        )

    def _note_pause(self, state: tenacity.RetryCallState) -> None:
        self._paused_s += state.upcoming_sleep
        log.warning("%s Trying again in %.0f s.", _error(state).summary, state.upcoming_sleep)


def _error(state: tenacity.RetryCallState) -> TikTokError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TikTokError):
        raise TypeError(type(error).__name__)
    return error


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()
