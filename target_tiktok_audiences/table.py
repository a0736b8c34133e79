"""The table of audiences, which only a terminal gets to see: in a module of its own, for rich takes long to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from target_tiktok_audiences.membership import total

if TYPE_CHECKING:
    from target_tiktok_audiences.report import RunReport


def show(report: RunReport, console: Console | None = None) -> None:
    """Draw the table of audiences, by default on standard error."""
    table = Table(title="Dry run: nothing was changed" if report.dry_run else None)
    for heading in (
        "Audience",
        "Outcome",
        "Read",
        "Accepted",
        "Duplicate",
        "Missing",
        "Deleted",
        "Rejected",
        "Added",
        "Removed",
    ):
        table.add_column(heading, justify="left" if heading in {"Audience", "Outcome"} else "right")
    for audience in report.audiences:
        records = total(audience.books)
        reasons = "".join(f"\n{reason} {count:,}" for reason, count in records.rejected.most_common())
        counts = (records.read, records.accepted, records.duplicate, records.missing, records.deleted)
        table.add_row(
            f"{escape(audience.audience)}\n{audience.audience_id or 'not created'}",
            f"{audience.plan or ''} {audience.outcome}".strip(),
            *(f"{count:,}" for count in counts),
            f"{sum(records.rejected.values()):,}{reasons}",
            f"{audience.added:,}",
            f"{audience.removed:,}",
        )
    (console or Console(stderr=True)).print(table)
