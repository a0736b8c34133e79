"""`audiences`: list all audiences of the advertisers and summarize their ledgers."""

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
MARKS = "* managed: it has a ledger or is in the configuration"


@click.command()
@click.option("--advertiser", help="ID of one advertiser. Default: every advertiser in the configuration.")
@config_option
@json_option
def audiences(advertiser: str | None, settings: Settings, *, as_json: bool) -> None:
    """List all audiences of the advertisers, mark the managed ones and summarize their ledgers.

    The list includes ledgers whose audience does not exist at TikTok: not created yet, or deleted there. The command
    changes nothing and does not block a run.

    The exit code is 1 if TikTok did not list an advertiser's audiences.
    """
    advertiser_ids = dict.fromkeys([advertiser] if advertiser else [feed.advertiser_id for feed in settings.feeds])
    errors: dict[str, str] = {}
    with clear_errors(), tiktok_of(settings) as tiktok, closing(PrivateFolder()) as folder:
        snapshots = snapshots_of(settings, advertiser_ids, folder.path)
        entries: list[Entry] = []
        for advertiser_id in advertiser_ids:
            listed, error = list_audiences(tiktok, advertiser_id)
            if error:
                errors[advertiser_id] = f"Advertiser {advertiser_id}: {error}"
            entries += bring_together(advertiser_id, listed, snapshots, settings.feeds)
        now = tiktok.now
    if as_json:
        print_json({"audiences": [row_of(entry, now) for entry in entries], "errors": list(errors.values())})
    else:
        for advertiser_id in advertiser_ids:
            of_it = [row_of(entry, now) for entry in entries if entry.advertiser_id == advertiser_id]
            if of_it:
                print_table([_cells(row) for row in of_it], HEADINGS, title=f"Advertiser {advertiser_id}")
            elif advertiser_id not in errors:
                click.echo(f"Advertiser {advertiser_id} has no audience and no ledger.")
        if entries:
            click.echo(MARKS)
    for message in errors.values():
        click.echo(one_line(f"Error: {message}"), err=True)
    sys.exit(1 if errors else 0)


def row_of(entry: Entry, now: datetime) -> dict[str, Any]:
    """Return all details of an audience, as `--json` prints them."""
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


def _ledger(snapshot: LedgerSnapshot) -> dict[str, Any]:
    state, counts = snapshot.facts, snapshot.counts
    return {
        "busy": snapshot.busy,
        "problem": snapshot.problem or None,
        "desired": counts.desired if counts else None,
        "delivered": counts.delivered if counts else None,
        "to_add": counts.adds if counts else None,
        "to_remove": counts.removals if counts else None,
        "in_flight": snapshot.in_flight if state else None,
        "held_since": state.held_since.isoformat() if state and state.held_since else None,
        "streams": [
            {
                "stream": binding.stream,
                "field": binding.field,
                "load_method": binding.load_method,
                "people": people,
                "seen_at": seen_at.isoformat(),
            }
            for binding, people, seen_at in snapshot.parts
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
    parts = ["no size yet: still processing, or too small" if row["state"] == State.UNSIZED else row["state"]]
    if row["size"]:
        parts.append(f"{row['size']:,} people")
    parts += [row["contract"]] if row["contract"] else [row["type"] or ""]
    if row["expiring"]:
        parts.append(f"expires {row['expires_at'][:10]}")
    if row["owned"] is False:
        parts.append("owned by another advertiser")
    return [words for words in parts if words]


def _in_ledger(ledger: dict[str, Any]) -> list[str]:
    parts = ["in use by a run"] if ledger["busy"] else []
    if ledger["problem"]:
        return [*parts, ledger["problem"]]
    parts.append(f"{ledger['desired'] - ledger['to_add']:,} of {ledger['desired']:,} delivered")
    parts += [f"{ledger[what]:,} to {what[3:]}" for what in ("to_add", "to_remove") if ledger[what]]
    if ledger["in_flight"]:
        parts.append(f"{ledger['in_flight']} in flight")
    if ledger["held_since"]:
        parts.append(f"held since {ledger['held_since'][:16].replace('T', ' ')}")
    return parts
