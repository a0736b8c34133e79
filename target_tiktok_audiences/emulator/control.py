"""Control API under /_emulator: inspect and seed the emulator, move its clock, inject faults.

Clients of TikTok do not use it. Request bodies are validated against the structs here and in `faults` and `accounts`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, TypeVar
from zoneinfo import ZoneInfoNotFoundError

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from target_tiktok_audiences.emulator.accounts import Advertiser, Grant
from target_tiktok_audiences.emulator.audiences import (
    LIFETIME,
    MINIMUM_SIZE,
    Audience,
    HistoryEntry,
    count_matched,
    expected_members,
    is_valid,
)
from target_tiktok_audiences.emulator.faults import Fault
from target_tiktok_audiences.emulator.uploads import MD5_BYTES, MD5_TYPES, SHA256_BYTES
from target_tiktok_audiences.tiktok.models import AudienceType, CalculateType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from target_tiktok_audiences.emulator.emulator import Emulator

Body = TypeVar("Body")


class Advance(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How far to move the clock: less than a century; negative values move it back."""

    advance_hours: Annotated[float, msgspec.Meta(gt=-876_000, lt=876_000)] = 0
    advance_seconds: Annotated[float, msgspec.Meta(gt=-1e9, lt=1e9)] = 0


class Seed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An audience to create. It is ready unless it is too small or expired."""

    advertiser_id: str
    name: str = "Seeded audience"
    audience_type: AudienceType = AudienceType.CUSTOMER_FILE
    calculate_type: CalculateType = CalculateType.EMAIL_SHA256
    members: list[str] | None = None
    """Digests in hex; if null, `random_members` digests are generated."""
    random_members: Annotated[int, msgspec.Meta(ge=0)] = MINIMUM_SIZE
    shared_with: frozenset[str] = frozenset()
    created_days_ago: Annotated[float, msgspec.Meta(ge=0, le=3_650)] = 0
    retention_in_days: Annotated[int, msgspec.Meta(ge=1, le=365)] | None = None
    expired: bool = False
    error_msg: str | None = None


class NewToken(Grant, kw_only=True):
    """A token to add, with its scopes and advertisers."""

    token: str


def control_routes(emulator: Emulator) -> list[Route]:
    """Return the routes of the control API of an emulator."""

    def route(path: str, method: str, handler: Callable[[Emulator, Request], Awaitable[Response]]) -> Route:
        async def handle(request: Request) -> Response:
            return await handler(emulator, request)

        return Route(f"/_emulator/{path}", handle, methods=[method])

    return [
        route("audiences", "GET", _show_audiences),
        route("audiences", "POST", _seed_audience),
        route("audiences/{audience_id}/members", "GET", _show_members),
        route("clock", "GET", _show_clock),
        route("clock", "POST", _move_clock),
        route("faults", "GET", _show_faults),
        route("faults", "POST", _inject_fault),
        route("faults", "DELETE", _clear_faults),
        route("requests", "GET", _show_requests),
        route("tokens", "POST", _add_token),
        route("advertisers", "POST", _add_advertisers),
        route("advertisers", "DELETE", _clear_advertisers),
    ]


async def _show_audiences(emulator: Emulator, request: Request) -> Response:
    del request
    now = emulator.now()
    return JSONResponse(
        [
            {
                "audience_id": audience.audience_id,
                "advertiser_id": audience.owner_id,
                "name": audience.name,
                "audience_type": audience.audience_type.value,
                "calculate_type": audience.calculate_type,
                "rows": len(expected_members(audience)),
                "processed_rows": len(audience.members),
                "is_valid": is_valid(audience, now, emulator),
                "processing": bool(audience.processing),
            }
            for audience in emulator.settled()
        ]
    )


async def _show_members(emulator: Emulator, request: Request) -> Response:
    """Return the digests after all accepted changes, or with `?processed=true` only after processed changes."""
    audience = emulator.settled_audience(request.path_params["audience_id"])
    if audience is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such audience")
    processed = request.query_params.get("processed") == "true"
    members = audience.members if processed else expected_members(audience)
    return PlainTextResponse("".join([f"{member.hex()}\n" for member in sorted(members)]))


async def _seed_audience(emulator: Emulator, request: Request) -> Response:
    seed = await _body(request, Seed)
    audience_id = emulator.new_audience_id()
    now = emulator.now()
    created = now - max(timedelta(days=seed.created_days_ago), LIFETIME if seed.expired else timedelta())
    members = _seed_members(seed, audience_id)
    matched = count_matched(members, emulator)
    emulator.audiences[audience_id] = Audience(
        audience_id=audience_id,
        owner_id=seed.advertiser_id,
        name=seed.name,
        create_time=created,
        # An expired audience has not been changed since its creation.
        modify_time=created if seed.expired else now,
        audience_type=seed.audience_type,
        calculate_type=_seed_type(seed),
        retention_in_days=seed.retention_in_days,
        shared_with=seed.shared_with,
        members=members,
        matched=matched if matched >= MINIMUM_SIZE else 0,
        error_msg=seed.error_msg,
        history=[HistoryEntry("create", created, seed.error_msg)],
    )
    return JSONResponse({"audience_id": audience_id}, HTTPStatus.CREATED)


def _seed_type(seed: Seed) -> CalculateType | None:
    if seed.audience_type is AudienceType.CUSTOMER_FILE:
        return seed.calculate_type
    # Recorded for a streaming audience; the other types contain no identifiers.
    return CalculateType.MULTIPLE_TYPES if seed.audience_type is AudienceType.PARTNER else None


def _seed_members(seed: Seed, audience_id: str) -> frozenset[bytes]:
    if seed.members is None:
        texts = (f"{audience_id}:{number}".encode() for number in range(seed.random_members))
        width = MD5_BYTES if seed.calculate_type in MD5_TYPES else SHA256_BYTES
        return frozenset(hashlib.sha256(text).digest()[:width] for text in texts)
    try:
        return frozenset(map(bytes.fromhex, seed.members))
    except ValueError:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "members: must be digests in hex") from None


async def _show_clock(emulator: Emulator, request: Request) -> Response:
    del request
    return JSONResponse({"now": emulator.now().isoformat()})


async def _move_clock(emulator: Emulator, request: Request) -> Response:
    advance = await _body(request, Advance)
    emulator.clock.advance(timedelta(hours=advance.advance_hours, seconds=advance.advance_seconds))
    return await _show_clock(emulator, request)


async def _show_faults(emulator: Emulator, request: Request) -> Response:
    del request
    return JSONResponse(msgspec.to_builtins(emulator.faults))


async def _inject_fault(emulator: Emulator, request: Request) -> Response:
    emulator.faults.append(await _body(request, Fault))
    return await _show_faults(emulator, request)


async def _clear_faults(emulator: Emulator, request: Request) -> Response:
    emulator.faults.clear()
    return await _show_faults(emulator, request)


async def _show_requests(emulator: Emulator, request: Request) -> Response:
    del request
    return JSONResponse([dataclasses.asdict(entry) for entry in emulator.requests])


async def _add_token(emulator: Emulator, request: Request) -> Response:
    new = await _body(request, NewToken)
    emulator.accounts.grants[new.token] = Grant(scopes=new.scopes, advertiser_ids=new.advertiser_ids)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _add_advertisers(emulator: Emulator, request: Request) -> Response:
    new = await _body(request, list[Advertiser])
    try:
        for advertiser in new:
            advertiser.zone()
    except (ZoneInfoNotFoundError, ValueError):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "timezone: unknown") from None
    emulator.accounts.add(new)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _clear_advertisers(emulator: Emulator, request: Request) -> Response:
    """Remove all advertisers, so that tokens can access none."""
    del request
    emulator.accounts.advertisers.clear()
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _body(request: Request, form: type[Body]) -> Body:
    try:
        return msgspec.json.decode(await request.body(), type=form)
    except msgspec.MsgspecError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from None
