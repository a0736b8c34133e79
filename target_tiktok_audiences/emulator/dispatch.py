"""Handle a request: faults, path, token, rate limit, scope, parameters, endpoint, envelope."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response

from target_tiktok_audiences.emulator import endpoints, files, oauth
from target_tiktok_audiences.emulator.accounts import CHANGE_AUDIENCES, READ_AUDIENCES, Grant
from target_tiktok_audiences.emulator.emulator import LoggedRequest
from target_tiktok_audiences.emulator.faults import (
    HangUp,
    dripping,
    faulty_response,
    prevents_effect,
    take_fault,
    truncated,
)
from target_tiktok_audiences.emulator.request import Call
from target_tiktok_audiences.emulator.responses import Code, Refusal, envelope
from target_tiktok_audiences.tiktok.models import UpdateAction

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from target_tiktok_audiences.emulator.emulator import Emulator
    from target_tiktok_audiences.emulator.parameters import Fields
    from target_tiktok_audiences.emulator.request import Data

BASE_PATH = "/open_api/v1.3"


@dataclass(frozen=True)
class Endpoint:
    """Method, handler and required scope of an endpoint."""

    method: str
    answer: Callable[[Emulator, Call], Data]
    scope: int | None = None
    needs_token: bool = True


UPLOAD = "/dmp/custom_audience/file/upload/"

# Whether the last three need a scope is unknown; here any token is accepted.
ENDPOINTS = {
    UPLOAD: Endpoint("POST", files.upload, CHANGE_AUDIENCES),
    "/dmp/custom_audience/create/": Endpoint("POST", endpoints.create, CHANGE_AUDIENCES),
    "/dmp/custom_audience/update/": Endpoint("POST", endpoints.update, CHANGE_AUDIENCES),
    "/dmp/custom_audience/delete/": Endpoint("POST", endpoints.delete, CHANGE_AUDIENCES),
    "/dmp/custom_audience/list/": Endpoint("GET", endpoints.list_audiences, READ_AUDIENCES),
    "/dmp/custom_audience/get/": Endpoint("GET", endpoints.get_audiences, READ_AUDIENCES),
    "/oauth2/access_token/": Endpoint("POST", oauth.exchange_code, needs_token=False),
    "/oauth2/revoke_token/": Endpoint("POST", oauth.revoke_token, needs_token=False),
    "/oauth2/advertiser/get/": Endpoint("GET", oauth.list_advertisers),
    "/advertiser/info/": Endpoint("GET", oauth.advertiser_info),
    "/user/info/": Endpoint("GET", oauth.user_info),
}


async def answer(request: Request, emulator: Emulator, stopping: asyncio.Event) -> Response:
    """Answer a request under /open_api, with a fault if one is injected."""
    path = request.scope["path"].removeprefix(BASE_PATH)
    entry = LoggedRequest(request.method, path)
    emulator.requests.append(entry)
    fault = take_fault(emulator.faults, path)
    if fault is None:
        return await _regular_response(request, emulator, entry)
    if fault.delay_s:
        with contextlib.suppress(ClientDisconnect):
            await request.body()  # the request has arrived, so it takes effect even if the client no longer waits
        # A server that stops does not wait.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopping.wait(), fault.delay_s)
    if prevents_effect(fault):
        faulty = faulty_response(fault, emulator.now())
        if faulty is not None:
            entry.code = fault.code
            return faulty
    regular = await _regular_response(request, emulator, entry, fault.fail_later)
    if fault.drip_s:
        return dripping(regular, fault.drip_s, stopping)
    faulty = truncated(regular) if fault.truncate else faulty_response(fault, emulator.now())
    if faulty is not None:
        entry.code = fault.code
        return faulty
    return regular


async def _regular_response(
    request: Request, emulator: Emulator, entry: LoggedRequest, fail_later: str | None = None
) -> Response:
    if not request.scope["path"].endswith("/"):
        # Observed for a missing final slash on some endpoints; assumed for all.
        return PlainTextResponse("404 page not found", HTTPStatus.NOT_FOUND)
    data: Data = {}
    code, message, status = Code.OK, "OK", 200
    try:
        data = await _call(request, emulator, entry, fail_later)
    except Refusal as refusal:
        code, message, status = refusal.code, refusal.message, refusal.http_status
    except ClientDisconnect:
        return HangUp()
    entry.code = int(code)
    body = envelope(emulator.now(), data, code, message)
    return Response(json.dumps(body), status, {"X-TT-LOGID": str(body["request_id"])}, "application/json")


async def _call(request: Request, emulator: Emulator, entry: LoggedRequest, fail_later: str | None) -> Data:
    if not request.scope["path"].startswith(BASE_PATH + "/"):
        raise Refusal(Code.WRONG_VERSION, "The API version is wrong, the emulator serves v1.3.")
    endpoint = ENDPOINTS.get(entry.path)
    if endpoint is None:
        # A wrong path is documented as HTTP 4xx; of the code only the name is documented.
        raise Refusal(Code.NO_ROUTE, "Route not found.", HTTPStatus.NOT_FOUND)
    grant = Grant(scopes=(), advertiser_ids=())
    if endpoint.needs_token:
        # Not `Authorization: Bearer`: TikTok reads only this header.
        grant = emulator.accounts.grant_of(request.headers.get("Access-Token"))
    if not emulator.bucket.take(emulator.now()):
        raise Refusal(Code.TOO_FREQUENT, f"App reaches the QPS limit {emulator.qps}")
    if request.method != endpoint.method or not (endpoint.scope is None or grant.allows(endpoint.scope)):
        # Recorded for a missing scope. The text asks the caller to check the method first, so the same response is
        # assumed for a wrong method.
        raise Refusal(
            Code.NO_PERMISSION,
            "Permission error: The access token lacks the required scope for endpoint "
            f"'{entry.path}(method={request.method})'. Please first check if the request method is correct then ask "
            "the user to generate a new access token and reauthorize your API App with the necessary API scopes.",
        )
    if entry.path == UPLOAD:
        return await _call_with_form(request, emulator, endpoint, entry, grant)
    fields = dict(request.query_params) if endpoint.method == "GET" else await _json_body(request)
    _note(entry, fields)
    data = endpoint.answer(emulator, Call(grant, fields, fail_later))
    if "custom_audience_id" in data:
        entry.audience_id = str(data["custom_audience_id"])
    return data


async def _call_with_form(
    request: Request, emulator: Emulator, endpoint: Endpoint, entry: LoggedRequest, grant: Grant
) -> Data:
    try:
        # Large files are spooled to disk while they arrive.
        async with request.form() as form:
            entry.files = sum(isinstance(value, UploadFile) for value in form.values())
            return endpoint.answer(emulator, Call(grant, form))
    except (HTTPException, FormParserError):
        raise Refusal(Code.BAD_PARAMETER, "The body is not multipart/form-data.") from None


async def _json_body(request: Request) -> Fields:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    try:
        fields = msgspec.json.decode(body) if content_type == "application/json" else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Refusal(Code.BAD_PARAMETER, "The body is not a JSON object of Content-Type application/json.")
    return fields


def _note(entry: LoggedRequest, fields: Fields) -> None:
    """Log the parameters that are not secret or personal, and only if their values have the expected form."""
    action, audience_id, paths = (fields.get(name) for name in ("action", "custom_audience_id", "file_paths"))
    if isinstance(action, str) and action in set(UpdateAction):
        entry.action = str(UpdateAction(action).value)
    if isinstance(audience_id, str) and audience_id.isdecimal():
        entry.audience_id = audience_id
    if isinstance(paths, list):
        entry.files = len(paths)
