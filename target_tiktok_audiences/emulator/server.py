"""Serve the emulator on a socket: in a thread of your tests, or as a separate process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Route
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from target_tiktok_audiences.emulator import dispatch
from target_tiktok_audiences.emulator.control import control_routes
from target_tiktok_audiences.emulator.faults import TRANSPORT
from target_tiktok_audiences.emulator.oauth import authorization_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from target_tiktok_audiences.emulator.emulator import Emulator

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@contextlib.contextmanager
def serve(emulator: Emulator, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an emulator from a thread and yield its base URL; port 0 selects a free port."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    def ready(stopping: asyncio.Event) -> None:
        started.set_result((asyncio.get_running_loop(), stopping))

    with _listen(host, port) as listener, ThreadPoolExecutor(1, "emulator") as thread:
        url = _url(listener)
        ended = thread.submit(asyncio.run, _serve(emulator, listener, ready))
        first: tuple[Future[Any], ...] = (started, ended)
        wait(first, return_when=FIRST_COMPLETED)
        if ended.done():
            ended.result()  # raises the error that prevented the start
        loop, stopping = started.result()
        try:
            yield url
        finally:
            loop.call_soon_threadsafe(stopping.set)
            ended.result()


def run(emulator: Emulator, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve an emulator until SIGINT or SIGTERM; call `announce` with its base URL once it accepts connections."""
    with _listen(host, port) as listener:
        url = _url(listener)

        def ready(stopping: asyncio.Event) -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stopping.set)
            announce(url)

        asyncio.run(_serve(emulator, listener, ready))


async def _serve(emulator: Emulator, listener: socket.socket, ready: Callable[[asyncio.Event], None]) -> None:
    """Serve connections until the event that is passed to `ready` is set.

    Only uvicorn's protocol is used. Its server would take at least a tenth of a second to stop, wait for responses
    that a fault delays, and end by raising the signal that stopped it; it would also add its own Date header.
    """
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    app = _app(emulator, stopping)
    # Its access log would contain query strings, and with them an app's secret.
    config = Config(app, lifespan="off", ws="none", log_config=None, access_log=False, proxy_headers=False)
    config.load()
    state = ServerState()
    server = await loop.create_server(lambda: _Protocol(config, state, {}, loop), sock=listener)
    ready(stopping)
    await stopping.wait()
    server.close()
    for connection in list(state.connections):
        connection.transport.abort()
    await asyncio.gather(*state.tasks)


class _Protocol(H11Protocol):
    """uvicorn's protocol, extended so that requests can close their connection: see `faults.HangUp`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Otherwise the body of a response waits 40 ms for the acknowledgment of its headers.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app = self.app

        async def app_with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT] = transport
            await app(scope, receive, send)

        self.app = app_with_transport


def _app(emulator: Emulator, stopping: asyncio.Event) -> ASGIApp:
    async def api(request: Request) -> Response:
        return await dispatch.answer(request, emulator, stopping)

    async def portal(request: Request) -> Response:
        return await authorization_page(request, emulator)

    app = Starlette(
        routes=[
            Route("/open_api/{path:path}", api, methods=METHODS),
            Route("/portal/auth", portal, methods=["GET", "POST"]),
            *control_routes(emulator),
        ]
    )
    # A redirect would hide a missing slash, which is an error of the client.
    app.router.redirect_slashes = False
    return _dated(app, emulator)


def _dated(app: ASGIApp, emulator: Emulator) -> ASGIApp:
    """Wrap an app so that the Date header of every response is the emulator's time."""

    async def dated(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(emulator.now(), usegmt=True)
                message["headers"] = [*message["headers"], (b"date", date.encode())]
            await send(message)

        await app(scope, receive, send_dated)

    return dated


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
