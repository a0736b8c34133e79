"""The journals of a folder's ledgers, one audience at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.ledger.database import LedgerError, describe
from target_tiktok_audiences.ledger.snapshot import opened_copy
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.signals import signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from target_tiktok_audiences.ledger.catalog import LedgerCatalog
    from target_tiktok_audiences.ledger.ledger import Ledger
    from target_tiktok_audiences.ledger.metadata import LedgerMetadata

COUNTED = ("read", "unmatched", "missing", "deleted", "superseded", "duplicate", "accepted")
"""Figures of the books that are plain counts."""


@dataclass(frozen=True)
class JournalEntry:
    """One run of one audience, as its journal has it."""

    at: str
    plan: str | None
    outcome: str
    message: str
    desired: int
    """People who should be in it."""
    delivered_before: int
    delivered: int
    """People whom TikTok has been given, before the run and after it."""
    added: int
    removed: int
    waiting: int
    held_since: str | None
    books: Mapping[str, int]
    """What became of the records that its streams brought."""
    rejected: Mapping[str, int]
    """Rejected records by reason."""
    size: int | None
    """TikTok's size when the run began; None while it processed, or where there was no audience."""


@dataclass
class History:
    """All that is known of one audience."""

    audience: str
    audience_id: str | None
    advertiser_id: str
    contract: str
    load_method: str
    runs: list[JournalEntry] = field(default_factory=list)
    """The oldest first."""
    erased: int = 0
    """People who are kept out for good."""
    problem: str = ""
    """Why the ledger could not be read now."""

    @property
    def sized(self) -> JournalEntry | None:
        """The last run to which TikTok showed a size: it is of what had been given before that run."""
        return next((run for run in reversed(self.runs) if run.size is not None), None)

    @property
    def size(self) -> int | None:
        """The size that TikTok last showed."""
        return self.sized.size if self.sized else None


def read_histories(ledgers: LedgerCatalog, host: str, audience: str | None, temporary: Path) -> Iterator[History]:
    """Read the audiences of a host, or the one of that name or id, from copies of their ledgers."""
    for path, card in ledgers.cards():
        if card.api_host == host and audience in {None, card.name, card.audience_id}:
            signals.check()
            yield _read(ledgers, path, card, temporary)


def _read(ledgers: LedgerCatalog, path: Path, card: LedgerMetadata, temporary: Path) -> History:
    history = History(card.name, card.audience_id, card.advertiser_id, card.contract, card.load_method)
    try:
        ledgers.fetch(path)
        with opened_copy(path.with_suffix(".duckdb"), temporary) as ledger:
            _fill(history, ledger)
    except (LedgerError, OSError, UserError) as error:
        history.problem = describe(error)
    return history


def _fill(history: History, ledger: Ledger) -> None:
    history.runs = [_run(at, report) for at, report in reversed(ledger.runs())]
    for number, run in enumerate(history.runs):
        if run.plan is None and number:  # it failed before it knew, and changed nothing
            before = history.runs[number - 1]
            desired, given = run.desired or before.desired, before.delivered
            history.runs[number] = replace(run, desired=desired, delivered_before=given, delivered=given)
    history.erased = ledger.erased()


def _run(at: datetime, report: dict[str, Any]) -> JournalEntry:
    books = report.get("books", [])
    rejected: Counter[str] = Counter()
    for each in books:
        rejected.update(each.get("rejected", {}))
    return JournalEntry(
        at=at.isoformat(timespec="seconds"),
        plan=report.get("plan"),
        outcome=report.get("outcome", ""),
        message=report.get("message", ""),
        desired=report.get("desired", 0),
        delivered_before=report.get("delivered_before", 0),
        delivered=report.get("delivered", 0),
        added=report.get("added", 0),
        removed=report.get("removed", 0),
        waiting=report.get("waiting", 0),
        held_since=report.get("held_since"),
        books={name: sum(each.get(name, 0) for each in books) for name in COUNTED},
        rejected=dict(rejected.most_common()),
        size=report.get("cover_num") if report.get("status") == "ready" else None,
    )
