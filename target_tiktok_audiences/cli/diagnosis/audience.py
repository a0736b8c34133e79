"""One audience: its ledger, how it stands at TikTok, and what its last runs brought."""

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
"""Per cent of the identifiers."""
MANY_MISSING = 50
"""Per cent of the records."""
A_MAIN_REASON = 10
"""Per cent of the rejects."""
FAILURES_IN_A_ROW = 3


def check_audience(entry: Entry, facts: Evidence) -> Iterator[Finding]:
    """Make the checks of one audience."""
    yield _ledger(entry, facts)
    yield _audience(entry, facts)
    yield _contract(entry)
    yield _state(entry, facts)
    yield _processing(entry)
    yield _waiting(entry, facts)
    yield _upstream(entry, facts)
    runs = [report for _, report in entry.look.runs] if entry.look else []
    yield _last_run(runs)
    yield _rejects(runs)
    yield _missing(runs)


def _ledger(entry: Entry, facts: Evidence) -> Finding:
    if entry.look is None and (others := facts.filled.get(entry.name)):
        seen = f"There is none. The audience of this name that runs filled is advertiser {', '.join(sorted(others))}'s."
        return Finding(
            "ledger", Outcome.WARNING, seen, "Is `advertiser_id` right, and the `contract`? Then run it once."
        )
    if entry.look is None:
        todo = "Run it once. If it has run: has the name, the contract or `ledger_path` been changed?"
        return Finding("ledger", Outcome.WARNING, "There is none: no run has come that far.", todo)
    if entry.look.problem:
        outcome = Outcome.WARNING if entry.look.busy else Outcome.FAILED
        todo = "" if entry.look.busy else "The next run puts a damaged one aside, and goes on as if it were lost."
        return Finding("ledger", outcome, entry.look.problem, todo)
    counts = entry.look.counts
    figures = f"{counts.arrived:,} of {counts.desired:,} people are delivered." if counts else ""
    return Finding("ledger", Outcome.OK, f"{figures} A run has it open now." if entry.look.busy else figures)


def _audience(entry: Entry, facts: Evidence) -> Finding:
    match entry.state(facts.now):
        case State.UNKNOWN:
            return Finding("audience", Outcome.SKIPPED, "TikTok could not be asked.")
        case State.AMBIGUOUS:
            seen = f"The advertiser has {len(entry.twins)} audiences of this name: {', '.join(entry.twins)}."
            return Finding("audience", Outcome.FAILED, seen, "Set `audience_id` to the one that is meant.")
        case State.GONE:
            return Finding(
                "audience",
                Outcome.FAILED,
                "This advertiser has no audience of this id.",
                "Was it deleted? The next run makes it anew, unless `audience_id` is set: then correct that. Or is"
                " `advertiser_id` another account's?",
            )
        case State.NOT_CREATED:
            return Finding(
                "audience",
                Outcome.WARNING,
                "It is not created yet, and this advertiser has none of this name.",
                "See the last run. If you know it from TikTok: `advertiser_id` or `audience_name` is not its own.",
            )
    return Finding("audience", Outcome.OK, "TikTok lists it.")


def _contract(entry: Entry) -> Finding:
    listed = entry.listed
    if listed is None:
        return Finding("contract", Outcome.SKIPPED, "There is no audience to look at.")
    name_another = "Set another `audience_name` or `audience_id`; no run changes this one."
    if listed.audience_type != AudienceType.CUSTOMER_FILE.value:
        seen = f"It is a {listed.audience_type}; only a {AudienceType.CUSTOMER_FILE.value} takes files."
        return Finding("contract", Outcome.FAILED, seen, name_another)
    if not listed.is_creator:
        return Finding("contract", Outcome.FAILED, "Another advertiser owns it and shares it.", name_another)
    if entry.contract and listed.calculate_type != entry.contract:
        seen = f"It holds {listed.calculate_type}, and the contract is {entry.contract}."
        return Finding("contract", Outcome.FAILED, seen, f"Set the right `contract`. Else: {name_another}")
    return Finding("contract", Outcome.OK, f"It holds {listed.calculate_type}.")


def _state(entry: Entry, facts: Evidence) -> Finding:
    listed = entry.listed
    if listed is None:
        return Finding("size", Outcome.SKIPPED, "There is no audience to look at.")
    match entry.state(facts.now):
        case State.EXPIRED:
            return Finding(
                "size",
                Outcome.FAILED,
                "It has expired: TikTok has emptied it, and lets nobody change it.",
                "Delete it in TikTok Ads Manager; the next run with the whole table (`--full-refresh`) makes it anew.",
            )
        case State.TOO_SMALL:
            return Finding(
                "size",
                Outcome.FAILED,
                "It is still empty 48 hours after its last change: fewer than 1,000 people were matched.",
                "Send more people. Are there enough? Then the values were hashed from something not normalised: compare"
                " some with `explain --digest`.",
            )
        case State.UNSIZED:
            return Finding(
                "size",
                Outcome.WARNING,
                "It has no size: TikTok is processing somebody's change, or matched fewer than 1,000 people.",
                "Look again 48 hours after the last change to it; if it stays so, send more people.",
            )
        case State.PROCESSING:
            return Finding("size", Outcome.OK, "TikTok is processing a change, for up to 48 hours.", "Wait.")
    if listed.is_expiring:
        when = f"{listed.expires_at:%Y-%m-%d}" if listed.expires_at else "soon"
        todo = "Use it in an ad group, or let a run change it; with `retention_in_days` nothing puts that off."
        return Finding("size", Outcome.WARNING, f"It expires: {when}.", todo)
    return Finding("size", Outcome.OK, f"It is ready, with {listed.cover_num or 0:,} people matched.")


def _processing(entry: Entry) -> Finding:
    known = entry.look.facts if entry.look else None
    if known is None:
        return Finding("tiktok", Outcome.SKIPPED, "There is no ledger to look at.")
    if known.failures:
        outcome = Outcome.FAILED if known.failures >= FAILURES_IN_A_ROW else Outcome.WARNING
        seen = f"TikTok failed {format_count(known.failures, 'change')} in a row after accepting."
        todo = "It is sent again by each run." if outcome is Outcome.WARNING else "Ask TikTok's support."
        return Finding("tiktok", outcome, f"{seen} It says: {(known.error or 'nothing').rstrip('.')}.", todo)
    return Finding("tiktok", Outcome.OK, "TikTok has failed no change that it had accepted.")


def _waiting(entry: Entry, facts: Evidence) -> Finding:
    look = entry.look
    if look is None or look.facts is None or look.counts is None:
        return Finding("waiting", Outcome.SKIPPED, "There is no ledger to look at.")
    since = look.facts.held_since
    if since is None:
        return Finding("waiting", Outcome.OK, "Nothing waits to be sent.")
    waited = format_duration(max(facts.now - since, timedelta()))
    seen = f"{look.counts.adds:,} people to add and {look.counts.removals:,} to remove wait, for {waited}."
    if facts.now - since >= OVERDUE_AFTER:
        return Finding(
            "waiting", Outcome.FAILED, seen, "That is too long: see the last run; else ask TikTok's support."
        )
    return Finding("waiting", Outcome.WARNING, seen, "Run again: a later run sends them when TikTok has finished.")


def _upstream(entry: Entry, facts: Evidence) -> Finding:
    look = entry.look
    if look is None or not look.parts:
        return Finding("upstream", Outcome.SKIPPED, "No stream has come yet.")
    late = {
        binding.stream: (facts.now - seen_at).days
        for binding, _, seen_at in look.parts
        if facts.now - seen_at > facts.stale_after
    }
    if late:
        seen = ", ".join(f"Stream {stream} came {format_count(days, 'day')} ago" for stream, days in late.items())
        todo = "Does the pipeline run, and select this stream? Has the stream another name now?"
        return Finding("upstream", Outcome.WARNING, f"{seen}.", todo)
    last = look.runs[0][1] if look.runs else {}
    if last.get("plan") != "NOTHING":
        return Finding("upstream", Outcome.OK, "Every stream has come lately.")
    seen = "The last run found no difference, so TikTok got no file."
    changed_at = look.facts.changed_at if look.facts else None
    if changed_at and facts.now - changed_at > facts.stale_after:
        days = (facts.now - changed_at).days
        todo = "Does the upstream model still bring new or removed rows, and does the tap's bookmark move?"
        return Finding("upstream", Outcome.WARNING, f"{seen} The last change is {format_count(days, 'day')} old.", todo)
    return Finding("upstream", Outcome.OK, seen)


def _last_run(runs: Sequence[dict[str, Any]]) -> Finding:
    if not runs:
        return Finding("last_run", Outcome.SKIPPED, "There is none in the ledger.")
    outcome, message = runs[0].get("outcome"), str(runs[0].get("message") or "")
    if outcome == "failed":
        return Finding("last_run", Outcome.FAILED, f"It failed: {message}", "Do what it says, and run again.")
    return Finding("last_run", Outcome.OK, f"It was {outcome}: {runs[0].get('plan')}.")


def _rejects(runs: Sequence[dict[str, Any]]) -> Finding:
    reasons: Counter[str] = Counter()
    identifiers = 0
    for books in _books(runs):
        reasons.update(books["rejected"])
        identifiers += books["read"] - books["deleted"] - books["missing"]
    if not identifiers:
        return Finding("rejects", Outcome.SKIPPED, "The last runs brought no identifiers.")
    rejected = reasons.total()
    told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    seen = f"{rejected:,} of {identifiers:,} identifiers of the last runs were rejected{': ' if told else ''}{told}."
    if rejected * 100 < identifiers * MANY_REJECTS:
        return Finding("rejects", Outcome.OK, seen)
    main = {reason for reason, count in reasons.items() if count * 100 >= rejected * A_MAIN_REASON}
    todo = " ".join(f"{each.value} ({each.meaning}): {each.advice}" for each in Rejection if each.value in main)
    return Finding("rejects", Outcome.WARNING, seen, todo)


def _missing(runs: Sequence[dict[str, Any]]) -> Finding:
    books = list(_books(runs))
    missing = sum(each["missing"] for each in books)
    records = sum(each["read"] - each["deleted"] for each in books)
    if not records:
        return Finding("missing", Outcome.SKIPPED, "The last runs brought no records.")
    seen = f"{missing:,} of {records:,} records of the last runs lack an identifier."
    todo = "Is `identifier_field` the column with the identifiers, and does the tap select it?"
    if missing == records:
        return Finding("missing", Outcome.FAILED, seen, todo)
    many = missing * 100 >= records * MANY_MISSING
    return Finding("missing", Outcome.WARNING if many else Outcome.OK, seen, todo if many else "")


def _books(runs: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for report in runs:
        yield from report.get("books", ())
