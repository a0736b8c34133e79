"""The way from an app to a token that is kept: ask, approve, exchange, check, choose, keep."""

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
    """What the command line says."""

    save: str | None
    show_token: bool
    browser: bool
    port: int
    redirect_uri: str | None
    minutes: float

    def deadline(self) -> float:
        """Until when the user may take from now on, by the monotonic clock."""
        return time.monotonic() + self.minutes * 60


@dataclass(frozen=True)
class Grant:
    """What TikTok has given."""

    token: Token
    advertisers: list[Advertiser]


class NotConnected(UserError):
    """No token is kept; the page and the terminal tell why, and what to do."""

    def __init__(self, title: str, happened: str, todo: str) -> None:
        super().__init__(f"{happened} {todo} Nothing was stored.")
        self.view = page.failed(title, happened, todo)


def run(app: AppSettings, wishes: ConnectOptions) -> None:
    """Connect, or end with one line that says why not."""
    with clear_errors(), _last_word(wishes.minutes), signals.interrupting():
        if not (wishes.browser or terminal.can_ask()):
            raise UserError("--no-browser asks in the terminal, and there is none. Leave it out, or run in a terminal.")
        keeper = TokenStore.asked_for(wishes)
        if wishes.browser:
            _by_page(app, wishes, keeper)
        else:
            _in_terminal(app, wishes, keeper)


@contextmanager
def _last_word(minutes: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise UserError(
            f"Nobody has answered within {minutes:g} minutes, so nothing was stored. Run the command again; --timeout"
            " makes it wait longer."
        ) from None
    except SystemExit:
        if signals.received:
            say(f"Stopped by a signal (exit {128 + signals.received}): nothing was stored.")
        raise


# --- Where the token goes ---


@dataclass(frozen=True)
class TokenStore:
    """Keeps the token where the user wants it, and nowhere else."""

    file: EnvFile | None
    show_token: bool

    @classmethod
    def asked_for(cls, wishes: ConnectOptions) -> TokenStore:
        """Go by the command line, or ask: before the approval, so that no token is got that nobody keeps."""
        if wishes.save:
            return cls(EnvFile.meant_by(wishes.save), wishes.show_token)
        if wishes.show_token:
            return cls(None, show_token=True)
        if not terminal.can_ask():
            raise UserError("Where shall the token go? Add --save env, --save env:PATH, --save meltano or --print.")
        say("Where shall the token go?")
        kinds = ["env", "meltano"] if in_meltano_project() else ["env"]
        files = list(dict.fromkeys(map(EnvFile.meant_by, kinds)))
        places = {str(number): file for number, file in enumerate([*files, None], 1)}
        for number, file in places.items():
            say(f"{number}: {file.path if file else 'nowhere, print it once'}")
        deadline = wishes.deadline()
        while (answer := terminal.ask("Number [1]:", deadline) or "1") not in places:
            pass
        return cls(places[answer], show_token=places[answer] is None)

    def keep(self, token: str, advertiser_id: str) -> str:
        """Keep it, and tell where; from here on no signal interrupts, for it would be half done."""
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
            raise NotConnected("The token could not be kept", describe(error), f"{_AGAIN}.") from None
        return ", and ".join(kept)


# --- The approval ---


def _by_page(app: AppSettings, wishes: ConnectOptions, keeper: TokenStore) -> None:
    state = secrets.token_urlsafe(24)
    with LoopbackPage(wishes.port, state, wishes.redirect_uri) as here:
        url = authorization_url(app.api_url, app.app_id, state, here.redirect_uri)
        say(f"TikTok sends your browser back to {here.redirect_uri}, which must be registered for the app.")
        say("Approve at TikTok. If no browser opens, open this address:")
        click.echo(f"\n{url}\n", err=True)
        _open(url)
        try:
            grant = _granted(app, _code(here, wishes.deadline()))
            here.show(page.choose(grant.advertisers, grant.token.scopes, here.form_token))
            say(f"TikTok has granted: {scopes_in_words(grant.token.scopes)}.")
            say(f"Choose the ad account on the page: {len(grant.advertisers):,} in its list.")
            deadline = wishes.deadline()
            while not isinstance(event := here.next_event(deadline), Chosen):
                pass
            chosen = next(each for each in grant.advertisers if each.advertiser_id == event.advertiser_id)
            kept = keeper.keep(grant.token.access_token, chosen.advertiser_id)
        except NotConnected as failed:
            here.finish(failed.view)
            raise
        _tell(chosen, kept)
        here.finish(page.done(chosen, grant.token.scopes, kept))


def _code(here: LoopbackPage, deadline: float) -> str:
    strays = 0
    while True:
        match here.next_event(deadline):
            case Approved(code):
                return code
            case Denied():
                raise _denied()
            case UnexpectedRequest() if not strays:
                strays += 1
                say("An answer with a wrong `state` has come, and was ignored. Open the address above.")


def _in_terminal(app: AppSettings, wishes: ConnectOptions, keeper: TokenStore) -> None:
    state = secrets.token_urlsafe(24)
    redirect_uri = wishes.redirect_uri or f"http://localhost:{wishes.port}/"
    say("Open this address in a browser, on any machine, and approve:")
    click.echo(f"\n{authorization_url(app.api_url, app.app_id, state, redirect_uri)}\n", err=True)
    say(f"TikTok then sends the browser to {redirect_uri}, which must be registered for the app and need not load.")
    grant = _granted(app, _pasted_code(state, wishes.deadline()))
    say(f"TikTok has granted: {scopes_in_words(grant.token.scopes)}.")
    chosen = terminal.choose(grant.advertisers, wishes.deadline())
    _tell(chosen, keeper.keep(grant.token.access_token, chosen.advertiser_id))


def _pasted_code(state: str, deadline: float) -> str:
    try:
        while True:
            with suppress(WrongState):
                return code_of(terminal.ask("Paste the whole address that the browser shows then:", deadline), state)
            say("That is not the answer to the address above: its `state` is missing or wrong.")
    except ConsentDenied:
        raise _denied() from None


def _denied() -> NotConnected:
    return NotConnected(
        "Not approved", "TikTok sent no code: the app was not approved.", f"{_AGAIN} there as Admin or Operator."
    )


def _granted(app: AppSettings, code: str) -> Grant:
    """Make a token of the code, and see that it will do."""
    agent = f"target-tiktok-audiences/{__version__}"
    client = partial(TikTok, api_url=app.api_url, user_agent=agent)
    with _explained(), closing(client("", secrets=[app.app_secret, code])) as tiktok:
        token = exchange(tiktok, app.app_id, app.app_secret, code)
    if any(token_errors(token.access_token)):
        raise NotConnected("No token", "TikTok sent something that is no access token.", f"{_AGAIN}.")
    if missing := token.missing_scopes:
        raise NotConnected(
            "A permission is missing",
            f"TikTok has granted: {scopes_in_words(token.scopes)}. Missing: {scopes_in_words(missing)}.",
            "Add the permission Audience Management to the app at TikTok for Business, wait until TikTok has approved"
            " that, and connect again.",
        )
    with _explained(), closing(client(token.access_token, secrets=[app.app_secret])) as tiktok:
        advertisers = granted_advertisers(tiktok, app.app_id, app.app_secret)
    if not advertisers:
        raise NotConnected(
            "No ad account",
            "Whoever approved has no ad account that the app may act for.",
            "Let the user be made Admin or Operator of one in TikTok's Business Center, and connect again.",
        )
    return Grant(token, advertisers)


@contextmanager
def _explained() -> Iterator[None]:
    """Say on the page, too, what TikTok did not do."""
    try:
        yield
    except TikTokError as error:
        if is_bad_code(error):
            todo = f"A code is good for an hour, and once. {_AGAIN} soon."
            raise NotConnected("The code is not good any more", error.summary, todo) from None
        happened = " ".join(filter(None, [error.summary, error.tried]))
        raise NotConnected("TikTok has not answered as hoped", happened, error.advice) from None


def _tell(chosen: Advertiser, kept: str) -> None:
    name = f'"{chosen.name}"' if chosen.name else "an ad account without a name"
    say(f"Connected: {name}, advertiser {chosen.advertiser_id}, {status_in_words(chosen)}.")
    say(f"{ACCESS_TOKEN}, {ADVERTISER_ID}: {kept}.")


def _open(url: str) -> None:
    """Open the user's browser, in a session of its own: it shares no terminal with us, and outlives us."""
    nowhere = subprocess.DEVNULL
    command = [sys.executable, "-m", "webbrowser", url]
    options = {"stdin": nowhere, "stdout": nowhere, "stderr": nowhere, "start_new_session": True}
    Thread(target=subprocess.run, args=[command], kwargs={**options, "check": False}, daemon=True).start()
