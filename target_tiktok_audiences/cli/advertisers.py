"""`advertisers`: list the ad accounts that the token can access."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from target_tiktok_audiences.cli.options import config_option, tiktok_of
from target_tiktok_audiences.cli.output import clear_errors, json_option, print_json, print_table
from target_tiktok_audiences.runtime.sanitize import one_line
from target_tiktok_audiences.tiktok.codes import NO_PERMISSION
from target_tiktok_audiences.tiktok.errors import Refused

if TYPE_CHECKING:
    from target_tiktok_audiences.config.settings import Settings
    from target_tiktok_audiences.tiktok.client import TikTok
    from target_tiktok_audiences.tiktok.models import Advertiser

HEADINGS = {"mark": "", "advertiser_id": "Advertiser", "name": "Name", "status": "Status", "where": "Where"}
MARKS = "* in the configuration"
NEEDS_APP = (
    "These are the advertisers in the configuration. To list every advertiser that the token can access, set {missing},"
    " from the app's page at TikTok for Business Developers."
)


@click.command()
@config_option
@json_option
def advertisers(settings: Settings, *, as_json: bool) -> None:
    """List the advertisers (ad accounts) that the access token can access, and mark those in the configuration.

    Requires `app_id` and `app_secret`. Without them, only the advertisers in the configuration are listed.

    The exit code is 1 if an advertiser in the configuration is not accessible.
    """
    with clear_errors(), tiktok_of(settings) as tiktok:
        rows = _rows(tiktok, settings)
    missing = [f"`{name}`" for name in ("app_id", "app_secret") if not getattr(settings, name)]
    note = NEEDS_APP.format(missing=" and ".join(missing)) if missing else None
    if as_json:
        print_json({"advertisers": rows, "note": note})
    else:
        print_table([_cells(row) for row in rows], HEADINGS)
        click.echo(note or MARKS)
    unseen = [row for row in rows if row["configured"] and row["error"]]
    if not as_json:
        for row in unseen:
            click.echo(one_line(f"Error: Advertiser {row['advertiser_id']}: {row['error']}"), err=True)
    sys.exit(1 if unseen else 0)


def _rows(tiktok: TikTok, settings: Settings) -> list[dict[str, Any]]:
    _prove_token(tiktok)
    names: dict[str, str | None] | None = None
    if settings.app_id and settings.app_secret:
        granted = tiktok.granted_advertisers(settings.app_id, settings.app_secret)
        names = {found.advertiser_id: found.advertiser_name for found in granted}
    details: dict[str, Advertiser] = {}
    refusal = None
    try:
        details = {found.advertiser_id: found for found in tiktok.advertisers(list(names or {}))}
    except Refused as refused:  # one bad ID may fail the request: those in the configuration are requested one by one
        refusal = str(refused)
    configured = dict.fromkeys(feed.advertiser_id for feed in settings.feeds)
    errors: dict[str, str | None] = {}
    for advertiser_id in [each for each in configured if each not in details]:
        found, errors[advertiser_id] = _look_up(tiktok, advertiser_id)
        if found:
            details[advertiser_id] = found
    return [
        {
            "advertiser_id": each,
            **_shown(details.get(each), (names or {}).get(each)),
            "configured": each in configured,
            "granted": each in names if names is not None else None,
            "error": errors.get(each, None if each in details else refusal),
        }
        for each in dict.fromkeys([*configured, *(names or {})])
    ]


def _prove_token(tiktok: TikTok) -> None:
    """Raise the error if the token is not valid; a missing permission for this call is ignored."""
    try:
        tiktok.user()
    except Refused as refused:
        if refused.code != NO_PERMISSION:
            raise


def _look_up(tiktok: TikTok, advertiser_id: str) -> tuple[Advertiser | None, str | None]:
    """Return an advertiser's details, or the reason why TikTok returned none."""
    try:
        found = tiktok.advertisers([advertiser_id])
    except Refused as refused:
        return None, str(refused)
    return (found[0], None) if found else (None, "TikTok returns no data for it.")


def _shown(details: Advertiser | None, name: str | None) -> dict[str, Any]:
    shown = {field: getattr(details, field, None) for field in ("name", "status", "country", "currency", "timezone")}
    return {**shown, "name": shown["name"] or name}


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "mark": "*" if row["configured"] else "",
        "advertiser_id": row["advertiser_id"],
        "name": row["name"],
        "status": "not granted"
        if row["granted"] is False or (row["configured"] and row["error"])
        else (row["status"] or "").removeprefix("STATUS_").lower(),
        "where": ", ".join(filter(None, (row["country"], row["currency"], row["timezone"]))),
    }
