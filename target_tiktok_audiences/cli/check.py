"""`check`: diagnose why audiences are not filled, and what to do."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

import click

from target_tiktok_audiences.cli._data import advertisers_by_name, list_audiences, snapshots_of
from target_tiktok_audiences.cli.diagnosis import diagnose, worst
from target_tiktok_audiences.cli.diagnosis.model import Access, Evidence, Outcome
from target_tiktok_audiences.cli.options import config_option, tiktok_of
from target_tiktok_audiences.cli.output import clear_errors, json_option, print_json, print_table
from target_tiktok_audiences.ledger.catalog import place_problem
from target_tiktok_audiences.ledger.object_store import shown
from target_tiktok_audiences.runtime.files import PrivateFolder
from target_tiktok_audiences.sync.overview import bring_together
from target_tiktok_audiences.tiktok.errors import TikTokError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from target_tiktok_audiences.config.settings import Settings
    from target_tiktok_audiences.sync.overview import Entry
    from target_tiktok_audiences.tiktok.client import TikTok
    from target_tiktok_audiences.tiktok.models import Advertiser, Audience

HEADINGS = {"check": "Check", "outcome": "Outcome", "seen": "Result", "todo": "What to do"}
RUNS = 10
"""Number of the newest journal entries to evaluate."""


@click.command()
@click.option(
    "--stale-days",
    default=7,
    show_default=True,
    type=click.IntRange(min=1),
    help="Warn if a stream has not arrived, or not changed, for this many days.",
)
@config_option
@json_option
def check(stale_days: int, settings: Settings, *, as_json: bool) -> None:
    """Diagnose why audiences are not filled: token, permissions, advertiser, clock, ledgers, data.

    Each check reports a result and what to do. The command changes nothing: it tests the upload permission with an
    upload request without a file, which TikTok rejects.

    The exit code is 1 if a check failed.
    """
    with clear_errors(), tiktok_of(settings) as tiktok, closing(PrivateFolder()) as folder:
        findings = diagnose(_gather(settings, tiktok, timedelta(days=stale_days), folder.path))
    outcome = worst(findings)
    rows = [{**vars(finding), "outcome": finding.outcome.value} for finding in findings]
    if as_json:
        print_json({"outcome": outcome.value, "checks": rows})
    else:
        for about, of_it in groupby(rows, lambda row: row["about"]):
            print_table(list(of_it), HEADINGS, title=about or "TikTok and this machine")
        click.echo({Outcome.OK: "All checks passed."}.get(outcome, f"Worst outcome: {outcome.value}."))
    sys.exit(1 if outcome is Outcome.FAILED else 0)


def _gather(settings: Settings, tiktok: TikTok, stale_after: timedelta, temporary: Path) -> Evidence:
    place = settings.ledger_path
    ledger_error = place_problem(place) if place else ""
    if ledger_error and isinstance(place, str):
        settings = replace(settings, ledger_path=None)  # the other checks still apply
    user_error = _error_of(tiktok.user)
    answered = bool(tiktok.calls)
    ahead = datetime.now(UTC) - tiktok.now if answered else None
    granted, granted_error = _granted(settings, tiktok) if answered else (None, None)
    advertiser_ids = dict.fromkeys(feed.advertiser_id for feed in settings.feeds)
    snapshots = snapshots_of(settings, advertiser_ids, temporary, runs=RUNS)
    accesses: list[Access] = []
    entries: list[Entry] = []
    for advertiser_id in advertiser_ids:
        listed = None
        if answered:
            access, listed = _access(tiktok, advertiser_id)
        else:
            access = Access(advertiser_id)
        accesses.append(access)
        found = bring_together(advertiser_id, listed, snapshots, settings.feeds)
        entries += [entry for entry in found if entry.ours]
    return Evidence(
        api_host=settings.api_host,
        now=tiktok.now,
        stale_after=stale_after,
        user_error=user_error,
        ahead=ahead,
        granted=granted,
        granted_error=granted_error,
        ledger_path=shown(place) if place else None,
        ledger_error=ledger_error,
        accesses=accesses,
        entries=entries,
        filled=advertisers_by_name(settings, temporary),
    )


def _access(tiktok: TikTok, advertiser_id: str) -> tuple[Access, list[Audience] | None]:
    info: list[Advertiser] = []
    info_error = _error_of(lambda: info.extend(tiktok.advertisers([advertiser_id])))
    listed, read_error = list_audiences(tiktok, advertiser_id)
    change_error = _error_of(lambda: tiktok.check_may_change(advertiser_id))
    return Access(advertiser_id, next(iter(info), None), info_error, read_error, change_error), listed


def _granted(settings: Settings, tiktok: TikTok) -> tuple[set[str] | None, TikTokError | None]:
    if not (settings.app_id and settings.app_secret):
        return None, None
    try:
        found = tiktok.granted_advertisers(settings.app_id, settings.app_secret)
    except TikTokError as error:
        return None, error
    return {advertiser.advertiser_id for advertiser in found}, None


def _error_of(call: Callable[[], object]) -> TikTokError | None:
    try:
        call()
    except TikTokError as error:
        return error
    return None
