"""Checks of one advertiser: access, permission to read, permission to change."""

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


def check_advertiser(access: Access, evidence: Evidence) -> Iterator[Finding]:
    """Yield the findings about one advertiser."""
    if not token_is_good(evidence):
        for check in ("advertiser", "scope_30", "scope_31", "role"):
            yield Finding(check, Outcome.SKIPPED, "Skipped because the access token is not valid.")
        return
    yield _advertiser(access, evidence)
    yield _scope("scope_30", "read", access.read_error)
    yield _scope("scope_31", "change", access.change_error)
    yield _role(access)


def _advertiser(access: Access, evidence: Evidence) -> Finding:
    if evidence.granted is not None and access.advertiser_id not in evidence.granted:
        return Finding(
            "advertiser",
            Outcome.FAILED,
            f"It is not among the {len(evidence.granted):,} advertisers that this token can access.",
            "Check `advertiser_id` (`advertisers` lists them), or authorize the app as a user who has access to this"
            " account. A user loses access on leaving its Business Center.",
        )
    refused = next((e for e in (access.info_error, access.read_error) if e and not _lacks_scope(e)), None)
    if isinstance(refused, Refused):
        return Finding(
            "advertiser",
            Outcome.FAILED,
            refused.summary,
            "Check `advertiser_id`, and that the token's user still has access to it. A user loses access on leaving"
            " its Business Center.",
        )
    if refused:
        return Finding("advertiser", Outcome.SKIPPED, refused.summary, refused.advice)
    status = access.info.status if access.info else None
    name = f'"{access.info.name}"' if access.info and access.info.name else "It"
    if status and status != _ENABLED:
        todo = "Check TikTok Ads Manager: the account may be under review, suspended or without a contract."
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
            "Add the permission Audience Management to the app at TikTok for Business Developers. Then authorize it"
            " again: existing tokens do not have it.",
        )
    return Finding(check, Outcome.SKIPPED, "TikTok rejected the request for another reason.")


def _role(access: Access) -> Finding:
    error = access.change_error
    if error is None:
        return Finding("role", Outcome.OK, "The token's user may upload files.")
    if isinstance(error, AccessDenied) and not _lacks_scope(error) and access.read_error is None:
        return Finding(
            "role",
            Outcome.FAILED,
            error.summary,
            "The token's user has read access only. Make the user an Admin or Operator of this advertiser.",
        )
    return Finding("role", Outcome.SKIPPED, "TikTok rejected the request for another reason.")
