"""The table of audiences, which only a terminal gets to see: in a module of its own, for rich takes long to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from target_tiktok_audiences.ledger.record_counts import total

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_tiktok_audiences.reporting.report import RunReport


def show(report: RunReport, console: Console | None = None) -> None:
    """Draw the table of audiences, by default on standard error."""
    table = Table(title="Dry run: nothing was changed" if report.dry_run else None)
    for heading in ("Audience", "Outcome", "Records", "People"):
        table.add_column(heading, overflow="fold")
    for audience in report.audiences:
        records = total(audience.books)
        counted = {
            "read": records.read,
            "accepted": records.accepted,
            "duplicate": records.duplicate,
            "superseded": records.superseded,
            "missing": records.missing,
            "deleted": records.deleted,
            **dict(records.rejected.most_common()),
        }
        people = {"wanted": audience.desired, "added": audience.added, "removed": audience.removed}
        table.add_row(
            f"{escape(audience.audience)}\n{audience.audience_id or 'not created'}",
            f"{audience.outcome}\n{audience.plan or ''}".strip(),
            _listed({name: count for name, count in counted.items() if count or name == "read"}),
            _listed(people),
        )
    (console or Console(stderr=True)).print(table)


def _listed(counts: Mapping[str, int]) -> str:
    """Write one figure a line; side by side they would not fit a terminal of 80 columns."""
    return "\n".join(f"{count:,} {name}" for name, count in counts.items())
