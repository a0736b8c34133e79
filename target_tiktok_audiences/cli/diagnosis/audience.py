"""Checks of one audience: its ledger, its status at TikTok and its last runs."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.cli.diagnosis.model import Finding, Outcome
from target_tiktok_audiences.contracts.rejection import Rejection
from target_tiktok_audiences.reporting.formatting import format_count, format_duration
from target_tiktok_audiences.sync.overview import State
from target_tiktok_audiences.tiktok.models import AudienceType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_tiktok_audiences.cli.diagnosis.model import Evidence
    from target_tiktok_audiences.sync.overview import Entry

OVERDUE_AFTER = timedelta(hours=72)
MANY_REJECTS = 5
"""Percent of the identifiers."""
MANY_MISSING = 50
"""Percent of the records."""
A_MAIN_REASON = 10
"""Percent of the rejects."""
FAILURES_IN_A_ROW = 3


def check_audience(entry: Entry, evidence: Evidence) -> Iterator[Finding]:
    """Yield the findings about one audience."""
    yield _ledger(entry, evidence)
    yield _audience(entry, evidence)
    yield _contract(entry)
    yield _state(entry, evidence)
    yield _processing(entry)
    yield _waiting(entry, evidence)
    yield _upstream(entry, evidence)
    runs = [report for _, report in entry.look.runs] if entry.look else []
    yield _last_run(runs)
    yield _rejects(runs)
    yield _missing(runs)


def _ledger(entry: Entry, evidence: Evidence) -> Finding:
    if entry.look is None and (others := evidence.filled.get(entry.name)):
        seen = f"There is no ledger. Runs filled an audience of this name for advertiser {', '.join(sorted(others))}."
        return Finding(
            "ledger", Outcome.WARNING, seen, "Check `advertiser_id` and `contract`, then run the target once."
        )
    if entry.look is None:
        todo = (
            "Run the target once. If it has run already, check whether the name, contract or `ledger_path` was changed."
        )
        return Finding("ledger", Outcome.WARNING, "There is no ledger: no run has created it yet.", todo)
    if entry.look.problem:
        outcome = Outcome.WARNING if entry.look.busy else Outcome.FAILED
        todo = (
            "" if entry.look.busy else "The next run quarantines a damaged ledger and continues as if it were missing."
        )
        return Finding("ledger", outcome, entry.look.problem, todo)
    counts = entry.look.counts
    figures = f"{counts.arrived:,} of {counts.desired:,} members are delivered." if counts else ""
    return Finding("ledger", Outcome.OK, f"{figures} A run is using it now." if entry.look.busy else figures)


def _audience(entry: Entry, evidence: Evidence) -> Finding:
    match entry.state(evidence.now):
        case State.UNKNOWN:
            return Finding("audience", Outcome.SKIPPED, "TikTok could not be reached.")
        case State.AMBIGUOUS:
            seen = f"The advertiser has {len(entry.twins)} audiences of this name: {', '.join(entry.twins)}."
            return Finding("audience", Outcome.FAILED, seen, "Set `audience_id` to the ID of the intended audience.")
        case State.GONE:
            return Finding(
                "audience",
                Outcome.FAILED,
                "This advertiser has no audience with this ID.",
                "If it was deleted, the next run recreates it, unless `audience_id` is set: then correct that setting."
                " Also check `advertiser_id`.",
            )
        case State.NOT_CREATED:
            return Finding(
                "audience",
                Outcome.WARNING,
                "It is not created yet: this advertiser has no audience of this name.",
                "See the last run. If the audience exists at TikTok, correct `advertiser_id` or `audience_name`.",
            )
    return Finding("audience", Outcome.OK, "TikTok lists it.")


def _contract(entry: Entry) -> Finding:
    listed = entry.listed
    if listed is None:
        return Finding("contract", Outcome.SKIPPED, "There is no audience to check.")
    name_another = "Set another `audience_name` or `audience_id`; runs do not change this audience."
    if listed.audience_type != AudienceType.CUSTOMER_FILE.value:
        seen = f"It is a {listed.audience_type}; only a {AudienceType.CUSTOMER_FILE.value} accepts files."
        return Finding("contract", Outcome.FAILED, seen, name_another)
    if not listed.is_creator:
        return Finding("contract", Outcome.FAILED, "It is shared by another advertiser, who owns it.", name_another)
    if entry.contract and listed.calculate_type != entry.contract:
        seen = f"It contains {listed.calculate_type}, but the contract is {entry.contract}."
        return Finding("contract", Outcome.FAILED, seen, f"Correct `contract`. Otherwise: {name_another}")
    return Finding("contract", Outcome.OK, f"It contains {listed.calculate_type}.")


def _state(entry: Entry, evidence: Evidence) -> Finding:
    listed = entry.listed
    if listed is None:
        return Finding("size", Outcome.SKIPPED, "There is no audience to check.")
    match entry.state(evidence.now):
        case State.EXPIRED:
            return Finding(
                "size",
                Outcome.FAILED,
                "It has expired: TikTok emptied it and rejects changes.",
                "Delete it in TikTok Ads Manager; the next run with the whole table (`--full-refresh`) recreates it.",
            )
        case State.TOO_SMALL:
            return Finding(
                "size",
                Outcome.FAILED,
                "It is still empty 48 hours after its last change: TikTok matched fewer than 1,000 users.",
                "Send more identifiers. If there are enough, they may have been hashed without normalization: compare"
                " some with `explain --digest`.",
            )
        case State.UNSIZED:
            return Finding(
                "size",
                Outcome.WARNING,
                "It has no size: TikTok is processing another change, or matched fewer than 1,000 users.",
                "Check again 48 hours after its last change. If it still has no size, send more identifiers.",
            )
        case State.PROCESSING:
            return Finding("size", Outcome.OK, "TikTok is processing a change, for up to 48 hours.", "Wait.")
    if listed.is_expiring:
        when = f"{listed.expires_at:%Y-%m-%d}" if listed.expires_at else "soon"
        todo = "Use it in an ad group, or let a run change it. `retention_in_days` prevents postponing."
        return Finding("size", Outcome.WARNING, f"It expires: {when}.", todo)
    return Finding("size", Outcome.OK, f"It is ready, with {listed.cover_num or 0:,} matched users.")


def _processing(entry: Entry) -> Finding:
    state = entry.look.facts if entry.look else None
    if state is None:
        return Finding("tiktok", Outcome.SKIPPED, "There is no ledger to check.")
    if state.failures:
        outcome = Outcome.FAILED if state.failures >= FAILURES_IN_A_ROW else Outcome.WARNING
        seen = f"TikTok failed {format_count(state.failures, 'change')} in a row after accepting."
        todo = "Each run sends it again." if outcome is Outcome.WARNING else "Contact TikTok support."
        return Finding("tiktok", outcome, f"{seen} TikTok's message: {(state.error or 'nothing').rstrip('.')}.", todo)
    return Finding("tiktok", Outcome.OK, "No accepted change has failed.")


def _waiting(entry: Entry, evidence: Evidence) -> Finding:
    snapshot = entry.look
    if snapshot is None or snapshot.facts is None or snapshot.counts is None:
        return Finding("waiting", Outcome.SKIPPED, "There is no ledger to check.")
    since = snapshot.facts.held_since
    if since is None:
        return Finding("waiting", Outcome.OK, "No changes are pending.")
    waited = format_duration(max(evidence.now - since, timedelta()))
    seen = (
        f"{snapshot.counts.adds:,} additions and {snapshot.counts.removals:,} removals have been pending for {waited}."
    )
    if evidence.now - since >= OVERDUE_AFTER:
        return Finding(
            "waiting", Outcome.FAILED, seen, "This is too long. See the last run; otherwise contact TikTok support."
        )
    return Finding("waiting", Outcome.WARNING, seen, "Run again later: a run sends them when TikTok has finished.")


def _upstream(entry: Entry, evidence: Evidence) -> Finding:
    snapshot = entry.look
    if snapshot is None or not snapshot.parts:
        return Finding("upstream", Outcome.SKIPPED, "No stream has arrived yet.")
    late = {
        binding.stream: (evidence.now - seen_at).days
        for binding, _, seen_at in snapshot.parts
        if evidence.now - seen_at > evidence.stale_after
    }
    if late:
        seen = ", ".join(
            f"Stream {stream} last arrived {format_count(days, 'day')} ago" for stream, days in late.items()
        )
        todo = "Check that the pipeline runs and selects this stream, and that the stream was not renamed."
        return Finding("upstream", Outcome.WARNING, f"{seen}.", todo)
    last = snapshot.runs[0][1] if snapshot.runs else {}
    if last.get("plan") != "NOTHING":
        return Finding("upstream", Outcome.OK, "Every stream has arrived recently.")
    seen = "The last run found no changes, so it uploaded no file."
    changed_at = snapshot.facts.changed_at if snapshot.facts else None
    if changed_at and evidence.now - changed_at > evidence.stale_after:
        days = (evidence.now - changed_at).days
        todo = "Check that the upstream model still adds or removes rows, and that the tap's bookmark advances."
        return Finding("upstream", Outcome.WARNING, f"{seen} The last change is {format_count(days, 'day')} old.", todo)
    return Finding("upstream", Outcome.OK, seen)


def _last_run(runs: Sequence[dict[str, Any]]) -> Finding:
    if not runs:
        return Finding("last_run", Outcome.SKIPPED, "The ledger contains no run.")
    outcome, message = runs[0].get("outcome"), str(runs[0].get("message") or "")
    if outcome == "failed":
        return Finding("last_run", Outcome.FAILED, f"It failed: {message}", "Follow the message, and run again.")
    return Finding("last_run", Outcome.OK, f"It was {outcome}: {runs[0].get('plan')}.")


def _rejects(runs: Sequence[dict[str, Any]]) -> Finding:
    reasons: Counter[str] = Counter()
    identifiers = 0
    for counts in _books(runs):
        reasons.update(counts["rejected"])
        identifiers += counts["read"] - counts["deleted"] - counts["missing"]
    if not identifiers:
        return Finding("rejects", Outcome.SKIPPED, "The last runs contained no identifiers.")
    rejected = reasons.total()
    listing = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    seen = (
        f"{rejected:,} of {identifiers:,} identifiers of the last runs were rejected{': ' if listing else ''}{listing}."
    )
    if rejected * 100 < identifiers * MANY_REJECTS:
        return Finding("rejects", Outcome.OK, seen)
    main = {reason for reason, count in reasons.items() if count * 100 >= rejected * A_MAIN_REASON}
    todo = " ".join(f"{each.value} ({each.meaning}): {each.advice}" for each in Rejection if each.value in main)
    return Finding("rejects", Outcome.WARNING, seen, todo)


def _missing(runs: Sequence[dict[str, Any]]) -> Finding:
    counts = list(_books(runs))
    missing = sum(each["missing"] for each in counts)
    records = sum(each["read"] - each["deleted"] for each in counts)
    if not records:
        return Finding("missing", Outcome.SKIPPED, "The last runs contained no records.")
    seen = f"{missing:,} of {records:,} records of the last runs have no identifier."
    todo = "Check that `identifier_field` names the identifier column and that the tap selects it."
    if missing == records:
        return Finding("missing", Outcome.FAILED, seen, todo)
    many = missing * 100 >= records * MANY_MISSING
    return Finding("missing", Outcome.WARNING if many else Outcome.OK, seen, todo if many else "")


def _books(runs: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for report in runs:
        yield from report.get("books", ())
