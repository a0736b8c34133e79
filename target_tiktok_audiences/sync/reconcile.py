"""Sync one audience: resolve, confirm, check, commit the desired members, plan, deliver, report.

If a step fails, the ledger stays consistent and the next run resumes from it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from target_tiktok_audiences.ledger.database import LedgerError, describe
from target_tiktok_audiences.ledger.staging import BYTES_PER_LINE
from target_tiktok_audiences.reporting.formatting import format_count
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.signals import signals
from target_tiktok_audiences.sync.delivery import CreationLost, Delivery, delete, deliver
from target_tiktok_audiences.sync.guards import check_binding, check_removal_limit
from target_tiktok_audiences.sync.plan import (
    Action,
    ChangeHistory,
    Limits,
    Status,
    hold_for_processing,
    make_plan,
    plan_removals,
    wrong_mapping,
)
from target_tiktok_audiences.sync.resolve import KnownAudience, find_by_name, resolve
from target_tiktok_audiences.sync.state import AudienceEntry
from target_tiktok_audiences.tiktok.errors import NotEditable, TikTokError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from target_tiktok_audiences.ledger.delivered import Counts
    from target_tiktok_audiences.ledger.session import LedgerSession
    from target_tiktok_audiences.ledger.staging import Part
    from target_tiktok_audiences.reporting.progress import Progress
    from target_tiktok_audiences.reporting.report import AudienceReport
    from target_tiktok_audiences.runtime.errors import LedgerUnusable
    from target_tiktok_audiences.sync.plan import AudienceStatus, Plan
    from target_tiktok_audiences.sync.resolve import Resolved
    from target_tiktok_audiences.tiktok.client import TikTok

    Planner = Callable[[Counts, AudienceStatus, ChangeHistory, Limits], Plan]

FAILURES_IN_A_ROW = 3
"""From this number on a run still sends its change but fails, so that a user looks at it."""


class LedgerGone(UserError):
    """The ledger that STATE names is missing, and it held changes that are recorded nowhere else."""


@dataclass
class AudienceRun:
    """One audience of this run: its ledger and the parts that the streams fill."""

    opened: LedgerSession
    load_method: str
    max_removal_percent: int
    report: AudienceReport
    remembered: AudienceEntry | None = None
    """Its entry in STATE; updated at the end."""
    parts: list[Part] = field(default_factory=list)
    unusable: LedgerUnusable | None = None
    """Why its ledger cannot be used; the run then skips the audience."""
    durable: bool = False
    """Whether the ledger is known to be durable."""
    settled: bool = False
    """Whether everything received is with TikTok or in a durable ledger."""


@dataclass(frozen=True)
class RunContext:
    """What all audiences of a run share."""

    tiktok: TikTok
    limits: Limits
    folder: Path
    dry_run: bool
    progress: Progress


def prove(audience: AudienceRun, *, lasts: bool) -> None:
    """Check that the ledger is durable: the incoming STATE names this ledger and a commit that it contains.

    If STATE names another ledger or a later commit, the ledger at hand is quarantined and not read. `lasts` says
    whether ledgers are kept at all.
    """
    remembered, facts = audience.remembered, audience.opened.ledger.facts
    if remembered is None or remembered.ledger is None:
        return
    audience.durable = lasts and facts.ledger_id == remembered.ledger and facts.commit >= remembered.commit
    if lasts and not audience.durable:
        audience.report.warn(
            "Ledger missing or outdated: STATE refers to another or newer ledger than the one at `ledger_path`. Check"
            " that `ledger_path` is unchanged since the last run. Data that only that ledger held is lost."
        )
    if not audience.durable and facts.commit:
        audience.opened.replace_with_empty()


def reconcile(audience: AudienceRun, around: RunContext) -> None:
    """Sync one audience. Raises `UserError`, `TikTokError` and `OSError`; the report says how far it got."""
    report, opened, tiktok = audience.report, audience.opened, around.tiktok
    tiktok.not_before = opened.ledger.latest()
    around.progress.compare(opened.card.name)
    with _timed(report, "stage"):
        opened.ledger.stage(audience.parts)
    report.desired = opened.ledger.facts.desired
    found = _resolve_and_confirm(audience, tiktok)
    new, upsert = found.audience_id is None, audience.load_method == "upsert"
    plan = wrong_mapping(report.books, around.limits, new=new, upsert=upsert)
    if plan:
        report.plan, report.reason, report.message = plan.do.value, plan.reason, plan.message
        return
    with _timed(report, "commit"):
        _commit_desired(audience, found, around)
    _bring_in_step(audience, found, around, partial(make_plan, audience.load_method))


def remove_erased(audience: AudienceRun, around: RunContext, *, may_delete: bool) -> None:
    """Remove erased members, and other pending removals, from one audience; raises as `reconcile` does.

    The erasures are in the ledger already, so the next run removes the members if this one stops. They apply to every
    load method, and no safety check limits them.
    """
    around.tiktok.not_before = audience.opened.ledger.latest()
    found = _resolve_and_confirm(audience, around.tiktok)
    _bring_in_step(audience, found, around, partial(plan_removals, may_delete=may_delete))


def attempt(audience: AudienceRun, tiktok: TikTok, work: Callable[[], None]) -> None:
    """Run `work` for one audience, report and journal its outcome; only a signal propagates."""
    report, calls_before, before = audience.report, len(tiktok.calls), audience.remembered
    try:
        work()
    except (OSError, UserError, TikTokError) as error:
        report.outcome, report.message = "failed", describe(error)
    except LedgerError as error:
        report.outcome, report.message = "failed", f"Its ledger cannot be read or written: {describe(error)}"
    signals.check()  # the database may have turned a signal into an error
    calls = tiktok.calls[calls_before:]
    report.calls = len(calls)
    report.request_ids = [call.request_id for call in calls if call.changes and call.request_id]
    try:
        audience.opened.ledger.journal(report.as_dict(), tiktok.now)
        audience.opened.save()
    except (LedgerError, UserError) as error:
        audience.settled, audience.remembered = False, before  # STATE must not name a commit that may be lost
        if report.outcome != "failed":
            report.outcome, report.message = "failed", f"Its ledger cannot be saved: {describe(error)}"


def _resolve_and_confirm(audience: AudienceRun, tiktok: TikTok) -> Resolved:
    report, opened = audience.report, audience.opened
    with _timed(report, "resolve"):
        found = resolve(tiktok, opened.card, _known(audience))
        _describe(report, found)
        _check_gone(audience, found)
    with _timed(report, "confirm"):
        opened.ledger.clamp_future_timestamps(tiktok.now)
        _confirm(audience, found, tiktok.now)
    return found


def _bring_in_step(audience: AudienceRun, found: Resolved, around: RunContext, make: Planner) -> None:
    """Plan from the ledger, carry out the plan and record its outcome."""
    report, opened, tiktok = audience.report, audience.opened, around.tiktok
    try:
        with _timed(report, "plan"):
            if _state_proves_delivered(audience, found):
                opened.ledger.take_as_delivered(exact=audience.remembered is not None and audience.remembered.exact)
            counts = opened.ledger.counts()
            plan = make(counts, found.standing, _past(audience, tiktok.now), around.limits)
        report.delivered_before = counts.delivered
        report.plan, report.reason, report.message = plan.do.value, plan.reason, plan.message
        with _timed(report, "deliver"):
            _carry_out(plan, counts, audience, found, around)
    except BaseException:
        if not signals.received:  # after a signal no STATE is made
            with suppress(LedgerError):  # the ledger may be what failed; report that error
                _close_books(audience, found, tiktok.now)
        raise
    _close_books(audience, found, tiktok.now)


def _known(audience: AudienceRun) -> KnownAudience:
    facts, remembered = audience.opened.ledger.facts, audience.remembered
    if facts.audience_id:
        return KnownAudience(facts.audience_id, facts.origin, facts.changed_at, facts.creating_since)
    if remembered and remembered.audience_id:
        return KnownAudience(remembered.audience_id, remembered.origin, remembered.changed_at, facts.creating_since)
    return KnownAudience(creating_since=facts.creating_since)


def _check_gone(audience: AudienceRun, found: Resolved) -> None:
    """Raise `LedgerGone` if the ledger is missing and held changes that are recorded nowhere else."""
    remembered = audience.remembered
    if audience.durable or remembered is None or remembered.ledger is None:
        return
    if remembered.held:
        raise LedgerGone(f"The ledger is missing, and it held pending changes. {_REBUILD}")
    if found.error and found.error != remembered.error:
        raise LedgerGone(
            f"The ledger is missing, and TikTok has failed a change since ({found.error.rstrip('.')}): the affected"
            f" members are unknown. {_REBUILD}"
        )


_REBUILD = (
    "Rebuild it: set `audience_id`, and run once with `load_method: overwrite`, `max_removal_percent: 100` and the"
    " whole table (`--full-refresh`); then go on with any method. Keep `ledger_path` between runs."
)


def _confirm(audience: AudienceRun, found: Resolved, now: datetime) -> None:
    """Bind the ledger to the audience, and confirm the changes in flight or mark them unconfirmed."""
    ledger = audience.opened.ledger
    if found.audience_id is None:
        ledger.clear_audience()
        return
    audience.opened.found(found.audience_id)
    ledger.belongs_to(found.audience_id, found.origin)
    if ledger.confirm(found.error, now, ready=found.standing.status is Status.READY):
        audience.report.warn(
            f"TikTok has failed an earlier change: {(found.error or '').rstrip('.')}. It is sent again."
        )


def _commit_desired(audience: AudienceRun, found: Resolved, around: RunContext) -> None:
    """Run the safety checks and commit the desired members; from here on the ledger holds the streams' data."""
    ledger, remembered = audience.opened.ledger, audience.remembered
    bindings = [part.binding for part in audience.parts]
    bound = [binding for binding, _, _ in ledger.parts()]
    for binding in bindings:
        check_binding(bound, binding, {other.field for other in bindings if other.stream == binding.stream})
    reference = {**remembered.parts, "": remembered.desired} if remembered and remembered.parts else None
    replaces = (
        audience.load_method == "overwrite"
        and found.audience_id is not None
        and found.standing.ours
        and not ledger.facts.delivered_known
    )
    if bindings:
        with ledger.revision(bindings, around.tiktok.now) as revision:
            check_removal_limit(revision, audience.max_removal_percent, reference, replaces=replaces)
        audience.opened.owe(tuple(bound.stream for bound, _, _ in ledger.parts()))


def _state_proves_delivered(audience: AudienceRun, found: Resolved) -> bool:
    """Return whether the digest in STATE proves that the audience holds the desired members, without a ledger.

    For `overwrite`, STATE must also prove that the audience holds no other member.
    """
    ledger, remembered = audience.opened.ledger, audience.remembered
    return (
        remembered is not None
        and not audience.durable
        and remembered.digest is not None
        and (remembered.exact or audience.load_method != "overwrite")
        and remembered.audience_id == found.audience_id
        and found.standing.status is Status.READY
        and not ledger.facts.delivered_known
        and remembered.digest == ledger.set_digest()
    )


def _past(audience: AudienceRun, now: datetime) -> ChangeHistory:
    facts, remembered = audience.opened.ledger.facts, audience.remembered
    came: Mapping[str, object] = {part.binding.stream: part for part in audience.parts}
    return ChangeHistory(
        delivered_known=facts.delivered_known,
        replace_owed=facts.replace_owed,
        all_parts_came=remembered is None or remembered.parts.keys() <= came.keys(),
        last_action=facts.last_action,
        creating_for=now - facts.creating_since if facts.creating_since else None,
        held_for=now - facts.held_since if facts.held_since else None,
    )


def _carry_out(plan: Plan, counts: Counts, audience: AudienceRun, found: Resolved, around: RunContext) -> None:
    report, opened = audience.report, audience.opened
    if plan.do is Action.FAIL:
        return
    if plan.do is Action.HOLD:
        report.outcome = "failed" if plan.overdue else "held"
        return
    if plan.do is Action.NOTHING:
        report.outcome = "ok"
        return
    if around.dry_run:
        report.outcome = "planned"
        sent = f"send {format_count(plan.rows, 'identifier')} in {format_count(plan.files, 'file')}"
        report.message = f"Would {'delete the audience' if plan.do is Action.DELETE else sent}."
        return
    if plan.do is Action.DELETE:
        delete(opened, found.audience_id, around.tiktok)
        report.outcome, report.removed = "ok", counts.delivered
        return
    try:
        delivery = deliver(plan, found.audience_id, opened, around.folder, around.tiktok, around.progress)
    except NotEditable as refused:
        held = hold_for_processing(_past(audience, around.tiktok.now).held_for)
        report.plan, report.reason, report.message = held.do.value, held.reason, f"{refused} {held.message}"
        report.outcome = "failed" if held.overdue else "held"
        return
    except CreationLost as lost:
        delivery = _look_for_creation(lost, opened, around.tiktok)
    report.outcome, report.audience_id = "ok", delivery.audience_id
    report.sent, report.files, report.bytes = delivery.rows, delivery.files, delivery.rows * BYTES_PER_LINE
    report.added = 0 if plan.do is Action.REMOVE else counts.adds
    report.removed = counts.removals if plan.do in {Action.REMOVE, Action.REPLACE} else 0
    opened.found(delivery.audience_id)
    opened.ledger.belongs_to(delivery.audience_id, found.origin)


def _look_for_creation(lost: CreationLost, opened: LedgerSession, tiktok: TikTok) -> Delivery:
    """Look up an audience whose creation got no answer: the name was free before, so a new audience is ours."""
    ledger, card = opened.ledger, opened.card
    try:
        made = find_by_name(tiktok, card.advertiser_id, card.name)
    except (UserError, TikTokError):
        made = None
    since = ledger.facts.creating_since
    if made is None or made.created_at is None or since is None or made.created_at < since:
        ledger.lost(lost.change)
        raise lost
    ledger.accepted(lost.change, Action.CREATE.value, made.audience_id, tiktok.now)
    return Delivery(made.audience_id, lost.rows, lost.files)


def _close_books(audience: AudienceRun, found: Resolved, now: datetime) -> None:
    """Record delivered and pending changes, and make the audience's new entry for STATE."""
    report, ledger = audience.report, audience.opened.ledger
    counts = ledger.counts()
    waiting = counts.adds + counts.removals
    settled = not (waiting or ledger.facts.replace_owed)
    since = now if report.sent else ledger.facts.held_since or now  # an accepted call is progress
    ledger.hold(None if settled else since)
    facts, parts = ledger.facts, ledger.parts()
    report.desired, report.delivered, report.waiting = counts.desired, counts.delivered, waiting
    report.in_flight = ledger.in_flight()
    report.held_since = facts.held_since.isoformat() if facts.held_since else None
    report.parts = [
        {"stream": b.stream, "field": b.field, "people": rows, "seen_at": at.isoformat()} for b, rows, at in parts
    ]
    if facts.failures >= FAILURES_IN_A_ROW and report.outcome == "ok":
        report.outcome = "failed"
        report.message = (
            f"TikTok has failed {facts.failures} changes in a row after accepting them; contact its support."
        )
    if waiting and report.outcome == "ok":
        report.message = f"{waiting:,} more are pending for a later run: TikTok takes one change at a time."
    audience.settled = audience.durable or (settled and facts.audience_id is not None)
    card = audience.opened.card
    card.streams, card.load_method = tuple(b.stream for b, _, _ in parts), audience.load_method
    card.owed = not settled or report.in_flight > 0
    changed_at = facts.changed_at or (audience.remembered.changed_at if audience.remembered else None)
    people: dict[str, int] = {}
    for binding, rows, _ in parts:
        people[binding.stream] = people.get(binding.stream, 0) + rows
    audience.remembered = AudienceEntry(
        audience_id=facts.audience_id,
        origin=found.origin if facts.audience_id else None,
        ledger=facts.ledger_id,
        commit=facts.commit,
        parts=people,
        desired=counts.desired,
        digest=ledger.set_digest() if settled and not counts.unsure and facts.audience_id else None,
        exact=facts.delivered_known,
        changed_at=min(changed_at, now) if changed_at else None,
        error=facts.error,
        held=not settled,
    )


def _describe(report: AudienceReport, found: Resolved) -> None:
    report.audience_id, report.origin, report.status = found.audience_id, found.origin, found.standing.status.value
    report.cover_num = found.standing.size if found.audience_id else None
    report.expires_at = found.expires_at.isoformat() if found.expires_at else None


@contextmanager
def _timed(report: AudienceReport, stage: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        report.seconds[stage] = round(time.monotonic() - started, 3)
