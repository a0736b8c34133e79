"""`history`: what became of audiences, run after run."""

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
    "given": "Given",
    "course": "Course",
    "size": "Size",
    "size_course": "Course",
}
STEPS = {"step": "Step", "count": "Count", "bar": "", "words": "What it means"}
RUNS = {"at": "Run (UTC)", "outcome": "Outcome", "records": "Records", "people": "People", "size": "Size"}
BLOCKS = "▁▂▃▄▅▆▇█"
SPARKS, BAR = 12, 16
"""Characters of a course, and of a bar."""


@click.command()
@click.argument("audience", required=False)
@click.option(
    "--runs", "count", default=10, show_default=True, type=click.IntRange(0), help="Runs to list; all in JSON."
)
@click.option(
    "--html", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with plots, to send."
)
@json_option
@offline_config_option
def history(audience: str | None, count: int, file: Path | None, settings: Settings, *, as_json: bool) -> None:
    """Show what became of AUDIENCE (its name or id) run after run, or of all that the ledgers know.

    For each: who should be in it, who was given to TikTok, what was rejected and why, and why the audience is smaller
    than the table. It reads copies of the ledgers: a run is not disturbed, and TikTok is not asked.
    """
    if file and find_spec("matplotlib") is None:
        fail(lacks_extra("The plots", "history"))
    with clear_errors(), closing(PrivateFolder()) as folder, signals.interrupting():
        with signals.held():
            load_database()
        ledgers = LedgerCatalog(settings.ledger_path, folder.path, dry_run=True)
        found = list(read_histories(ledgers, settings.api_host, audience, folder.path))
        if not found:
            known = f"no ledger of {audience}" if audience else "no ledger"
            fail(f"there is {known} in {ledgers.name}. Is `ledger_path` that of the runs?")
        if file:
            from target_tiktok_audiences.history.html import write_page  # noqa: PLC0415 - it needs the extra

            now = datetime.now(UTC).isoformat(timespec="seconds")
            write_atomic(file, write_page(found, now).encode(errors="replace"))
        if as_json:
            print_json({"audiences": [_answer(each) for each in found]})
        else:
            _print(found, count)
    if all(each.problem for each in found):
        sys.exit(1)


def _answer(found: History) -> dict[str, Any]:
    steps = [{**asdict(step), "meaning": step.words} for step in why_smaller(found)]
    return {**asdict(found), "size": found.size, "why_smaller": steps}


def _print(found: Sequence[History], count: int) -> None:
    print_table([_overview(each) for each in found], OVERVIEW)
    for each in found:
        click.echo(one_line(f'Audience "{each.audience}" ({each.audience_id or "not created"}): {headline(each)}'))
    if len(found) == 1 and found[0].runs:
        _print_one(found[0], count)


def _print_one(found: History, count: int) -> None:
    """Print what there is room for where it is about one audience: its way from the table, and its runs."""
    steps = why_smaller(found)
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
        print_table(rows, STEPS, title="Why is it smaller than the table?")
    if count:
        runs = [_run(run) for run in found.runs[-count:]]
        print_table(runs, RUNS, title=f"The last {len(runs):,} of {format_count(len(found.runs), 'run')}")
    if message := found.runs[-1].message:
        click.echo(one_line(f"The last run said: {message}"))


def _overview(found: History) -> dict[str, Any]:
    last = found.runs[-1] if found.runs else None
    return {
        "audience": found.audience,
        "last": f"{last.at[:16].replace('T', ' ')} {last.outcome}" if last else found.problem or "never",
        "given": last.delivered if last else None,
        "course": _course([run.delivered for run in found.runs]),
        "size": found.size,
        "size_course": _course([run.size for run in found.runs if run.size is not None]),
    }


def _course(counts: Sequence[int | None]) -> str:
    """Draw the last figures as a line of small bars, from zero to the highest of them."""
    known = [count for count in counts if count is not None][-SPARKS:]
    most = max(known, default=0)
    return "".join(BLOCKS[count * (len(BLOCKS) - 1) // max(most, 1)] for count in known)


def _run(run: JournalEntry) -> dict[str, Any]:
    rejected = ", ".join(f"{why} {count:,}" for why, count in run.rejected.items())
    people = {"added": run.added, "removed": run.removed, "waiting": run.waiting}
    given = (
        f"{run.delivered:,} given" if run.delivered == run.desired else f"{run.delivered:,} of {run.desired:,} given"
    )
    return {
        "at": run.at[:16].replace("T", " "),
        "outcome": f"{run.outcome} {run.plan or ''}".strip(),
        "records": [f"{run.books['read']:,} read", *([f"rejected: {rejected}"] if rejected else [])],
        "people": [given, *(f"{count:,} {what}" for what, count in people.items() if count)],
        "size": run.size,
    }
