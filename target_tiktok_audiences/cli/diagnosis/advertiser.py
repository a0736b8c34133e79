"""One advertiser: whether the token may act for it, read and change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.cli.diagnosis.environment import token_is_good
from target_tiktok_audiences.cli.diagnosis.model import Finding, Outcome
from target_tiktok_audiences.tiktok.errors import AccessDenied, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_tiktok_audiences.cli.diagnosis.model import Access, Evidence
    from target_tiktok_audiences.tiktok.errors import TikTokError


_ENABLED = "STATUS_ENABLE"


def _lacks_scope(error: TikTokError | None) -> bool:
    return isinstance(error, AccessDenied) and "scope" in error.message.lower()


def check_advertiser(access: Access, facts: Evidence) -> Iterator[Finding]:
    """Make the checks of one advertiser."""
    if not token_is_good(facts):
        for check in ("advertiser", "scope_30", "scope_31", "role"):
            yield Finding(check, Outcome.SKIPPED, "It needs a good token.")
        return
    yield _advertiser(access, facts)
    yield _scope("scope_30", "read", access.read_error)
    yield _scope("scope_31", "change", access.change_error)
    yield _role(access)


def _advertiser(access: Access, facts: Evidence) -> Finding:
    if facts.granted is not None and access.advertiser_id not in facts.granted:
        return Finding(
            "advertiser",
            Outcome.FAILED,
            f"It is not among the {len(facts.granted):,} that this token may act for.",
            "Is `advertiser_id` right (`advertisers` lists them)? Else authorise the app as somebody who has this"
            " account; access ends when one leaves its Business Center.",
        )
    refused = next((e for e in (access.info_error, access.read_error) if e and not _lacks_scope(e)), None)
    if isinstance(refused, Refused):
        return Finding(
            "advertiser",
            Outcome.FAILED,
            refused.summary,
            "Is `advertiser_id` right? Has the token's user still access to it? That ends when one leaves its Business"
            " Center.",
        )
    if refused:
        return Finding("advertiser", Outcome.SKIPPED, refused.summary, refused.advice)
    status = access.info.status if access.info else None
    name = f'"{access.info.name}"' if access.info and access.info.name else "It"
    if status and status != _ENABLED:
        todo = "Look into TikTok Ads Manager: the account may be under review, suspended or without a contract."
        return Finding("advertiser", Outcome.WARNING, f"{name} has the status {status}.", todo)
    return Finding("advertiser", Outcome.OK, f"{name} is accessible.")


def _scope(check: str, what: str, error: TikTokError | None) -> Finding:
    if error is None:
        return Finding(check, Outcome.OK, f"The token may {what} audiences.")
    if _lacks_scope(error):
        return Finding(
            check,
            Outcome.FAILED,
            error.summary,
            "Give the app the permission Audience Management at TikTok for Business Developers. Then authorise it"
            " again: a token made before lacks it.",
        )
    return Finding(check, Outcome.SKIPPED, "TikTok refuses for another reason.")


def _role(access: Access) -> Finding:
    error = access.change_error
    if error is None:
        return Finding("role", Outcome.OK, "TikTok would take an upload from the token's user.")
    if isinstance(error, AccessDenied) and not _lacks_scope(error) and access.read_error is None:
        return Finding(
            "role",
            Outcome.FAILED,
            error.summary,
            "The token's user may look and not change: make it Admin or Operator of this advertiser.",
        )
    return Finding("role", Outcome.SKIPPED, "TikTok refuses for another reason.")
