"""Diagnose problems from evidence. Pure functions without input or output."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from target_tiktok_audiences.cli.diagnosis.advertiser import check_advertiser
from target_tiktok_audiences.cli.diagnosis.audience import check_audience
from target_tiktok_audiences.cli.diagnosis.environment import check_environment
from target_tiktok_audiences.cli.diagnosis.model import Evidence, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable


def diagnose(evidence: Evidence) -> list[Finding]:
    """Run every check. A check is skipped if another check found the cause of its failure."""
    findings = list(check_environment(evidence))
    for access in evidence.accesses:
        findings += _about(f"advertiser {access.advertiser_id}", check_advertiser(access, evidence))
    for entry in evidence.entries:
        where = f"{entry.audience_id}, " if entry.audience_id else ""
        about = f'audience "{entry.name}" ({where}advertiser {entry.advertiser_id})'
        findings += _about(about, check_audience(entry, evidence))
    return findings


def worst(findings: Iterable[Finding]) -> Outcome:
    """Return the worst outcome of all findings."""
    outcomes = {finding.outcome for finding in findings}
    return next((each for each in (Outcome.FAILED, Outcome.WARNING) if each in outcomes), Outcome.OK)


def _about(about: str, findings: Iterable[Finding]) -> list[Finding]:
    return [replace(each, about=about) for each in findings]
