"""`audiences`: all audiences of the advertisers, and what the ledgers know of ours."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from target_tiktok_audiences.cli._data import list_audiences, snapshots_of
from target_tiktok_audiences.cli.options import config_option, tiktok_of
from target_tiktok_audiences.cli.output import clear_errors, json_option, print_json, print_table
from target_tiktok_audiences.runtime.files import PrivateFolder
from target_tiktok_audiences.runtime.sanitize import one_line
from target_tiktok_audiences.sync.overview import State, bring_together

if TYPE_CHECKING:
    from datetime import datetime

    from target_tiktok_audiences.config.settings import Settings
    from target_tiktok_audiences.ledger.snapshot import LedgerSnapshot
    from target_tiktok_audiences.sync.overview import Entry


HEADINGS = {"mark": "", "audience": "Audience", "at_tiktok": "At TikTok", "ledger": "Ledger", "streams": "Streams"}
MARKS = "* ours: a ledger or the configuration is about it"


@click.command()
@click.option("--advertiser", help="Only this advertiser, by id; else all of the configuration.")
@config_option
@json_option
def audiences(advertiser: str | None, settings: Settings, *, as_json: bool) -> None:
    """List all audiences of the advertisers; mark ours, and tell what their ledgers know.

    Ledgers without an audience at TikTok are listed, too: not created yet, or deleted there. Nothing is changed, and a
    run that is at it is not disturbed.

    The exit code is 1 if TikTok could not be asked about an advertiser.
    """
    advertiser_ids = dict.fromkeys([advertiser] if advertiser else [feed.advertiser_id for feed in settings.feeds])
    errors: dict[str, str] = {}
    with clear_errors(), tiktok_of(settings) as tiktok, closing(PrivateFolder()) as folder:
        looks = snapshots_of(settings, advertiser_ids, folder.path)
        entries: list[Entry] = []
        for advertiser_id in advertiser_ids:
            listed, error = list_audiences(tiktok, advertiser_id)
            if error:
                errors[advertiser_id] = f"Advertiser {advertiser_id}: {error}"
            entries += bring_together(advertiser_id, listed, looks, settings.feeds)
        now = tiktok.now
    if as_json:
        print_json({"audiences": [row_of(entry, now) for entry in entries], "errors": list(errors.values())})
    else:
        for advertiser_id in advertiser_ids:
            of_it = [row_of(entry, now) for entry in entries if entry.advertiser_id == advertiser_id]
            if of_it:
                print_table([_cells(row) for row in of_it], HEADINGS, title=f"Advertiser {advertiser_id}")
            elif advertiser_id not in errors:
                click.echo(f"Advertiser {advertiser_id} has no audience, and there is no ledger of one.")
        if entries:
            click.echo(MARKS)
    for told in errors.values():
        click.echo(one_line(f"Error: {told}"), err=True)
    sys.exit(1 if errors else 0)


def row_of(entry: Entry, now: datetime) -> dict[str, Any]:
    """Give all that is known of an audience, as `--json` prints it."""
    listed = entry.listed
    state = entry.state(now)
    return {
        "advertiser_id": entry.advertiser_id,
        "audience_id": entry.audience_id,
        "name": entry.name,
        "ours": entry.ours,
        "state": state.value,
        "type": listed.audience_type if listed else None,
        "contract": listed.calculate_type if listed else entry.contract,
        "size": listed.cover_num if listed else None,
        "valid": listed.is_valid if listed else None,
        "expiring": listed.is_expiring if listed else None,
        "expired": state is State.EXPIRED if listed else None,
        "expires_at": listed.expires_at.isoformat() if listed and listed.expires_at else None,
        "owned": listed.is_creator if listed else None,
        "ledger": _ledger(entry.look) if entry.look else None,
    }


def _ledger(look: LedgerSnapshot) -> dict[str, Any]:
    facts, counts = look.facts, look.counts
    return {
        "busy": look.busy,
        "problem": look.problem or None,
        "desired": counts.desired if counts else None,
        "delivered": counts.delivered if counts else None,
        "to_add": counts.adds if counts else None,
        "to_remove": counts.removals if counts else None,
        "in_flight": look.in_flight if facts else None,
        "held_since": facts.held_since.isoformat() if facts and facts.held_since else None,
        "streams": [
            {
                "stream": binding.stream,
                "field": binding.field,
                "load_method": binding.load_method,
                "people": people,
                "seen_at": seen_at.isoformat(),
            }
            for binding, people, seen_at in look.parts
        ],
    }


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    ledger = row["ledger"]
    return {
        "mark": "*" if row["ours"] else "",
        "audience": f"{row['name']} ({row['audience_id'] or 'no id'})",
        "at_tiktok": ", ".join(_at_tiktok(row)),
        "ledger": ", ".join(_in_ledger(ledger)) if ledger else "",
        "streams": list(dict.fromkeys(part["stream"] for part in ledger["streams"])) if ledger else "",
    }


def _at_tiktok(row: dict[str, Any]) -> list[str]:
    said = ["no size yet: being processed, or too few" if row["state"] == State.UNSIZED else row["state"]]
    if row["size"]:
        said.append(f"{row['size']:,} people")
    said += [row["contract"]] if row["contract"] else [row["type"] or ""]
    if row["expiring"]:
        said.append(f"expires {row['expires_at'][:10]}")
    if row["owned"] is False:
        said.append("another's")
    return [words for words in said if words]


def _in_ledger(ledger: dict[str, Any]) -> list[str]:
    said = ["in use by a run"] if ledger["busy"] else []
    if ledger["problem"]:
        return [*said, ledger["problem"]]
    said.append(f"{ledger['desired'] - ledger['to_add']:,} of {ledger['desired']:,} delivered")
    said += [f"{ledger[what]:,} to {what[3:]}" for what in ("to_add", "to_remove") if ledger[what]]
    if ledger["in_flight"]:
        said.append(f"{ledger['in_flight']} in flight")
    if ledger["held_since"]:
        said.append(f"held since {ledger['held_since'][:16].replace('T', ' ')}")
    return said
