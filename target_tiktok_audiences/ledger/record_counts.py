"""Record counts of a feed: the outcome of each record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.runtime.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable


class CountsDoNotBalance(UserError):
    """Records were lost between reading and sending: an internal error, not a problem of the data."""


@dataclass
class RecordCounts:
    """Outcomes of one stream's records for one audience.

    The code that decides an outcome counts it. No count is derived from the others, so that `check` can fail.
    """

    stream: str
    read: int = 0
    accepted: int = 0
    """Distinct identifiers of this stream."""
    duplicate: int = 0
    superseded: int = 0
    """Records that a later record with the same key replaced."""
    missing: int = 0
    """Records without an identifier."""
    rejected: Counter[str] = field(default_factory=Counter)
    deleted: int = 0
    """Records that the tap marked as deleted."""
    unmatched: int = 0
    """Records of a stream that feeds no audience or lacks the field."""

    def check(self) -> None:
        """Raise `CountsDoNotBalance` unless every record read is accounted for."""
        counted = (
            self.accepted
            + self.duplicate
            + self.superseded
            + self.missing
            + self.rejected.total()
            + self.deleted
            + self.unmatched
        )
        if self.read != counted:
            raise CountsDoNotBalance(
                f"Stream {self.stream}: {self.read:,} records were read and {counted:,} are accounted for. Nothing was"
                " sent. This is an internal error; please report this line."
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as a report shows them."""
        return {**vars(self), "rejected": dict(self.rejected.most_common())}


def total(parts: Iterable[RecordCounts]) -> RecordCounts:
    """Return the sum of the record counts of several feeds."""
    result = RecordCounts("all")
    for part in parts:
        result.rejected += part.rejected
        for name, count in vars(part).items():
            if isinstance(count, int):
                setattr(result, name, getattr(result, name) + count)
    return result
