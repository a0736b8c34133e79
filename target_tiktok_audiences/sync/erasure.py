"""Erase members permanently from every audience of a ledger folder, with a receipt that contains no identifier."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.contracts.rejection import Rejected
from target_tiktok_audiences.ledger.database import LedgerError, describe, load_database
from target_tiktok_audiences.reporting.progress import Progress
from target_tiktok_audiences.reporting.report import AudienceReport
from target_tiktok_audiences.runtime.errors import LedgerBusy, UserError
from target_tiktok_audiences.runtime.signals import signals
from target_tiktok_audiences.sync.guards import NO_LIMIT
from target_tiktok_audiences.sync.plan import NEEDS_DELETION, Action, Limits
from target_tiktok_audiences.sync.reconcile import AudienceRun, RunContext, attempt, remove_erased

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from target_tiktok_audiences.config.settings import Settings
    from target_tiktok_audiences.ledger.catalog import LedgerCatalog
    from target_tiktok_audiences.ledger.metadata import LedgerMetadata
    from target_tiktok_audiences.ledger.session import LedgerSession
    from target_tiktok_audiences.tiktok.client import TikTok


MEANINGS = {
    "removed": "TikTok has accepted the removal, and carries it out within 48 hours.",
    "leaving": "TikTok accepted the removal earlier, and may be carrying it out still.",
    "not_a_member": "Nobody of that kind was in it, as far as the ledger knows.",
    "erased_earlier": "An earlier erasure keeps them out of it.",
    "gone": "The audience is gone from TikTok, or has expired and is empty.",
    "audience_deleted": "The whole audience was deleted, since TikTok would not let it go below its floor.",
    "waits": "It could not be done now; the next run that nothing else stops does it.",
    "below_floor": "TikTok refuses it: too few would be left.",
    "failed": "It could not be done.",
    "planned": "A dry run: nothing was changed.",
}
"""What can become of an erasure in one audience."""
OPEN = frozenset({"below_floor", "failed"})
"""What is left for the user to do."""


class NoIdentifier(UserError):
    """A value that no contract takes; it is never quoted."""


class NobodyKnown(UserError):
    """An erasure that no ledger could take part in."""


@dataclass
class ErasedFrom:
    """One audience's line of the receipt."""

    audience: str
    audience_id: str | None
    advertiser_id: str
    contract: str
    outcome: str = "failed"
    message: str = ""
    at: str | None = None
    """When TikTok said so."""
    request_ids: list[str] = field(default_factory=list)


@dataclass
class Erasure:
    """What an erasure is to do: the digests for each contract, and how far it may go."""

    digests: Mapping[str, Collection[bytes]]
    identifiers: int
    may_delete: bool = False
    """Whether it may delete an audience that TikTok does not let go below its floor."""
    dry_run: bool = False


def digests_of(
    values: Sequence[str], contracts: Collection[str], *, hashed: bool, default_country: str | None = None
) -> dict[str, set[bytes]]:
    """Give, for each contract, the digests of those values that it takes. Raises `NoIdentifier` if none takes one."""
    found: dict[str, set[bytes]] = {}
    for number, value in enumerate(values, 1):
        taken, reasons = _read(value, contracts, hashed=hashed, default_country=default_country)
        if not taken:
            which = f"Line {number:,} of the identifiers" if len(values) > 1 else "The identifier"
            raise NoIdentifier(
                f"{which} is none that a contract of these ledgers takes ({', '.join(reasons)}). Nobody was erased."
                " Check it; a digest needs --digest, and a phone number without its country code --default-country."
            )
        for name, digest in taken.items():
            found.setdefault(name, set()).add(digest)
    return found


def _read(
    value: str, contracts: Collection[str], *, hashed: bool, default_country: str | None
) -> tuple[dict[str, bytes], list[str]]:
    """Give the value's digest for each contract that takes it, and why the others do not."""
    taken, reasons = {}, []
    for name in contracts:
        digester = CONTRACTS[name].digester(apply_hashing=not hashed, default_country=default_country)
        try:
            digest = digester(value)
        except Rejected as rejected:
            reasons.append(f"{name}: {rejected.reason.value}")
            continue
        if digest:
            taken[name] = digest
    return taken, reasons


def contracts_of(settings: Settings, ledgers: LedgerCatalog, chosen: Collection[str] = ()) -> list[str]:
    """Give the contracts that the ledgers hold, of those chosen if any are. Raises `NobodyKnown` if they hold none."""
    held = {card.contract for card in _cards(settings, ledgers)} & set(chosen or CONTRACTS)
    if not held:
        raise NobodyKnown(
            f"There is no ledger{' of ' + ', '.join(chosen) if chosen else ''} in"
            f" {ledgers.name}, so nobody is known there, and nobody was erased. Check `ledger_path`"
            " and `api_url`: they must be those of the runs."
        )
    return [name for name in CONTRACTS if name in held]


def erase(
    erasure: Erasure, settings: Settings, ledgers: LedgerCatalog, tiktok: TikTok, temporary: Path
) -> list[ErasedFrom]:
    """Take people out of every audience, and keep them out; an audience that fails does not stop the others.

    The first thing is one write, for all ledgers: from then on each later run finishes what this one leaves undone.
    """
    earlier: dict[str, str] = {}
    for contract, digests in erasure.digests.items():
        noted = ledgers.erasures.of(contract)
        if noted.keys() >= set(digests):
            earlier[contract] = max(noted[digest] for digest in digests)
        ledgers.erasures.add(contract, digests, tiktok.now)
    limits = Limits(settings.min_audience_size, settings.max_reject_percent, settings.batch_size_rows)
    around = RunContext(tiktok, limits, temporary, erasure.dry_run, Progress())
    ours = {feed.advertiser_id for feed in settings.feeds}
    lines = []
    for card in _cards(settings, ledgers):
        if card.contract in erasure.digests:
            signals.check()
            line = _erase_from(card, erasure, ledgers, around)
            if line.outcome == "not_a_member" and card.contract in earlier:
                line.outcome = "erased_earlier"
                line.message = f"Erased on {earlier[card.contract][:10]}. {line.message}".rstrip()
            if line.outcome == "waits" and card.advertiser_id not in ours:
                line.outcome = "failed"
                line.message += " No run of this configuration looks after that advertiser."
            lines.append(line)
    return lines


def _cards(settings: Settings, ledgers: LedgerCatalog) -> list[LedgerMetadata]:
    return [card for _, card in ledgers.cards() if card.api_host == settings.api_host]


def _erase_from(card: LedgerMetadata, erasure: Erasure, ledgers: LedgerCatalog, around: RunContext) -> ErasedFrom:
    line = ErasedFrom(card.name, card.audience_id, card.advertiser_id, card.contract)
    with signals.held():
        load_database()
    try:
        with closing(ledgers.open(card)) as opened:
            _take_out(opened, line, erasure, around)
    except LedgerBusy:
        line.outcome, line.message = "waits", "A run has it now: the one after that takes them out."
    except (LedgerError, OSError, UserError) as error:
        line.outcome, line.message = "failed", describe(error)
    signals.check()  # an error may be all that the ledger's database has made of a signal
    return line


def _take_out(opened: LedgerSession, line: ErasedFrom, erasure: Erasure, around: RunContext) -> None:
    """Take them out of one audience whose ledger is open and knows of the erasure, and say what became of it."""
    digests, ledger = erasure.digests[line.contract], opened.ledger
    if ledger.facts.delivered_known and not ledger.may_hold(digests):
        line.outcome = "leaving" if ledger.may_come_back(digests) else "not_a_member"
        line.message = opened.warning
        opened.save()  # a run on another machine that knows nothing of it loses
        return
    card, owed = opened.card, opened.card.owed
    opened.owe(card.streams)
    report = AudienceReport(card.name, card.advertiser_id, card.contract, card.load_method, card.audience_id)
    audience = AudienceRun(opened, card.load_method, NO_LIMIT, report)
    attempt(audience, around.tiktok, partial(remove_erased, audience, around, may_delete=erasure.may_delete))
    line.outcome = _outcome(report, known=line.audience_id is not None)
    # Of a deleted audience nothing is owed: a stream that still fills it makes it anew. Or there was nothing to do.
    settled = {"audience_deleted": False, "gone": owed, "not_a_member": owed}
    if card.owed != (owed_now := settled.get(line.outcome, card.owed)):
        card.owed = owed_now
        opened.save()
    line.message = " ".join(filter(None, [opened.warning, report.message, report.warning]))
    line.request_ids, line.at = report.request_ids, around.tiktok.now.isoformat(timespec="seconds")


def _outcome(report: AudienceReport, *, known: bool) -> str:
    if report.outcome == "planned":
        return "planned"
    if report.outcome == "held":
        return "waits"
    if report.outcome == "ok":
        nothing = "gone" if known else "not_a_member"
        return {Action.REMOVE.value: "removed", Action.DELETE.value: "audience_deleted"}.get(report.plan or "", nothing)
    return "below_floor" if report.reason in NEEDS_DELETION else "failed"


def receipt(
    erasure: Erasure, lines: Sequence[ErasedFrom], contracts: Collection[str], program: str, now: str
) -> dict[str, Any]:
    """Give the receipt; it holds no identifier and no digest."""
    return {
        "erasure": {
            "at": now,
            "program": program,
            "identifiers": erasure.identifiers,
            "contracts": sorted(contracts),
            "dry_run": erasure.dry_run,
            "complete": not any(line.outcome in OPEN | {"waits"} for line in lines),
        },
        "audiences": [{**vars(line), "meaning": MEANINGS[line.outcome]} for line in lines],
        "still_to_do": list(_still_to_do(lines)),
    }


def _still_to_do(lines: Sequence[ErasedFrom]) -> Iterator[str]:
    """Say what nobody does by itself."""
    yield (
        "Delete the person at the source, too: the table that the tap reads, and every other copy. This program keeps"
        " them out of these audiences only while its ledger folder is kept."
    )
    if any(line.outcome == "below_floor" for line in lines):
        yield (
            "Where TikTok would be left with too few: add people, and the next run takes them out; or run the same"
            " erasure with --delete-audience-if-needed, which deletes that whole audience."
        )
    if any(line.outcome == "failed" for line in lines):
        yield "Where it failed: do what the message says, and run the same erasure again."
    if any(line.outcome == "waits" for line in lines):
        yield "Where it waits: go on running the pipeline; the same erasure, run again, then says what was done."
