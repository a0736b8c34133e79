"""The way to TikTok and what all audiences share: host, clock, token, app, ledgers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from target_tiktok_audiences.cli.diagnosis.model import Finding, Outcome
from target_tiktok_audiences.reporting.formatting import format_count, format_duration
from target_tiktok_audiences.tiktok.codes import NO_PERMISSION
from target_tiktok_audiences.tiktok.errors import AccessDenied, NoAnswer, NotTikTok, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_tiktok_audiences.cli.diagnosis.model import Evidence
    from target_tiktok_audiences.tiktok.errors import TikTokError


CLOCK_MAY_DIFFER = timedelta(minutes=5)


def check_way(facts: Evidence) -> Iterator[Finding]:
    """Make the checks that are about all."""
    yield _host(facts)
    yield _clock(facts)
    yield _token(facts)
    yield _app(facts)
    yield _ledgers(facts)


def _host(facts: Evidence) -> Finding:
    error = facts.user_error
    if isinstance(error, (Unreachable, NotTikTok, NoAnswer)):
        return Finding("host", Outcome.FAILED, error.summary, error.advice)
    if error and not isinstance(error, AccessDenied):
        return Finding("host", Outcome.WARNING, error.summary, error.advice)
    return Finding("host", Outcome.OK, f"{facts.api_host} answers.")


def _clock(facts: Evidence) -> Finding:
    if facts.ahead is None:
        return Finding("clock", Outcome.SKIPPED, "TikTok did not answer.")
    way = "ahead of" if facts.ahead > timedelta() else "behind"
    seen = f"This machine's clock is {format_duration(facts.ahead)} {way} TikTok's."
    if abs(facts.ahead) <= CLOCK_MAY_DIFFER:
        return Finding("clock", Outcome.OK, seen)
    return Finding("clock", Outcome.WARNING, seen, "Set the clock, best by NTP. Runs go by TikTok's, schedules do not.")


def _is_about_token(error: TikTokError | None) -> bool:
    """Tell whether the token itself was refused; `user/info/` may need a scope that audiences do not need."""
    return isinstance(error, AccessDenied) and error.code != NO_PERMISSION


def token_is_good(facts: Evidence) -> bool:
    """Tell whether TikTok takes the token, for whatever it may be good."""
    error = facts.user_error
    return error is None or (isinstance(error, AccessDenied) and not _is_about_token(error))


def _token(facts: Evidence) -> Finding:
    error = facts.user_error
    if token_is_good(facts):
        return Finding("token", Outcome.OK, "TikTok takes the access token.")
    if isinstance(error, AccessDenied) and error.code is not None:
        return Finding("token", Outcome.FAILED, error.summary, error.advice)
    return Finding("token", Outcome.SKIPPED, "TikTok could not be asked.")


def _app(facts: Evidence) -> Finding:
    if not token_is_good(facts):
        return Finding("app", Outcome.SKIPPED, "It needs a good token.")
    if facts.granted_error:
        todo = "Check `app_id` and `app_secret`; the access token must be one of this app."
        return Finding("app", Outcome.FAILED, facts.granted_error.summary, todo)
    if facts.granted is None:
        return Finding(
            "app",
            Outcome.SKIPPED,
            "`app_id` and `app_secret` are not set.",
            "Set both to list what the token may act for.",
        )
    return Finding("app", Outcome.OK, f"The token may act for {format_count(len(facts.granted), 'advertiser')}.")


def _ledgers(facts: Evidence) -> Finding:
    if facts.ledger_path is None:
        return Finding(
            "ledger_path",
            Outcome.WARNING,
            "`:memory:` keeps no ledger.",
            "Set a folder that lasts, so that people can leave and nothing is sent twice.",
        )
    if facts.ledger_error:
        if "://" in facts.ledger_path:
            seen, _, todo = facts.ledger_error.partition(". ")
            return Finding("ledger_path", Outcome.FAILED, f"{seen}.", todo)
        todo = "Let this user write there, or set another `ledger_path`."
        return Finding("ledger_path", Outcome.FAILED, f"{facts.ledger_path}: {facts.ledger_error}.", todo)
    return Finding("ledger_path", Outcome.OK, f"{facts.ledger_path} can be written.")
