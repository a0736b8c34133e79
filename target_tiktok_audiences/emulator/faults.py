"""Fault injection: by path, for the n-th request, before or after the effect."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from starlette.responses import Response, StreamingResponse

from target_tiktok_audiences.emulator.responses import envelope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from starlette.types import Receive, Scope, Send


# Key of the connection's transport in the scope, for responses that close the connection.
TRANSPORT = "target_tiktok_audiences.transport"


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A fault and the requests that it applies to."""

    path: str | None = None
    """Path as in the API's reference, for example /dmp/custom_audience/update/; null matches every path."""
    skip: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Number of matching requests to skip first."""
    times: Annotated[int, msgspec.Meta(ge=1)] | None = 1
    """Number of requests that the fault applies to; null means all."""
    delay_s: Annotated[float, msgspec.Meta(ge=0)] = 0
    """Seconds to wait before anything else."""
    code: int | None = None
    """Respond with this code ..."""
    message: str = "Emulated fault."
    """... and this message."""
    http_status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    """Respond with this HTTP status: with an envelope if `code` is set, otherwise with an HTML page."""
    body: str | None = None
    """Respond with this text."""
    location: str | None = None
    """Respond with a redirect to this address."""
    drop: Literal["before", "during", "after"] | None = None
    """Close the connection without a response: before the effect, while the request arrives, or after the effect."""
    drip_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Take effect, and send an endless response one byte at a time, with pauses of this many seconds."""
    truncate: bool = False
    """Take effect, and send only the first half of the response."""
    after_effect: bool = False
    """Take effect before the faulty response is sent."""
    fail_later: str | None = None
    """Accept the change, and fail with this message when it is processed."""


class HangUp(Response):
    """No response: close the connection at once, or after the first part of the request body."""

    def __init__(self, *, reads_first: bool = False) -> None:
        super().__init__()
        self.reads_first = reads_first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the socket, and return once the server has noticed."""
        del send
        if self.reads_first:
            await receive()
        scope[TRANSPORT].abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def take_fault(faults: list[Fault], path: str) -> Fault | None:
    """Return the fault for a request of this path and count the request. The fault that was added first applies."""
    active = None
    for fault in faults:
        if fault.path not in {None, path}:
            continue
        if fault.skip:
            fault.skip -= 1
        elif active is None:
            active = fault
            if fault.times is not None:
                fault.times -= 1
    faults[:] = [fault for fault in faults if fault.times != 0]
    return active


def prevents_effect(fault: Fault) -> bool:
    """Return whether a fault prevents the effect of the request."""
    return not (fault.after_effect or fault.drop == "after" or fault.truncate or fault.drip_s)


def faulty_response(fault: Fault, now: datetime) -> Response | None:
    """Return the response that replaces the regular one; None if the fault does not replace it."""
    status = fault.http_status
    if fault.drop:
        return HangUp(reads_first=fault.drop == "during")
    if fault.location is not None:
        return Response(status_code=status or HTTPStatus.FOUND, headers={"location": fault.location})
    if fault.body is not None:
        return Response(fault.body, status or HTTPStatus.OK, media_type="text/html")
    if fault.code is not None:
        body = json.dumps(envelope(now, {}, fault.code, fault.message))
        return Response(body, status or HTTPStatus.OK, media_type="application/json")
    if status is not None:
        return Response(f"<html><body><h1>{status}</h1></body></html>\n", status, media_type="text/html")
    return None


def dripping(answer: Response, pause_s: float, stopping: asyncio.Event) -> Response:
    """Stream the response one byte at a time, then padding, until the client disconnects or the server stops."""

    async def drip() -> AsyncIterator[bytes]:
        for byte in itertools.chain(bytes(answer.body), itertools.repeat(ord(" "))):
            yield bytes([byte])
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause_s)
                return

    return StreamingResponse(drip(), answer.status_code, media_type=answer.media_type)


def truncated(answer: Response) -> Response:
    """Return the first half of a response, as from a proxy that aborts."""
    return Response(bytes(answer.body)[: len(answer.body) // 2], answer.status_code, media_type=answer.media_type)
