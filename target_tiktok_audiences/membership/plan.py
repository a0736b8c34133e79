"""What one run does to one audience: decided from counts and the audience's status alone, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from target_tiktok_audiences.membership.staging import BYTES_PER_LINE

if TYPE_CHECKING:
    from target_tiktok_audiences.membership.books import Books

MAX_FILE_BYTES = 250_000_000
MAX_FILES = 49
"""Files of one call: TikTok recommends fewer than 50."""
_MAX_ROWS_PER_FILE = MAX_FILE_BYTES // BYTES_PER_LINE

STILLBORN_AFTER = timedelta(hours=48)
"""TikTok needs at most 48 hours for a change; an audience of nobody after that was too small."""
STUCK_AFTER = timedelta(hours=72)
FEW_RECORDS = 20
"""A share of fewer records says nothing about the mapping."""


class Do(str, Enum):
    """The things that a run can do to an audience."""

    CREATE = "CREATE"
    APPEND = "APPEND"
    NOTHING = "NOTHING"
    HOLD = "HOLD"
    """Wait: time cures it, and nothing is lost."""
    FAIL = "FAIL"


class Status(str, Enum):
    """Where an audience stands, derived: TikTok has no field for it."""

    ABSENT = "absent"
    READY = "ready"
    PROCESSING = "processing"
    EXPIRED = "expired"
    FOREIGN = "foreign"
    """Of another type, contract or owner."""


@dataclass(frozen=True)
class Standing:
    """An audience as TikTok shows it now."""

    status: Status
    size: int = 0
    """People matched, TikTok's `cover_num`."""
    unchanged_for: timedelta | None = None
    """Time since our last change, else since its creation; None where neither is known."""
    foreign_because: str = ""


@dataclass(frozen=True)
class Limits:
    """The settings that a plan obeys."""

    min_audience_size: int
    max_reject_percent: int
    batch_size_rows: int | None = None


@dataclass(frozen=True)
class Plan:
    """One decision, its reason in a word, and that reason in a sentence for the user."""

    do: Do
    reason: str = ""
    message: str = ""
    rows: int = 0
    rows_per_file: int = 0

    @property
    def files(self) -> int:
        """How many files the rows make."""
        return -(-self.rows // self.rows_per_file) if self.rows else 0


def make_plan(adds: int, standing: Standing, books: list[Books], limits: Limits) -> Plan:
    """Plan one run of the load method `append-only`: `adds` distinct identifiers into an audience of this standing."""
    wrong = _wrong_mapping(books, limits, new=standing.status is Status.ABSENT)
    if wrong:
        return wrong
    if standing.status in {Status.FOREIGN, Status.EXPIRED}:
        return _unusable(standing)
    if standing.status is Status.PROCESSING:
        waiting = _wait(standing)
        return Plan(Do.NOTHING) if waiting.do is Do.HOLD and adds == 0 else waiting
    if standing.status is Status.ABSENT and adds < limits.min_audience_size:
        return Plan(
            Do.FAIL,
            "below_minimum",
            f"{adds:,} distinct identifiers were accepted, and TikTok needs {limits.min_audience_size:,} for a new"
            " audience: with fewer it would stay empty for good. It was not created. Run again when the stream has"
            " more, or with the whole table (`--full-refresh`).",
        )
    if adds == 0:
        return Plan(Do.NOTHING)
    rows_per_file = _rows_per_file(adds, limits.batch_size_rows)
    if rows_per_file > _MAX_ROWS_PER_FILE:
        return Plan(
            Do.FAIL,
            "too_many",
            f"{adds:,} identifiers are more than one call takes ({MAX_FILES} files of 250 MB)."
            " Split the stream over several audiences.",
        )
    return Plan(Do.CREATE if standing.status is Status.ABSENT else Do.APPEND, rows=adds, rows_per_file=rows_per_file)


def _wrong_mapping(books: list[Books], limits: Limits, *, new: bool) -> Plan | None:
    """Stop where the stream surely has other data than the contract.

    A few records that come daily into a living audience may all lack an identifier by chance; stopping them would
    stop the stream for ever. Into a new audience any number counts.
    """
    for part in books:
        records = part.read - part.deleted
        identifiers = records - part.missing
        rejected = sum(part.rejected.values())
        settings = "Check `contract`, `identifier_field`, `apply_hashing` and `default_country`. Nothing was sent."
        if records and not identifiers and (new or records >= FEW_RECORDS):
            message = f"All {records:,} records of stream {part.stream} lack an identifier. {settings}"
            return Plan(Do.FAIL, "all_missing", message)
        too_many = rejected * 100 > identifiers * limits.max_reject_percent
        if too_many and (new or identifiers >= FEW_RECORDS):
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in part.rejected.most_common())
            message = (
                f"{rejected:,} of {identifiers:,} identifiers of stream {part.stream} were rejected ({reasons}), more"
                f" than the {limits.max_reject_percent} % of `max_reject_percent`. {settings}"
            )
            return Plan(Do.FAIL, "too_many_rejects", message)
    return None


def _unusable(standing: Standing) -> Plan:
    if standing.status is Status.FOREIGN:
        advice = "Set another `audience_name` or `audience_id`; nothing was changed."
        return Plan(Do.FAIL, "foreign", f"It cannot be filled: {standing.foreign_because}. {advice}")
    return Plan(
        Do.FAIL,
        "expired",
        "It has expired: TikTok emptied it and lets nobody change it. Delete it in TikTok Ads Manager; the next run"
        " with the whole table (`--full-refresh`) creates it anew.",
    )


def _wait(standing: Standing) -> Plan:
    age = standing.unchanged_for or timedelta()
    hours = int(age.total_seconds() // 3600)
    if standing.size == 0 and age > STILLBORN_AFTER:
        return Plan(
            Do.FAIL,
            "too_small",
            f"It is still empty {hours} hours after its last change: TikTok matched fewer than 1,000 people, or the"
            " identifiers were hashed from something not normalised. Delete it in TikTok Ads Manager, check the"
            " contract's settings, and run with the whole table (`--full-refresh`).",
        )
    if age > STUCK_AFTER:
        message = f"TikTok has not finished the change of {hours} hours ago; it promises 48. Ask TikTok's support."
        return Plan(Do.FAIL, "stuck", message)
    message = (
        f"TikTok is processing the change of {hours} hours ago, which takes up to 48. Nothing was sent and no state is"
        " emitted, so that the tap sends these records again."
    )
    return Plan(Do.HOLD, "processing", message)


def _rows_per_file(rows: int, wanted: int | None) -> int:
    """Give the size of the files: as wanted while `MAX_FILES` suffice, then as large as that many must be."""
    return max(min(wanted or _MAX_ROWS_PER_FILE, _MAX_ROWS_PER_FILE), -(-rows // MAX_FILES))
