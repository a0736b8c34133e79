"""The books of a feed: what became of each record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.runtime.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable


class CountsDoNotBalance(UserError):
    """Records went missing between reading and sending: a fault in this program, never in the data."""


@dataclass
class RecordCounts:
    """Counts of one stream's records on their way into one audience.

    Each figure is counted where it happens, by whoever does it, and never derived from the others, so that
    `check` can fail.
    """

    stream: str
    read: int = 0
    accepted: int = 0
    """Distinct identifiers of this stream."""
    duplicate: int = 0
    superseded: int = 0
    """Records that a later one of the same key replaced."""
    missing: int = 0
    """Records without an identifier."""
    rejected: Counter[str] = field(default_factory=Counter)
    deleted: int = 0
    """Records that the tap marks as deleted."""
    unmatched: int = 0
    """Records of a stream that feeds no audience, or lacks the field."""

    def check(self) -> None:
        """Raise `CountsDoNotBalance` unless every record read is accounted for."""
        found = (
            self.accepted
            + self.duplicate
            + self.superseded
            + self.missing
            + self.rejected.total()
            + self.deleted
            + self.unmatched
        )
        if self.read != found:
            raise CountsDoNotBalance(
                f"Stream {self.stream}: {self.read:,} records were read and {found:,} are accounted for. Nothing was"
                " sent. This is a fault of the target; please report it with this line."
            )

    def as_dict(self) -> dict[str, Any]:
        """Give the figures for a report."""
        return {**vars(self), "rejected": dict(self.rejected.most_common())}


def total(parts: Iterable[RecordCounts]) -> RecordCounts:
    """Add up the books of several feeds."""
    added = RecordCounts("all")
    for part in parts:
        added.rejected += part.rejected
        for name, count in vars(part).items():
            if isinstance(count, int):
                setattr(added, name, getattr(added, name) + count)
    return added
