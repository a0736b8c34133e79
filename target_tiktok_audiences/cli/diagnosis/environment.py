"""Global checks: API host, clock, token, app, ledger path."""

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


def check_environment(evidence: Evidence) -> Iterator[Finding]:
    """Yield the findings that concern all audiences."""
    yield _host(evidence)
    yield _clock(evidence)
    yield _token(evidence)
    yield _app(evidence)
    yield _ledgers(evidence)


def _host(evidence: Evidence) -> Finding:
    error = evidence.user_error
    if isinstance(error, (Unreachable, NotTikTok, NoAnswer)):
        return Finding("host", Outcome.FAILED, error.summary, error.advice)
    if error and not isinstance(error, AccessDenied):
        return Finding("host", Outcome.WARNING, error.summary, error.advice)
    return Finding("host", Outcome.OK, f"{evidence.api_host} responds.")


def _clock(evidence: Evidence) -> Finding:
    if evidence.ahead is None:
        return Finding("clock", Outcome.SKIPPED, "TikTok did not respond.")
    way = "ahead of" if evidence.ahead > timedelta() else "behind"
    seen = f"This machine's clock is {format_duration(evidence.ahead)} {way} TikTok's."
    if abs(evidence.ahead) <= CLOCK_MAY_DIFFER:
        return Finding("clock", Outcome.OK, seen)
    return Finding(
        "clock",
        Outcome.WARNING,
        seen,
        "Set the clock, preferably with NTP. Runs use TikTok's clock, but schedules do not.",
    )


def _is_about_token(error: TikTokError | None) -> bool:
    """Return whether TikTok rejected the token itself; `user/info/` may need a scope that audiences do not need."""
    return isinstance(error, AccessDenied) and error.code != NO_PERMISSION


def token_is_good(evidence: Evidence) -> bool:
    """Return whether TikTok accepts the token, whatever its permissions."""
    error = evidence.user_error
    return error is None or (isinstance(error, AccessDenied) and not _is_about_token(error))


def _token(evidence: Evidence) -> Finding:
    error = evidence.user_error
    if token_is_good(evidence):
        return Finding("token", Outcome.OK, "TikTok accepts the access token.")
    if isinstance(error, AccessDenied) and error.code is not None:
        return Finding("token", Outcome.FAILED, error.summary, error.advice)
    return Finding("token", Outcome.SKIPPED, "TikTok could not be reached.")


def _app(evidence: Evidence) -> Finding:
    if not token_is_good(evidence):
        return Finding("app", Outcome.SKIPPED, "Skipped because the access token is not valid.")
    if evidence.granted_error:
        todo = "Check `app_id` and `app_secret`; the access token must belong to this app."
        return Finding("app", Outcome.FAILED, evidence.granted_error.summary, todo)
    if evidence.granted is None:
        return Finding(
            "app",
            Outcome.SKIPPED,
            "`app_id` and `app_secret` are not set.",
            "Set both to list the advertisers that the token can access.",
        )
    return Finding("app", Outcome.OK, f"The token can access {format_count(len(evidence.granted), 'advertiser')}.")


def _ledgers(evidence: Evidence) -> Finding:
    if evidence.ledger_path is None:
        return Finding(
            "ledger_path",
            Outcome.WARNING,
            "`:memory:` keeps no ledger.",
            "Set a durable folder, so that members can be removed and nothing is sent twice.",
        )
    if evidence.ledger_error:
        if "://" in evidence.ledger_path:
            seen, _, todo = evidence.ledger_error.partition(". ")
            return Finding("ledger_path", Outcome.FAILED, f"{seen}.", todo)
        todo = "Grant this user write access, or set another `ledger_path`."
        return Finding("ledger_path", Outcome.FAILED, f"{evidence.ledger_path}: {evidence.ledger_error}.", todo)
    return Finding("ledger_path", Outcome.OK, f"{evidence.ledger_path} is writable.")
