"""What may be wrong, judged from facts alone: nothing here reads or asks. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from target_tiktok_audiences.cli.diagnosis.advertiser import check_advertiser
from target_tiktok_audiences.cli.diagnosis.audience import check_audience
from target_tiktok_audiences.cli.diagnosis.environment import check_way
from target_tiktok_audiences.cli.diagnosis.model import Evidence, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable


__all__ = ["Access", "Facts", "Finding", "Outcome", "diagnose", "worst"]


def diagnose(facts: Evidence) -> list[Finding]:
    """Make every check; where one is the cause of another's failure, that one is skipped."""
    findings = list(check_way(facts))
    for access in facts.accesses:
        findings += _about(f"advertiser {access.advertiser_id}", check_advertiser(access, facts))
    for entry in facts.entries:
        where = f"{entry.audience_id}, " if entry.audience_id else ""
        about = f'audience "{entry.name}" ({where}advertiser {entry.advertiser_id})'
        findings += _about(about, check_audience(entry, facts))
    return findings


def worst(findings: Iterable[Finding]) -> Outcome:
    """Give the outcome of all checks together."""
    outcomes = {finding.outcome for finding in findings}
    return next((each for each in (Outcome.FAILED, Outcome.WARNING) if each in outcomes), Outcome.OK)


def _about(about: str, findings: Iterable[Finding]) -> list[Finding]:
    return [replace(each, about=about) for each in findings]
