"""Why an audience is smaller than its table: the books of a run, a step at a time and in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from target_tiktok_audiences.contracts.rejection import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_tiktok_audiences.history.journal import History, JournalEntry

WORDS = {
    "read": "Records that the tap sent.",
    "unmatched": "Records of a stream that feeds no audience, or lacks the column.",
    "missing": "Records without an identifier: null, blank or absent. Fill the column at the source.",
    **{reason.value: reason.explanation for reason in Rejection},
    "deleted": "Records that the tap marks as deleted.",
    "superseded": "Records that a later one of the same key replaced.",
    "duplicate": "Records of people who had come already: one identifier counts once.",
    "accepted": "Different people whom the records hold.",
    "others": "People of earlier runs and of other streams, who stay.",
    "fewer": "People of several streams, who count once; people who left since, or were erased.",
    "desired": "People who should be in the audience.",
    "waiting": "People not given to TikTok yet: it takes one change in up to 48 hours, and none below 1,000 people.",
    "leaving": "People who are to leave, and are still in: their removal waits.",
    "delivered": "People whom TikTok has been given.",
    "newer": "People given after TikTok last showed a size: they are not in that yet.",
    "older": "People taken out after TikTok last showed a size: they are in that still.",
    "unknown": "People whom TikTok does not know by this identifier, or may not target. It never says who.",
    "several": "One identifier can be several users; and an audience not made by this program may hold others.",
    "matched": "TikTok's own size of the audience.",
}
"""What each step means, and what to do about it; docs/smaller.md has them all."""


LABELS = {
    "others": "from elsewhere",
    "fewer": "counted once, or gone",
    "desired": "should be in it",
    "waiting": "not given yet",
    "leaving": "still to leave",
    "delivered": "given to TikTok",
    "newer": "given since then",
    "older": "taken out since then",
    "unknown": "not matched",
    "several": "several users, or others",
    "matched": "TikTok's size",
}
"""The names of steps as people call them, where those are others."""


@dataclass(frozen=True)
class Step:
    """One step from the table to the audience."""

    name: str
    kind: Literal["total", "less", "more"]
    count: int

    @property
    def label(self) -> str:
        """Its name for a reader."""
        return LABELS.get(self.name, self.name.replace("_", " "))

    @property
    def words(self) -> str:
        """What it means."""
        return WORDS.get(self.name, "Rejected for a reason that this version does not know.")


def why_smaller(history: History) -> list[Step]:
    """Give the way from the records of the last run that brought any to TikTok's size; empty without such a run."""
    run = next((run for run in reversed(history.runs) if run.books["read"]), None)
    if run is None:
        return []
    last = history.runs[-1]
    steps = [*_records(run), *_difference(last.desired - run.books["accepted"], "others", "fewer")]
    steps.append(Step("desired", "total", last.desired))
    steps += _difference(last.delivered - last.desired, "leaving", "waiting")
    steps.append(Step("delivered", "total", last.delivered))
    sized = history.sized
    if sized and sized.size is not None and sized.delivered_before:
        steps += _difference(sized.delivered_before - last.delivered, "older", "newer")
        steps += _difference(sized.size - sized.delivered_before, "several", "unknown")
        steps.append(Step("matched", "total", sized.size))
    return steps


def _records(run: JournalEntry) -> Iterator[Step]:
    yield Step("read", "total", run.books["read"])
    lost = {"unmatched": run.books["unmatched"], "missing": run.books["missing"], **run.rejected}
    lost |= {name: run.books[name] for name in ("deleted", "superseded", "duplicate")}
    for name, count in lost.items():
        if count:
            yield Step(name, "less", count)
    yield Step("accepted", "total", run.books["accepted"])


def _difference(count: int, more: str, fewer: str) -> list[Step]:
    if not count:
        return []
    return [Step(more, "more", count) if count > 0 else Step(fewer, "less", -count)]


def headline(history: History) -> str:
    """Say the whole of it in a sentence or two."""
    if history.problem:
        return history.problem
    if not history.runs:
        return "No run has been noted yet."
    last, steps = history.runs[-1], {step.name: step.count for step in why_smaller(history)}
    told = f"{last.delivered:,} people have been given to TikTok"
    if "read" in steps:
        told += f"; the last stream had {steps['read']:,} records of {steps['accepted']:,} different people"
    sized = history.sized
    if sized is None or sized.size is None:
        return f"{told}. TikTok has not shown a size yet: it needs up to 48 hours, and 1,000 people."
    if not sized.delivered_before:
        return f"{told}. TikTok last showed {sized.size:,}."
    share = sized.size * 100 // sized.delivered_before
    return f"{told}. TikTok last showed {sized.size:,}, or {share} for each 100 given by then."
