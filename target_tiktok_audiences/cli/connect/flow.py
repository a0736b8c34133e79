"""The connect flow: consent, code exchange, checks, choice of the ad account, storing the token."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

import click

from target_tiktok_audiences import __version__
from target_tiktok_audiences.cli.connect import page, terminal
from target_tiktok_audiences.cli.connect.env_file import ACCESS_TOKEN, ADVERTISER_ID, EnvFile, in_meltano_project
from target_tiktok_audiences.cli.connect.server import Approved, Chosen, Denied, LoopbackPage, UnexpectedRequest
from target_tiktok_audiences.cli.connect.terminal import say
from target_tiktok_audiences.cli.output import clear_errors
from target_tiktok_audiences.config.validation import token_errors
from target_tiktok_audiences.ledger.database import describe
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.signals import signals
from target_tiktok_audiences.tiktok.advertisers import status_in_words
from target_tiktok_audiences.tiktok.client import TikTok
from target_tiktok_audiences.tiktok.errors import TikTokError
from target_tiktok_audiences.tiktok.oauth import (
    ConsentDenied,
    WrongState,
    authorization_url,
    code_of,
    exchange,
    granted_advertisers,
    is_bad_code,
    scopes_in_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_tiktok_audiences.config.settings import AppSettings
    from target_tiktok_audiences.tiktok.models import Advertiser
    from target_tiktok_audiences.tiktok.oauth import Token

_AGAIN = "Run the command again, and approve"


@dataclass(frozen=True)
class ConnectOptions:
    """Options of the command line."""

    save: str | None
    show_token: bool
    browser: bool
    port: int
    redirect_uri: str | None
    minutes: float

    def deadline(self) -> float:
        """Return when the user's time to respond ends, on the monotonic clock."""
        return time.monotonic() + self.minutes * 60


@dataclass(frozen=True)
class Grant:
    """The token that TikTok granted, and its ad accounts."""

    token: Token
    advertisers: list[Advertiser]


class NotConnected(UserError):
    """No token was stored. The page and the terminal show why, and what to do."""

    def __init__(self, title: str, happened: str, todo: str) -> None:
        super().__init__(f"{happened} {todo} Nothing was stored.")
        self.view = page.failed(title, happened, todo)


def run(app: AppSettings, options: ConnectOptions) -> None:
    """Connect, or exit with a one-line error."""
    with clear_errors(), _last_word(options.minutes), signals.interrupting():
        if not (options.browser or terminal.can_ask()):
            raise UserError("--no-browser needs a terminal. Omit it, or use a terminal.")
        token_store = TokenStore.asked_for(options)
        if options.browser:
            _by_page(app, options, token_store)
        else:
            _in_terminal(app, options, token_store)


@contextmanager
def _last_word(minutes: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise UserError(
            f"No response within {minutes:g} minutes. Nothing was stored. Run the command again; --timeout sets a"
            " longer wait."
        ) from None
    except SystemExit:
        if signals.received:
            say(f"Stopped by a signal (exit {128 + signals.received}): nothing was stored.")
        raise


# --- Where the token goes ---


@dataclass(frozen=True)
class TokenStore:
    """Stores the token only where the user chose."""

    file: EnvFile | None
    show_token: bool

    @classmethod
    def asked_for(cls, options: ConnectOptions) -> TokenStore:
        """Use the command line, or prompt. Called before the approval, so that every token has a destination."""
        if options.save:
            return cls(EnvFile.meant_by(options.save), options.show_token)
        if options.show_token:
            return cls(None, show_token=True)
        if not terminal.can_ask():
            raise UserError("No destination for the token. Add --save env, --save env:PATH, --save meltano or --print.")
        say("Where do you want to store the token?")
        kinds = ["env", "meltano"] if in_meltano_project() else ["env"]
        files = list(dict.fromkeys(map(EnvFile.meant_by, kinds)))
        places = {str(number): file for number, file in enumerate([*files, None], 1)}
        for number, file in places.items():
            say(f"{number}: {file.path if file else 'do not store it, print it once'}")
        deadline = options.deadline()
        while (answer := terminal.ask("Number [1]:", deadline) or "1") not in places:
            pass
        return cls(places[answer], show_token=places[answer] is None)

    def keep(self, token: str, advertiser_id: str) -> str:
        """Store the token and return where. Signals are deferred from here on, so that it completes."""
        signals.check()
        signals.defer()
        kept = []
        try:
            if self.file:
                self.file.set({ACCESS_TOKEN: token, ADVERTISER_ID: advertiser_id})
                kept.append(f"stored in {self.file.path}, which only you can read")
            if self.show_token:
                click.echo(token)
                kept.append("printed once on standard output")
        except OSError as error:
            raise NotConnected("The token could not be stored", describe(error), f"{_AGAIN}.") from None
        return ", and ".join(kept)


# --- The approval ---


def _by_page(app: AppSettings, options: ConnectOptions, token_store: TokenStore) -> None:
    state = secrets.token_urlsafe(24)
    with LoopbackPage(options.port, state, options.redirect_uri) as server:
        url = authorization_url(app.api_url, app.app_id, state, server.redirect_uri)
        say(f"TikTok redirects your browser to {server.redirect_uri}, which must be registered for the app.")
        say("Approve at TikTok. If no browser opens, open this address:")
        click.echo(f"\n{url}\n", err=True)
        _open(url)
        try:
            grant = _granted(app, _code(server, options.deadline()))
            server.show(page.choose(grant.advertisers, grant.token.scopes, server.form_token))
            say(f"Permissions granted: {scopes_in_words(grant.token.scopes)}.")
            say(f"Choose the ad account on the page: {len(grant.advertisers):,} in its list.")
            deadline = options.deadline()
            while not isinstance(event := server.next_event(deadline), Chosen):
                pass
            chosen = next(each for each in grant.advertisers if each.advertiser_id == event.advertiser_id)
            kept = token_store.keep(grant.token.access_token, chosen.advertiser_id)
        except NotConnected as failed:
            server.finish(failed.view)
            raise
        _tell(chosen, kept)
        server.finish(page.done(chosen, grant.token.scopes, kept))


def _code(server: LoopbackPage, deadline: float) -> str:
    strays = 0
    while True:
        match server.next_event(deadline):
            case Approved(code):
                return code
            case Denied():
                raise _denied()
            case UnexpectedRequest() if not strays:
                strays += 1
                say("Ignored a response with an invalid `state`. Open the address above.")


def _in_terminal(app: AppSettings, options: ConnectOptions, token_store: TokenStore) -> None:
    state = secrets.token_urlsafe(24)
    redirect_uri = options.redirect_uri or f"http://localhost:{options.port}/"
    say("Open this address in a browser, on any machine, and approve:")
    click.echo(f"\n{authorization_url(app.api_url, app.app_id, state, redirect_uri)}\n", err=True)
    say(f"TikTok then redirects the browser to {redirect_uri}, which must be registered for the app; it need not load.")
    grant = _granted(app, _pasted_code(state, options.deadline()))
    say(f"Permissions granted: {scopes_in_words(grant.token.scopes)}.")
    chosen = terminal.choose(grant.advertisers, options.deadline())
    _tell(chosen, token_store.keep(grant.token.access_token, chosen.advertiser_id))


def _pasted_code(state: str, deadline: float) -> str:
    try:
        while True:
            with suppress(WrongState):
                return code_of(terminal.ask("Paste the complete address that the browser then shows:", deadline), state)
            say("This address does not match the request above: its `state` is missing or invalid.")
    except ConsentDenied:
        raise _denied() from None


def _denied() -> NotConnected:
    return NotConnected(
        "Not approved", "TikTok sent no code: the app was not approved.", f"{_AGAIN} there as Admin or Operator."
    )


def _granted(app: AppSettings, code: str) -> Grant:
    """Exchange the code for a token, and check its permissions and ad accounts."""
    agent = f"target-tiktok-audiences/{__version__}"
    client = partial(TikTok, api_url=app.api_url, user_agent=agent)
    with _explained(), closing(client("", secrets=[app.app_secret, code])) as tiktok:
        token = exchange(tiktok, app.app_id, app.app_secret, code)
    if any(token_errors(token.access_token)):
        raise NotConnected("No token", "TikTok returned a value that is not a valid access token.", f"{_AGAIN}.")
    if missing := token.missing_scopes:
        raise NotConnected(
            "A permission is missing",
            f"Permissions granted: {scopes_in_words(token.scopes)}. Missing: {scopes_in_words(missing)}.",
            "Add the permission Audience Management to the app at TikTok for Business, wait until TikTok has approved"
            " that, and connect again.",
        )
    with _explained(), closing(client(token.access_token, secrets=[app.app_secret])) as tiktok:
        advertisers = granted_advertisers(tiktok, app.app_id, app.app_secret)
    if not advertisers:
        raise NotConnected(
            "No ad account",
            "The user who approved has no ad account that the app can access.",
            "Make the user an Admin or Operator of an ad account in TikTok's Business Center, and connect again.",
        )
    return Grant(token, advertisers)


@contextmanager
def _explained() -> Iterator[None]:
    """Convert TikTok's errors, so that the page shows them, too."""
    try:
        yield
    except TikTokError as error:
        if is_bad_code(error):
            todo = f"A code is valid once, for one hour. {_AGAIN} promptly."
            raise NotConnected("The code has expired or was used", error.summary, todo) from None
        happened = " ".join(filter(None, [error.summary, error.tried]))
        raise NotConnected("TikTok returned an unexpected response", happened, error.advice) from None


def _tell(chosen: Advertiser, kept: str) -> None:
    name = f'"{chosen.name}"' if chosen.name else "an ad account without a name"
    say(f"Connected: {name}, advertiser {chosen.advertiser_id}, {status_in_words(chosen)}.")
    say(f"{ACCESS_TOKEN}, {ADVERTISER_ID}: {kept}.")


def _open(url: str) -> None:
    """Open the user's browser in a separate session: it does not share this terminal, and keeps running afterwards."""
    nowhere = subprocess.DEVNULL
    command = [sys.executable, "-m", "webbrowser", url]
    options = {"stdin": nowhere, "stdout": nowhere, "stderr": nowhere, "start_new_session": True}
    Thread(target=subprocess.run, args=[command], kwargs={**options, "check": False}, daemon=True).start()
