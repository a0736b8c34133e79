"""What may be wrong, judged from facts alone: nothing here reads or asks. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.commands.overview import State
from target_tiktok_audiences.commands.reasons import ADVICE, MEANING
from target_tiktok_audiences.contracts import Rejection
from target_tiktok_audiences.tiktok import AudienceType, Refused
from target_tiktok_audiences.tiktok.codes import NO_PERMISSION
from target_tiktok_audiences.tiktok.errors import AccessDenied, NoAnswer, NotTikTok, Unreachable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from target_tiktok_audiences.commands.overview import Entry
    from target_tiktok_audiences.tiktok import TikTokError
    from target_tiktok_audiences.tiktok.models import Advertiser

CLOCK_MAY_DIFFER = timedelta(minutes=5)
OVERDUE_AFTER = timedelta(hours=72)
MANY_REJECTS = 5
"""Per cent of the identifiers."""
MANY_MISSING = 50
"""Per cent of the records."""
A_MAIN_REASON = 10
"""Per cent of the rejects."""
FAILURES_IN_A_ROW = 3

_ENABLED = "STATUS_ENABLE"


class Outcome(str, Enum):
    """How a check ends."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One check: what was seen, and what to do."""

    check: str
    outcome: Outcome
    seen: str
    todo: str = ""
    about: str = ""
    """The advertiser or audience; empty where it is about all."""


@dataclass(frozen=True)
class Access:
    """What TikTok answers about one advertiser; an error of None is success."""

    advertiser_id: str
    info: Advertiser | None = None
    info_error: TikTokError | None = None
    read_error: TikTokError | None = None
    change_error: TikTokError | None = None


@dataclass(frozen=True)
class Facts:
    """All that was gathered."""

    api_host: str
    now: datetime
    """By TikTok's clock, if it answered."""
    stale_after: timedelta
    user_error: TikTokError | None = None
    """What became of the first call, with which everything else stands or falls."""
    ahead: timedelta | None = None
    """By how much this machine's clock is ahead of TikTok's."""
    granted: Collection[str] | None = None
    """The advertisers that the token may act for; None where that could not be asked."""
    granted_error: TikTokError | None = None
    ledger_path: str | None = None
    ledger_error: str = ""
    accesses: Sequence[Access] = ()
    entries: Sequence[Entry] = ()
    """The audiences that are ours."""
    filled: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By name of an audience: the advertisers for whom there is a ledger of it, configured or not."""


def diagnose(facts: Facts) -> list[Finding]:
    """Make every check; where one is the cause of another's failure, that one is skipped."""
    findings = [_host(facts), _clock(facts), _token(facts), _app(facts), _ledgers(facts)]
    for access in facts.accesses:
        checks = _of_advertiser(access, facts) if _token_is_good(facts) else _skipped_of_advertiser()
        findings += _about(f"advertiser {access.advertiser_id}", checks)
    for entry in facts.entries:
        where = f"{entry.audience_id}, " if entry.audience_id else ""
        about = f'audience "{entry.name}" ({where}advertiser {entry.advertiser_id})'
        findings += _about(about, _of_audience(entry, facts))
    return findings


def worst(findings: Iterable[Finding]) -> Outcome:
    """Give the outcome of all checks together."""
    outcomes = {finding.outcome for finding in findings}
    return next((each for each in (Outcome.FAILED, Outcome.WARNING) if each in outcomes), Outcome.OK)


def _about(about: str, findings: Iterable[Finding]) -> list[Finding]:
    return [Finding(each.check, each.outcome, each.seen, each.todo, about) for each in findings]


# The way to TikTok


def _host(facts: Facts) -> Finding:
    error = facts.user_error
    if isinstance(error, (Unreachable, NotTikTok, NoAnswer)):
        return Finding("host", Outcome.FAILED, error.summary, error.advice)
    if error and not isinstance(error, AccessDenied):
        return Finding("host", Outcome.WARNING, error.summary, error.advice)
    return Finding("host", Outcome.OK, f"{facts.api_host} answers.")


def _clock(facts: Facts) -> Finding:
    if facts.ahead is None:
        return Finding("clock", Outcome.SKIPPED, "TikTok did not answer.")
    way = "ahead of" if facts.ahead > timedelta() else "behind"
    seen = f"This machine's clock is {abs(facts.ahead).total_seconds():,.0f} s {way} TikTok's."
    if abs(facts.ahead) <= CLOCK_MAY_DIFFER:
        return Finding("clock", Outcome.OK, seen)
    return Finding("clock", Outcome.WARNING, seen, "Set the clock, best by NTP. Runs go by TikTok's, schedules do not.")


def _is_about_token(error: TikTokError | None) -> bool:
    """Tell whether the token itself was refused; `user/info/` may need a scope that audiences do not need."""
    return isinstance(error, AccessDenied) and error.code != NO_PERMISSION


def _token_is_good(facts: Facts) -> bool:
    error = facts.user_error
    return error is None or (isinstance(error, AccessDenied) and not _is_about_token(error))


def _token(facts: Facts) -> Finding:
    error = facts.user_error
    if _token_is_good(facts):
        return Finding("token", Outcome.OK, "TikTok takes the access token.")
    if isinstance(error, AccessDenied) and error.code is not None:
        return Finding("token", Outcome.FAILED, error.summary, error.advice)
    return Finding("token", Outcome.SKIPPED, "TikTok could not be asked.")


def _app(facts: Facts) -> Finding:
    if not _token_is_good(facts):
        return Finding("app", Outcome.SKIPPED, "It needs a good token.")
    if facts.granted_error:
        todo = "Check `app_id` and `app_secret`; the access token must be one of this app."
        return Finding("app", Outcome.FAILED, facts.granted_error.summary, todo)
    if facts.granted is None:
        return Finding(
            "app",
            Outcome.SKIPPED,
            "`app_id` and `app_secret` are not set.",
            "Set both to list what the token may act for.",
        )
    return Finding("app", Outcome.OK, f"The token may act for {len(facts.granted):,} advertisers.")


def _ledgers(facts: Facts) -> Finding:
    if facts.ledger_path is None:
        return Finding(
            "ledger_path",
            Outcome.WARNING,
            "`:memory:` keeps no ledger.",
            "Set a folder that lasts, so that people can leave and nothing is sent twice.",
        )
    if facts.ledger_error:
        todo = "Let this user write there, or set another `ledger_path`."
        return Finding("ledger_path", Outcome.FAILED, f"{facts.ledger_path}: {facts.ledger_error}.", todo)
    return Finding("ledger_path", Outcome.OK, f"{facts.ledger_path} can be written.")


# One advertiser


def _lacks_scope(error: TikTokError | None) -> bool:
    return isinstance(error, AccessDenied) and "scope" in error.message.lower()


def _skipped_of_advertiser() -> Iterator[Finding]:
    for check in ("advertiser", "scope_30", "scope_31", "role"):
        yield Finding(check, Outcome.SKIPPED, "It needs a good token.")


def _of_advertiser(access: Access, facts: Facts) -> Iterator[Finding]:
    yield _advertiser(access, facts)
    yield _scope("scope_30", "read", access.read_error)
    yield _scope("scope_31", "change", access.change_error)
    yield _role(access)


def _advertiser(access: Access, facts: Facts) -> Finding:
    if facts.granted is not None and access.advertiser_id not in facts.granted:
        return Finding(
            "advertiser",
            Outcome.FAILED,
            f"It is not among the {len(facts.granted):,} that this token may act for.",
            "Is `advertiser_id` right (`advertisers` lists them)? Else authorise the app as somebody who has this"
            " account; access ends when one leaves its Business Center.",
        )
    refused = next((e for e in (access.info_error, access.read_error) if e and not _lacks_scope(e)), None)
    if isinstance(refused, Refused):
        return Finding(
            "advertiser",
            Outcome.FAILED,
            refused.summary,
            "Is `advertiser_id` right? Has the token's user still access to it? That ends when one leaves its Business"
            " Center.",
        )
    if refused:
        return Finding("advertiser", Outcome.SKIPPED, refused.summary, refused.advice)
    status = access.info.status if access.info else None
    name = f'"{access.info.name}"' if access.info and access.info.name else "It"
    if status and status != _ENABLED:
        todo = "Look into TikTok Ads Manager: the account may be under review, suspended or without a contract."
        return Finding("advertiser", Outcome.WARNING, f"{name} has the status {status}.", todo)
    return Finding("advertiser", Outcome.OK, f"{name} is accessible.")


def _scope(check: str, what: str, error: TikTokError | None) -> Finding:
    if error is None:
        return Finding(check, Outcome.OK, f"The token may {what} audiences.")
    if _lacks_scope(error):
        return Finding(
            check,
            Outcome.FAILED,
            error.summary,
            "Give the app the permission Audience Management at TikTok for Business Developers. Then authorise it"
            " again: a token made before lacks it.",
        )
    return Finding(check, Outcome.SKIPPED, "TikTok refuses for another reason.")


def _role(access: Access) -> Finding:
    error = access.change_error
    if error is None:
        return Finding("role", Outcome.OK, "TikTok would take an upload from the token's user.")
    if isinstance(error, AccessDenied) and not _lacks_scope(error) and access.read_error is None:
        return Finding(
            "role",
            Outcome.FAILED,
            error.summary,
            "The token's user may look and not change: make it Admin or Operator of this advertiser.",
        )
    return Finding("role", Outcome.SKIPPED, "TikTok refuses for another reason.")


# One audience


def _of_audience(entry: Entry, facts: Facts) -> Iterator[Finding]:
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


def _ledger(entry: Entry, facts: Facts) -> Finding:
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
    figures = f"{counts.delivered:,} of {counts.desired:,} people are delivered." if counts else ""
    return Finding("ledger", Outcome.OK, f"{figures} A run has it open now." if entry.look.busy else figures)


def _audience(entry: Entry, facts: Facts) -> Finding:
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


def _state(entry: Entry, facts: Facts) -> Finding:
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
        seen = f"TikTok failed {known.failures} changes in a row after it had accepted them."
        todo = "It is sent again by each run." if outcome is Outcome.WARNING else "Ask TikTok's support."
        return Finding("tiktok", outcome, f"{seen} It says: {(known.error or 'nothing').rstrip('.')}.", todo)
    return Finding("tiktok", Outcome.OK, "TikTok has failed no change that it had accepted.")


def _waiting(entry: Entry, facts: Facts) -> Finding:
    look = entry.look
    if look is None or look.facts is None or look.counts is None:
        return Finding("waiting", Outcome.SKIPPED, "There is no ledger to look at.")
    since = look.facts.held_since
    if since is None:
        return Finding("waiting", Outcome.OK, "Nothing waits to be sent.")
    hours = max(facts.now - since, timedelta()) // timedelta(hours=1)
    seen = f"{look.counts.adds:,} people to add and {look.counts.removals:,} to remove wait, for {hours:,} hours."
    if facts.now - since >= OVERDUE_AFTER:
        return Finding(
            "waiting", Outcome.FAILED, seen, "That is too long: see the last run; else ask TikTok's support."
        )
    return Finding("waiting", Outcome.WARNING, seen, "Run again: a later run sends them when TikTok has finished.")


def _upstream(entry: Entry, facts: Facts) -> Finding:
    look = entry.look
    if look is None or not look.parts:
        return Finding("upstream", Outcome.SKIPPED, "No stream has come yet.")
    late = {
        binding.stream: (facts.now - seen_at).days
        for binding, _, seen_at in look.parts
        if facts.now - seen_at > facts.stale_after
    }
    if late:
        seen = ", ".join(f"Stream {stream} came {days:,} days ago" for stream, days in late.items())
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
        return Finding("upstream", Outcome.WARNING, f"{seen} The last change is {days:,} days old.", todo)
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
    todo = " ".join(f"{each.value} ({MEANING[each]}): {ADVICE[each]}" for each in Rejection if each.value in main)
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
