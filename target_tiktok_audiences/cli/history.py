"""`history`: show the run history of audiences."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from target_tiktok_audiences.cli.options import offline_config_option
from target_tiktok_audiences.cli.output import clear_errors, fail, json_option, lacks_extra, print_json, print_table
from target_tiktok_audiences.history.funnel import headline, why_smaller
from target_tiktok_audiences.history.journal import read_histories
from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.ledger.database import load_database
from target_tiktok_audiences.reporting.formatting import format_count
from target_tiktok_audiences.runtime.files import PrivateFolder, write_atomic
from target_tiktok_audiences.runtime.sanitize import one_line
from target_tiktok_audiences.runtime.signals import signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tiktok_audiences.config.settings import Settings
    from target_tiktok_audiences.history.journal import History, JournalEntry

OVERVIEW = {
    "audience": "Audience",
    "last": "Last run (UTC)",
    "given": "Delivered",
    "course": "Trend",
    "size": "Size",
    "size_course": "Trend",
}
STEPS = {"step": "Step", "count": "Count", "bar": "", "words": "Meaning"}
RUNS = {"at": "Run (UTC)", "outcome": "Outcome", "records": "Records", "people": "Members", "size": "Size"}
BLOCKS = "▁▂▃▄▅▆▇█"
SPARKS, BAR = 12, 16
"""Maximum length in characters of a sparkline and of a bar."""


@click.command()
@click.argument("audience", required=False)
@click.option(
    "--runs",
    "count",
    default=10,
    show_default=True,
    type=click.IntRange(0),
    help="Number of runs to list. JSON always contains all.",
)
@click.option(
    "--html",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a self-contained HTML page with plots to this file.",
)
@json_option
@offline_config_option
def history(audience: str | None, count: int, file: Path | None, settings: Settings, *, as_json: bool) -> None:
    """Show the run history of AUDIENCE (name or ID), or of every audience that has a ledger.

    For each audience: desired and delivered members, rejected identifiers with reasons, and why the audience is smaller
    than the table. Reads copies of the ledgers: does not block a run and does not call TikTok.
    """
    if file and find_spec("matplotlib") is None:
        fail(lacks_extra("The plots", "history"))
    with clear_errors(), closing(PrivateFolder()) as folder, signals.interrupting():
        with signals.held():
            load_database()
        ledgers = LedgerCatalog(settings.ledger_path, folder.path, dry_run=True)
        histories = list(read_histories(ledgers, settings.api_host, audience, folder.path))
        if not histories:
            known = f"no ledger of {audience}" if audience else "no ledger"
            fail(f"there is {known} in {ledgers.name}. Check that `ledger_path` is the one that the runs use.")
        if file:
            from target_tiktok_audiences.history.html import write_page  # noqa: PLC0415 - it needs the extra

            now = datetime.now(UTC).isoformat(timespec="seconds")
            write_atomic(file, write_page(histories, now).encode(errors="replace"))
        if as_json:
            print_json({"audiences": [_answer(each) for each in histories]})
        else:
            _print(histories, count)
    if all(each.problem for each in histories):
        sys.exit(1)


def _answer(audience_history: History) -> dict[str, Any]:
    steps = [{**asdict(step), "meaning": step.words} for step in why_smaller(audience_history)]
    return {**asdict(audience_history), "size": audience_history.size, "why_smaller": steps}


def _print(histories: Sequence[History], count: int) -> None:
    print_table([_overview(each) for each in histories], OVERVIEW)
    for each in histories:
        click.echo(one_line(f'Audience "{each.audience}" ({each.audience_id or "not created"}): {headline(each)}'))
    if len(histories) == 1 and histories[0].runs:
        _print_one(histories[0], count)


def _print_one(audience_history: History, count: int) -> None:
    """Print the funnel and the runs of a single audience."""
    steps = why_smaller(audience_history)
    largest = max((step.count for step in steps), default=0) or 1
    rows = [
        {
            "step": step.label,
            "count": step.count if step.kind != "less" else -step.count,
            "bar": "█" * round(step.count * BAR / largest) or "▏",
            "words": step.words,
        }
        for step in steps
    ]
    if rows:
        print_table(rows, STEPS, title="Why is the audience smaller than the table?")
    if count:
        runs = [_run(run) for run in audience_history.runs[-count:]]
        print_table(runs, RUNS, title=f"The last {len(runs):,} of {format_count(len(audience_history.runs), 'run')}")
    if message := audience_history.runs[-1].message:
        click.echo(one_line(f"Message of the last run: {message}"))


def _overview(audience_history: History) -> dict[str, Any]:
    last = audience_history.runs[-1] if audience_history.runs else None
    return {
        "audience": audience_history.audience,
        "last": f"{last.at[:16].replace('T', ' ')} {last.outcome}" if last else audience_history.problem or "never",
        "given": last.delivered if last else None,
        "course": _course([run.delivered for run in audience_history.runs]),
        "size": audience_history.size,
        "size_course": _course([run.size for run in audience_history.runs if run.size is not None]),
    }


def _course(counts: Sequence[int | None]) -> str:
    """Return the last counts as a sparkline, scaled from zero to their maximum."""
    known = [count for count in counts if count is not None][-SPARKS:]
    most = max(known, default=0)
    return "".join(BLOCKS[count * (len(BLOCKS) - 1) // max(most, 1)] for count in known)


def _run(run: JournalEntry) -> dict[str, Any]:
    rejected = ", ".join(f"{why} {count:,}" for why, count in run.rejected.items())
    changes = {"added": run.added, "removed": run.removed, "pending": run.waiting}
    delivered = (
        f"{run.delivered:,} delivered"
        if run.delivered == run.desired
        else f"{run.delivered:,} of {run.desired:,} delivered"
    )
    return {
        "at": run.at[:16].replace("T", " "),
        "outcome": f"{run.outcome} {run.plan or ''}".strip(),
        "records": [f"{run.books['read']:,} read", *([f"rejected: {rejected}"] if rejected else [])],
        "people": [delivered, *(f"{count:,} {what}" for what, count in changes.items() if count)],
        "size": run.size,
    }
