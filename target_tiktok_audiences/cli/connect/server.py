"""Loopback server: receives TikTok's redirect, shows the progress and receives the choice of the ad account.

A request must have the `state`, which only TikTok's redirect has; afterwards a random address of this run is the key.
Other pages in the browser cannot post to it: they know neither that address nor the token in its form. The header Host
is checked against DNS rebinding.
"""

from __future__ import annotations

import secrets
import socketserver
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from target_tiktok_audiences.cli.connect import page
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.signals import signals
from target_tiktok_audiences.tiktok.oauth import ConsentDenied, WrongState, code_of

if TYPE_CHECKING:
    from typing import Self

    from target_tiktok_audiences.cli.connect.page import PageState

HOST = "127.0.0.1"
_LARGEST_FORM = 10_000
_CHECK_SIGNALS_S = 0.5
_PATIENCE_S = 5
"""Seconds for a browser to send its request, or to fetch the last page."""
_DECISION_S = 60
"""Seconds for the command to store the token after the choice."""


@dataclass(frozen=True)
class Approved:
    """The user approved; holds the authorization code."""

    code: str = field(repr=False)


@dataclass(frozen=True)
class Denied:
    """The user did not approve."""


@dataclass(frozen=True)
class UnexpectedRequest:
    """A redirect with an invalid `state`."""


@dataclass(frozen=True)
class Chosen:
    """The user chose an ad account."""

    advertiser_id: str


class LoopbackPage:
    """Context manager that serves the page."""

    def __init__(self, port: int, state: str, redirect_uri: str | None) -> None:
        try:
            self._server = _Server((HOST, port), _Handler)
        except OSError as error:
            raise UserError(
                f"The page cannot listen on {HOST}:{port}: {error.strerror}. Stop the process that uses the port, or"
                " choose another --port, and register its address for the app."
            ) from None
        self._server.page = self
        port = self._server.server_address[1]
        self.redirect_uri = redirect_uri or f"http://localhost:{port}/"
        self.state = state
        self.key = secrets.token_urlsafe(24)
        """Last segment of this run's random address."""
        self.form_token = secrets.token_urlsafe(24)
        self.hosts = {f"{HOST}:{port}", f"localhost:{port}", urlsplit(self.redirect_uri).netloc.lower()}
        self.events: SimpleQueue[Approved | Denied | UnexpectedRequest | Chosen] = SimpleQueue()
        self.view = page.WAITING
        self.version = 0
        self.ended = Event()
        """Set when the last view is available; the request that chose waits for it."""
        self.last_one_shown = Event()

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def show(self, view: PageState) -> None:
        """Show another view."""
        self.view, self.version = view, self.version + 1

    def finish(self, view: PageState) -> None:
        """Show the last view, and give the browser a moment to fetch it."""
        self.show(view)
        self.ended.set()
        self.last_one_shown.wait(_PATIENCE_S)

    def next_event(self, deadline: float) -> Approved | Denied | UnexpectedRequest | Chosen:
        """Return the next event; raise TimeoutError after `deadline` on the monotonic clock."""
        while (seconds := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                return self.events.get(timeout=min(seconds, _CHECK_SIGNALS_S))
            signals.check()  # Python may not wake a waiting queue for a signal
        raise TimeoutError


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False  # a browser opens connections that it never uses
    page: LoopbackPage

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: a closed connection is normal, and a traceback might contain the code."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout: ClassVar[float] = _PATIENCE_S

    def do_GET(self) -> None:
        """Handle TikTok's redirect, or show the current view."""
        here, url = self.server.page, urlsplit(self.path)
        if not self._is_meant_for_us():
            self._send(page.REFUSED)
        elif self._has_key():
            if url.query == "version":
                self._send_text(str(here.version))
            else:
                self._send(here.view)
        elif parse_qs(url.query).keys() & {"state", "auth_code"}:
            self._take_redirect()
        else:
            self._send(page.WAITING if url.path == (urlsplit(here.redirect_uri).path or "/") else page.MISSING)

    def do_POST(self) -> None:
        """Handle the choice once, and respond with its result."""
        here = self.server.page
        form = self._form() if self._is_meant_for_us() and self._has_key() else {}
        token = form.get("token", [""])[0]
        chosen = form.get("advertiser_id", [""])[0]
        # Not Origin: with this Referrer-Policy, browsers send "null".
        if self.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin" or not _same(token, here.form_token):
            self._send(page.REFUSED)
        elif chosen not in here.view.offers:
            self._send(here.view)
        else:
            here.events.put(Chosen(chosen))
            here.ended.wait(_DECISION_S)
            self._send(here.view)

    def _take_redirect(self) -> None:
        here = self.server.page
        try:
            found: Approved | Denied = Approved(code_of(self.path, here.state))
        except WrongState:
            here.events.put(UnexpectedRequest())
            self._send(page.STRAY)
            return
        except ConsentDenied:
            found = Denied()
        if here.view is page.WAITING:
            here.show(page.BUSY)
            here.events.put(found)
        # Redirect away from the address with the code; relative, because a tunnel may map to a subfolder.
        self.send_response(303)
        self.send_header("Location", here.key)
        self._end_headers(b"")

    def _is_meant_for_us(self) -> bool:
        return self.headers.get("Host", "").lower() in self.server.page.hosts

    def _has_key(self) -> bool:
        return _same(urlsplit(self.path).path.rpartition("/")[2], self.server.page.key)

    def _form(self) -> dict[str, list[str]]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST_FORM:
            return {}
        return parse_qs(self.rfile.read(int(length)).decode("ascii", "replace"))

    def _send(self, view: PageState) -> None:
        here = self.server.page
        self.send_response(view.status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self._end_headers(page.html(view, here.version))
        if here.ended.is_set() and view is here.view:
            here.last_one_shown.set()

    def _send_text(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self._end_headers(text.encode())

    def _end_headers(self, body: bytes) -> None:
        for name, value in page.headers().items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Return a name that does not reveal the Python version."""
        return "target-tiktok-audiences"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - Python's own name
        """Log nothing: the request line contains the code."""


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode("utf-8", "replace"), other.encode())
