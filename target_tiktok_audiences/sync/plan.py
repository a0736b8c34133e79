"""Plan what one run does to one audience, from counts and the audience's status alone. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from target_tiktok_audiences.ledger.staging import BYTES_PER_LINE

if TYPE_CHECKING:
    from target_tiktok_audiences.ledger.delivered import Counts
    from target_tiktok_audiences.ledger.record_counts import RecordCounts

MAX_FILE_BYTES = 250_000_000
MAX_FILES = 49
"""Files of one call: TikTok recommends fewer than 50."""
_MAX_ROWS_PER_FILE = MAX_FILE_BYTES // BYTES_PER_LINE

STILLBORN_AFTER = timedelta(hours=48)
"""TikTok needs at most 48 hours for a change; an audience that is still empty then was too small."""
OVERDUE_AFTER = timedelta(hours=72)
"""From this age on a held run fails, so that a user looks at it."""
LOOK_FOR_CREATION = timedelta(hours=1)
"""Time in which a creation without an answer may still appear in the list."""
NEEDS_DELETION = frozenset({"below_minimum", "too_small"})
"""Reasons for which TikTok never accepts a removal, so that only deleting the audience helps."""
FEW_RECORDS = 20
"""Fewer records prove nothing about the column mapping."""


class Action(StrEnum):
    """What a run can do to an audience."""

    CREATE = "CREATE"
    APPEND = "APPEND"
    REMOVE = "REMOVE"
    REPLACE = "REPLACE"
    DELETE = "DELETE"
    """Delete the audience itself: only where an erasure needs it and the user allows it."""
    NOTHING = "NOTHING"
    HOLD = "HOLD"
    """Wait: TikTok is busy with this audience; no data is lost."""
    FAIL = "FAIL"


class Status(StrEnum):
    """Status of an audience; derived, because TikTok has no field for it."""

    ABSENT = "absent"
    READY = "ready"
    PROCESSING = "processing"
    EXPIRED = "expired"
    FOREIGN = "foreign"
    """Of another type, contract or owner."""


@dataclass(frozen=True)
class AudienceStatus:
    """An audience as TikTok shows it now."""

    status: Status
    size: int = 0
    """Matched users, TikTok's `cover_num`."""
    unchanged_for: timedelta | None = None
    """Time since our last change; None if there was none or it is unknown."""
    ours: bool = True
    """Whether we may remove its members: the user set it or we created it; finding it by name is not enough."""
    foreign_because: str = ""


@dataclass(frozen=True)
class Limits:
    """The settings that a plan obeys."""

    min_audience_size: int
    max_reject_percent: int
    batch_size_rows: int | None = None


@dataclass(frozen=True)
class ChangeHistory:
    """What the ledger records of earlier runs, as far as a plan needs it."""

    delivered_known: bool = True
    """Whether the ledger knows every member that we have delivered."""
    replace_owed: bool = False
    """Whether a replacement is unconfirmed or failed, so that removed members may still be in the audience."""
    all_parts_came: bool = True
    """Whether this run received every part that STATE counts."""
    last_action: str | None = None
    creating_for: timedelta | None = None
    """Time since a creation whose answer was lost."""
    held_for: timedelta | None = None


@dataclass(frozen=True)
class Plan:
    """One decision, its reason code, and its reason as a sentence for the user."""

    do: Action
    reason: str = ""
    message: str = ""
    rows: int = 0
    rows_per_file: int = 0
    overdue: bool = False
    """Whether the audience has been held for so long that the run fails."""

    @property
    def files(self) -> int:
        """Number of upload files."""
        return -(-self.rows // self.rows_per_file) if self.rows else 0


def make_plan(load_method: str, counts: Counts, standing: AudienceStatus, past: ChangeHistory, limits: Limits) -> Plan:
    """Plan one run: at most one call, for TikTok takes no second one while it processes the first."""
    if standing.status is Status.ABSENT:
        return _create(counts, past, limits)
    if standing.status in {Status.FOREIGN, Status.EXPIRED}:
        return _unusable(standing)
    if load_method != "append-only" and not standing.ours:
        return Plan(
            Action.FAIL,
            "only_found",
            "It was found by its name, and who made it is not known: people may be added to it, and nobody removed. Set"
            " `audience_id` to make it ours, or `load_method: append-only`.",
        )
    unknown = past.replace_owed or (load_method == "overwrite" and not past.delivered_known)
    if not (counts.adds or counts.removals or unknown):
        stillborn = standing.status is Status.PROCESSING and _is_stillborn(standing)
        return _too_small(standing) if stillborn else Plan(Action.NOTHING)
    if standing.status is Status.PROCESSING:
        return _too_small(standing) if _is_stillborn(standing) else hold_for_processing(past.held_for)
    return _change(load_method, counts, standing, past, limits, unknown=unknown)


def plan_removals(
    counts: Counts, standing: AudienceStatus, past: ChangeHistory, limits: Limits, *, may_delete: bool
) -> Plan:
    """Plan what takes out at once those who are to leave, and nothing else, whatever the load method.

    `may_delete` allows to delete an audience that TikTok does not let go below its floor.
    """
    if standing.status is Status.ABSENT and _may_be_created(past):
        return _wait_for_creation(past)
    if standing.status in {Status.ABSENT, Status.EXPIRED} or not counts.removals:
        return Plan(Action.NOTHING)  # an expired one is empty
    if standing.status is Status.FOREIGN:
        return _unusable(standing)
    left = _left(counts, standing)
    if standing.status is Status.PROCESSING:
        plan = _too_small(standing) if _is_stillborn(standing) else hold_for_processing(past.held_for)
    elif left >= limits.min_audience_size:
        plan = _call(Action.REMOVE, counts.removals, limits)
    else:
        plan = _below_floor(left, limits)
    return _delete(standing, plan) if may_delete and plan.reason in NEEDS_DELETION else plan


def _delete(standing: AudienceStatus, needed: Plan) -> Plan:
    if not standing.ours:
        return Plan(
            Action.FAIL,
            needed.reason,
            f"{needed.message} It was found by its name, and who made it is not known: delete it in TikTok Ads Manager,"
            " or set `audience_id` to make it ours.",
        )
    return Plan(Action.DELETE, needed.reason)


def _left(counts: Counts, standing: AudienceStatus) -> int:
    return max(counts.delivered, standing.size) - counts.removals


def _create(counts: Counts, past: ChangeHistory, limits: Limits) -> Plan:
    if counts.desired < limits.min_audience_size:
        return Plan(
            Action.FAIL,
            "below_minimum",
            f"{counts.desired:,} distinct identifiers were accepted, and TikTok needs {limits.min_audience_size:,} for"
            " a new audience: with fewer it would stay empty for good. It was not created. Run again when the stream"
            " has more, or with the whole table (`--full-refresh`); or `forget` the stream.",
        )
    return _wait_for_creation(past) if _may_be_created(past) else _call(Action.CREATE, counts.desired, limits)


def _may_be_created(past: ChangeHistory) -> bool:
    return past.creating_for is not None and past.creating_for < LOOK_FOR_CREATION


def _wait_for_creation(past: ChangeHistory) -> Plan:
    return _hold("create_unknown", "The answer to its creation was lost, and it is not listed yet", past.held_for)


def _change(
    load_method: str, counts: Counts, standing: AudienceStatus, past: ChangeHistory, limits: Limits, *, unknown: bool
) -> Plan:
    """Plan the call to an audience that is ready and differs."""
    enough = counts.desired >= limits.min_audience_size
    if unknown and not (past.all_parts_came or past.replace_owed):
        return Plan(
            Action.FAIL,
            "parts_missing",
            "The ledger is missing, and other streams fill this audience too: replacing its members with those of this"
            " run would remove theirs. Run all its streams at once, or keep the ledger (`ledger_path`).",
        )
    if unknown and not enough:
        return _below_floor(counts.desired, limits)
    if unknown or (load_method == "overwrite" and counts.adds and counts.removals and enough):
        return _call(Action.REPLACE, counts.desired, limits)
    left = _left(counts, standing)
    if counts.removals and left >= limits.min_audience_size and not (counts.adds and past.last_action == "REMOVE"):
        return _call(Action.REMOVE, counts.removals, limits)
    return _call(Action.APPEND, counts.adds, limits) if counts.adds else _below_floor(left, limits)


def _call(do: Action, rows: int, limits: Limits) -> Plan:
    rows_per_file = _rows_per_file(rows, limits.batch_size_rows)
    if rows_per_file > _MAX_ROWS_PER_FILE:
        return Plan(
            Action.FAIL,
            "too_many",
            f"{rows:,} identifiers are more than one call takes ({MAX_FILES} files of 250 MB). Split the stream over"
            " several audiences.",
        )
    return Plan(do, rows=rows, rows_per_file=rows_per_file)


def hold_for_processing(held_for: timedelta | None) -> Plan:
    """Hold until TikTok has processed its current change."""
    return _hold("processing", "TikTok is processing an earlier change, which takes up to 48 hours", held_for)


def _hold(reason: str, because: str, held_for: timedelta | None) -> Plan:
    held_for = held_for or timedelta()
    hours = int(held_for.total_seconds() // 3600)
    overdue = held_for >= OVERDUE_AFTER
    waited = f"have waited for {hours} hours" if hours else "wait"
    message = f"{because}; pending changes {waited} and will be sent by a later run."
    return Plan(
        Action.HOLD,
        reason,
        message + (" That is too long: contact TikTok's support." if overdue else ""),
        overdue=overdue,
    )


def _below_floor(left: int, limits: Limits) -> Plan:
    return Plan(
        Action.FAIL,
        "below_minimum",
        f"{left:,} members would be left, and TikTok refuses any change that leaves fewer than"
        f" {limits.min_audience_size:,}. Removals stay pending until the audience is large enough.",
    )


def _is_stillborn(standing: AudienceStatus) -> bool:
    return standing.size == 0 and standing.unchanged_for is not None and standing.unchanged_for > STILLBORN_AFTER


def _too_small(standing: AudienceStatus) -> Plan:
    hours = int((standing.unchanged_for or timedelta()).total_seconds() // 3600)
    return Plan(
        Action.FAIL,
        "too_small",
        f"It is still empty {hours} hours after its last change: TikTok matched fewer than 1,000 users, or the"
        " identifiers were not normalized before hashing. Delete it in TikTok Ads Manager, check the"
        " contract's settings, and run with the whole table (`--full-refresh`).",
    )


def wrong_mapping(books: list[RecordCounts], limits: Limits, *, new: bool, upsert: bool = False) -> Plan | None:
    """Return a failing plan if the stream clearly does not fit its contract.

    A few records of a daily run may all lack an identifier by chance, and stopping them would block the stream forever;
    for a new audience any number counts. For `upsert`, rows that lost their identifier are removals, which
    `max_removal_percent` limits.
    """
    for part in books:
        records = part.read - part.deleted
        identifiers = records - part.missing
        rejected = sum(part.rejected.values())
        settings = "Check `contract`, `identifier_field`, `apply_hashing` and `default_country`. Nothing was sent."
        if records and not identifiers and (new or (records >= FEW_RECORDS and not upsert)):
            message = f"All {records:,} records of stream {part.stream} lack an identifier. {settings}"
            return Plan(Action.FAIL, "all_missing", message)
        too_many = rejected * 100 > identifiers * limits.max_reject_percent
        if too_many and (new or identifiers >= FEW_RECORDS):
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in part.rejected.most_common())
            message = (
                f"{rejected:,} of {identifiers:,} identifiers of stream {part.stream} were rejected ({reasons}), more"
                f" than the {limits.max_reject_percent} % of `max_reject_percent`. {settings}"
            )
            return Plan(Action.FAIL, "too_many_rejects", message)
    return None


def _unusable(standing: AudienceStatus) -> Plan:
    if standing.status is Status.FOREIGN:
        advice = "Set another `audience_name` or `audience_id`; nothing was changed."
        return Plan(Action.FAIL, "foreign", f"It cannot be filled: {standing.foreign_because}. {advice}")
    return Plan(
        Action.FAIL,
        "expired",
        "It has expired: TikTok has emptied and locked it. Delete it in TikTok Ads Manager; the next run with the whole"
        " table (`--full-refresh`) creates it again.",
    )


def _rows_per_file(rows: int, wanted: int | None) -> int:
    """Give the size of the files: as wanted while `MAX_FILES` suffice, then as large as that many must be."""
    return max(min(wanted or _MAX_ROWS_PER_FILE, _MAX_ROWS_PER_FILE), -(-rows // MAX_FILES))
