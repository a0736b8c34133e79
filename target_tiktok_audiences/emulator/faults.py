"""Misbehaviour on order: for a path, at the n-th request, before or after the request has its effect."""

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


# Where the server puts a connection's transport, for an answer that wants to close it.
TRANSPORT = "target_tiktok_audiences.transport"


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What goes wrong, and when."""

    path: str | None = None
    """As in the API's reference, e.g. /dmp/custom_audience/update/; without one, every path."""
    skip: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Requests of that path to leave alone first."""
    times: Annotated[int, msgspec.Meta(ge=1)] | None = 1
    """Requests to spoil; null: all that follow."""
    delay_s: Annotated[float, msgspec.Meta(ge=0)] = 0
    """Seconds to wait before anything else is done."""
    code: int | None = None
    """Answer with this code..."""
    message: str = "Emulated fault."
    """...and message."""
    http_status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    """Answer with this HTTP status: with the envelope, if there is a code, else with a page of HTML."""
    body: str | None = None
    """Answer with this text."""
    location: str | None = None
    """Answer with a redirect to this address."""
    drop: Literal["before", "during", "after"] | None = None
    """Close the connection without an answer: before the effect, while the request is still coming in, or after."""
    drip_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Have the effect, and send the answer one byte at a time, with pauses of so many seconds, without an end."""
    truncate: bool = False
    """Have the effect, and answer with the first half of the answer."""
    after_effect: bool = False
    """Have the effect first, whatever is answered."""
    fail_later: str | None = None
    """Accept the change, and let it fail with this text when it is processed."""


class HangUp(Response):
    """No answer at all: the connection is closed, at once or after the first piece of the request's body."""

    def __init__(self, *, reads_first: bool = False) -> None:
        super().__init__()
        self.reads_first = reads_first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the socket, and leave when the server knows it."""
        del send
        if self.reads_first:
            await receive()
        scope[TRANSPORT].abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def take_fault(faults: list[Fault], path: str) -> Fault | None:
    """Find the fault for a request of this path, and count the request. The first that was ordered comes first."""
    taken = None
    for fault in faults:
        if fault.path not in {None, path}:
            continue
        if fault.skip:
            fault.skip -= 1
        elif taken is None:
            taken = fault
            if fault.times is not None:
                fault.times -= 1
    faults[:] = [fault for fault in faults if fault.times != 0]
    return taken


def comes_before_effect(fault: Fault) -> bool:
    """Tell whether a fault keeps the request from having an effect."""
    return not (fault.after_effect or fault.drop == "after" or fault.truncate or fault.drip_s)


def spoiled_answer(fault: Fault, now: datetime) -> Response | None:
    """Make the answer that a fault gives instead of the true one, if it does."""
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
    """Send an answer byte by byte, and then blanks, until somebody has had enough."""

    async def drip() -> AsyncIterator[bytes]:
        for byte in itertools.chain(bytes(answer.body), itertools.repeat(ord(" "))):
            yield bytes([byte])
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause_s)
                return

    return StreamingResponse(drip(), answer.status_code, media_type=answer.media_type)


def truncated(answer: Response) -> Response:
    """Cut an answer in half, as a proxy that gives up would."""
    return Response(bytes(answer.body)[: len(answer.body) // 2], answer.status_code, media_type=answer.media_type)
