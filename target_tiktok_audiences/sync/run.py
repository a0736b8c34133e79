"""One run: registers the audiences that streams feed, and syncs each at the end of input."""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.ledger.database import LedgerError, describe, load_database
from target_tiktok_audiences.ledger.metadata import LedgerMetadata
from target_tiktok_audiences.ledger.record_counts import RecordCounts
from target_tiktok_audiences.ledger.staging import Binding, Part
from target_tiktok_audiences.reporting.progress import begin_progress
from target_tiktok_audiences.reporting.rejects import RejectsFile
from target_tiktok_audiences.reporting.report import AudienceReport, RunReport
from target_tiktok_audiences.runtime.errors import LedgerBusy, LedgerUnusable, UserError
from target_tiktok_audiences.runtime.files import PrivateFolder
from target_tiktok_audiences.runtime.signals import signals
from target_tiktok_audiences.sync.guards import check_bookmark
from target_tiktok_audiences.sync.plan import Limits
from target_tiktok_audiences.sync.reconcile import AudienceRun, RunContext, attempt, prove, reconcile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_tiktok_audiences.config.settings import Feed, Settings
    from target_tiktok_audiences.sync.state import AudienceEntry
    from target_tiktok_audiences.tiktok.client import TikTok

log = logging.getLogger(__name__)


class FeedConflict(UserError):
    """Feeds that conflict, or a stream that its load method cannot use."""


class RunFailed(Exception):
    """At least one audience failed; the text is the last line of the log."""


class Run:
    """State of one run beyond its streams.

    While streams are read, `part` returns each feed's staging file; `finish` syncs the audiences. Nothing changes at
    TikTok before `finish`.
    """

    def __init__(self, settings: Settings, tiktok: TikTok, version: str) -> None:
        self.settings = settings
        self.remembered: dict[str, AudienceEntry] = {}
        """The audience entries of STATE; `finish` updates them."""
        self.report = RunReport(version, datetime.now(UTC).isoformat(timespec="seconds"), settings.dry_run)
        self.rejects: RejectsFile | None = None
        self.progress = begin_progress()
        self._started = time.monotonic()
        self._tiktok = tiktok
        self._audiences: dict[str, AudienceRun] = {}
        self._feeds: dict[str, Feed] = {}
        self._parts: dict[tuple[str, Feed], Part] = {}
        self._skipped: dict[tuple[str, Feed | None], RecordCounts] = {}
        self._bookmarks: dict[str, Mapping[str, Any]] = {}
        self._looked = self._finished = False
        if settings.report_path:
            self.report.save(settings.report_path)  # now, so that a wrong path fails early
        try:
            self._folder = PrivateFolder()
            self._ledgers = LedgerCatalog(settings.ledger_path, self._folder.path, dry_run=settings.dry_run)
            if settings.rejects_path:
                self.rejects = RejectsFile(settings.rejects_path, with_key=settings.rejects_key)
        except (OSError, UserError) as error:
            self.close(describe(error), 1)
            raise

    # While streams are read

    def part(self, feed: Feed, name: str, stream: str, keys: Sequence[str]) -> Part:
        """Return the part that a feed stages into; a changed SCHEMA of the stream gets the same one.

        `keys` are the stream's key properties. Raises `UserError`.
        """
        by_key = () if feed.load_method == "append-only" else tuple(keys)
        if (stream, feed) in self._parts:
            part = self._parts[stream, feed]
            if part.binding.keys != by_key:
                raise FeedConflict(
                    f"Stream {stream} has changed its key properties during the run, but `load_method:"
                    f" {feed.load_method}` depends on them. Make the tap send the stream with one key."
                )
            return part
        if feed.load_method == "upsert" and not keys:
            raise FeedConflict(
                f"Stream {stream} has no key properties, but `load_method: upsert` requires them. Set a key in the tap"
                " (table-key-properties in its metadata), or use another load method."
            )
        audience = self._audience(feed, name)
        binding = Binding(
            stream, feed.identifier_field, feed.apply_hashing, feed.default_country, feed.load_method, by_key
        )
        if any((other.binding.stream, other.binding.field) == (stream, binding.field) for other in audience.parts):
            raise FeedConflict(
                f"Two feeds send column `{binding.field}` of stream {stream} to one audience with different settings."
                " Merge them, or give each its own `audience_name`."
            )
        part = Part(binding, self._folder.path / f"part-{len(self._parts)}.csv")
        audience.parts.append(part)
        audience.report.books.append(part.books)
        self._parts[stream, feed] = part
        if not self._looked:
            self._looked = True
            self._look_ahead()
        return part

    def _look_ahead(self) -> None:
        """Fail fast: raise if TikTok rejects the token or every advertiser, before any record is read.

        If TikTok rejects only some advertisers, log that now and continue with the others.
        """
        advertiser_ids = {feed.advertiser_id for feed in self.settings.feeds}
        refusals = {each: refusal for each in sorted(advertiser_ids) if (refusal := self._tiktok.refusal(each))}
        for refusal in refusals.values():
            if len(refusals) == len(advertiser_ids):
                raise refusal
        for advertiser_id, refusal in refusals.items():
            log.error("Advertiser %s will fail; continuing with the others: %s", advertiser_id, refusal)

    def skip(self, stream: str, feed: Feed | None) -> RecordCounts:
        """Return the record counts of a stream that does not fit a feed, or that no feed names."""
        if (stream, feed) not in self._skipped:
            self._skipped[stream, feed] = RecordCounts(stream)
            self.report.unmatched.append(self._skipped[stream, feed])
        return self._skipped[stream, feed]

    def count_rejected(self) -> int:
        """Return the number of records rejected so far."""
        return sum(part.books.rejected.total() for part in self._parts.values())

    def begin(self, stream: str, bookmark: Mapping[str, Any]) -> None:
        """Record a stream's bookmark before its first record: it shows whether the tap sends the whole table."""
        self._bookmarks.setdefault(stream, bookmark)

    def remember(self, audiences: Mapping[str, AudienceEntry]) -> None:
        """Merge audience entries from STATE; earlier entries take precedence."""
        self.remembered = {**audiences, **self.remembered}

    def _audience(self, feed: Feed, name: str) -> AudienceRun:
        card = LedgerMetadata(
            api_host=self.settings.api_host,
            advertiser_id=feed.advertiser_id,
            contract=feed.contract.name,
            name=name,
            audience_id=feed.audience_id,
            pinned=feed.audience_id is not None,
            load_method=feed.load_method,
            retention_in_days=feed.retention_in_days,
        )
        key = _key(card)
        if key in self._audiences:
            self._check_alike(feed, self._feeds[key], name)
            return self._audiences[key]
        if feed.load_method == "upsert" and not self._ledgers.lasts:
            raise FeedConflict(
                "`load_method: upsert` needs a ledger to remove members, but `ledger_path: :memory:` keeps none. Set"
                " `ledger_path` to a durable folder, or use append-only or overwrite."
            )
        self._feeds[key] = feed
        return self._open(key, card, feed.max_removal_percent)

    def _open(self, key: str, card: LedgerMetadata, max_removal_percent: int) -> AudienceRun:
        report = AudienceReport(card.name, card.advertiser_id, card.contract, card.load_method, card.audience_id)
        with signals.held():
            load_database()
        try:
            opened, unusable = self._ledgers.open(card), None
        except LedgerUnusable as problem:  # the other audiences go on
            log.error("%s: %s", report.title, problem)  # noqa: TRY400
            opened, unusable = LedgerCatalog(None, self._folder.path).open(card), problem
        if opened.warning:
            log.warning("%s: %s", report.title, opened.warning)
            report.warn(opened.warning)
        audience = AudienceRun(opened, card.load_method, max_removal_percent, report, unusable=unusable)
        self._audiences[key] = audience
        self.report.audiences.append(report)
        return audience

    @staticmethod
    def _check_alike(feed: Feed, first: Feed, name: str) -> None:
        for setting in ("contract", "load_method", "retention_in_days"):
            ours, theirs = (getattr(each, setting) for each in (feed, first))
            if ours != theirs:
                raise FeedConflict(
                    f'Two feeds of audience "{name}" (advertiser {feed.advertiser_id}) differ in `{setting}`:'
                    f" {getattr(theirs, 'name', theirs)} and {getattr(ours, 'name', ours)}. Give each its own"
                    " `audience_name`."
                )

    # At the end of input

    def check_credentials(self) -> None:
        """Check, without a change, that the token can read the audiences of each advertiser. Raises `TikTokError`."""
        self._tiktok.user()
        for advertiser_id in sorted({feed.advertiser_id for feed in self.settings.feeds}):
            self._tiktok.advertisers([advertiser_id])
            next(self._tiktok.audiences(advertiser_id), None)

    def finish(self, bookmark_of: Callable[[str], Mapping[str, Any]]) -> None:
        """Sync every audience independently; raise `RunFailed` at the end if one failed."""
        for stream, _ in self._parts:
            self.begin(stream, bookmark_of(stream))
        if self.rejects:
            self.rejects.close()  # before anything is sent, for it may fail
        self._open_owed()
        limits = Limits(
            self.settings.min_audience_size, self.settings.max_reject_percent, self.settings.batch_size_rows
        )
        around = RunContext(self._tiktok, limits, self._folder.path, self.settings.dry_run, self.progress)
        for key, audience in self._audiences.items():
            self._bring_up_to_date(key, audience, around)
        self._finished = True
        self.progress.close()  # STATE may go to the same terminal
        failed = [audience for audience in self.report.audiences if audience.outcome == "failed"]
        if failed:
            told = " ".join(f"{audience.title}: {audience.message}" for audience in failed)
            count = f"{len(failed)} of {len(self._audiences)} audiences failed. " if len(self._audiences) > 1 else ""
            raise RunFailed(count + told)

    def _open_owed(self) -> None:
        """Open ledgers with pending changes that no stream of this run feeds."""
        host = self.settings.api_host
        ours = {feed.advertiser_id for feed in self.settings.feeds}
        limit = min(feed.max_removal_percent for feed in self.settings.feeds)
        for _, card in self._ledgers.cards():
            opened = [audience.opened.card for audience in self._audiences.values()]
            theirs = card.api_host != host or card.advertiser_id not in ours
            if not theirs and self._ledgers.owes(card) and not any(map(card.is_of, opened)):
                try:
                    self._open(_key(card), card, limit)
                except LedgerBusy:
                    continue  # another run is at it

    def _bring_up_to_date(self, key: str, audience: AudienceRun, around: RunContext) -> None:
        audience.remembered = self.remembered.get(key)
        attempt(audience, self._tiktok, partial(self._check_and_reconcile, key, audience, around))
        if audience.remembered:
            self.remembered[key] = audience.remembered
        audience.report.log()

    def _check_and_reconcile(self, key: str, audience: AudienceRun, around: RunContext) -> None:
        if audience.unusable:
            raise audience.unusable
        prove(audience, lasts=self._ledgers.lasts)
        known = {bound.stream for bound, _, _ in audience.opened.ledger.parts()}
        for stream in {part.binding.stream for part in audience.parts}:
            check_bookmark(stream, audience.load_method, self._bookmarks[stream], known)
        self._check_moved(key, audience)
        reconcile(audience, around)

    def _check_moved(self, key: str, audience: AudienceRun) -> None:
        """Raise `FeedConflict` if a stream moved here from another audience, where its members would remain.

        STATE names the audience that the stream filled before; its ledger metadata shows that it was not forgotten.
        """
        known = {bound.stream for bound, _, _ in audience.opened.ledger.parts()}
        cards = {_key(card): card for _, card in self._ledgers.cards()}
        for stream in {part.binding.stream for part in audience.parts} - known:
            for left, remembered in self.remembered.items():
                fed = left in self._audiences and any(p.binding.stream == stream for p in self._audiences[left].parts)
                if left == key or fed or stream not in remembered.parts or left not in cards:
                    continue
                if stream in cards[left].streams:
                    raise FeedConflict(
                        f'Stream {stream} filled audience "{cards[left].name}" (advertiser {cards[left].advertiser_id})'
                        f" until now; its members would remain there. Revert the setting, or remove them first with"
                        f' `forget {stream} --audience "{cards[left].name}"`.'
                    )

    @property
    def settled(self) -> bool:
        """Whether everything received is with TikTok or in a durable ledger, so that STATE can be emitted."""
        settled = all(audience.settled for audience in self._audiences.values() if audience.parts)
        return self._finished and not self.settings.dry_run and settled

    def close(self, message: str, exit_code: int) -> None:
        """Close ledgers and connections, delete staged files and write the final report.

        A failing step does not prevent the others. Raises `RunFailed` for it if the run succeeded so far.
        """
        self.progress.close()
        failures = [failure for let_go in self._held() if (failure := _failure_of(let_go))]
        failed = exit_code or failures
        held = any(audience.outcome == "held" for audience in self.report.audiences)
        self.report.outcome = "failed" if failed else "held" if held else "ok"
        self.report.exit_code = exit_code or int(bool(failures))
        self.report.message = message or " ".join(failures)
        self.report.seconds = round(time.monotonic() - self._started, 3)
        if (path := self.settings.report_path) and (failure := _failure_of(partial(self.report.save, path))):
            failures.append(failure)
        if self.report.audiences and sys.stderr and sys.stderr.isatty():
            from target_tiktok_audiences.reporting.summary_table import show  # noqa: PLC0415 - rich takes long to load

            show(self.report)
        if failures and not exit_code:
            raise RunFailed(f"{' '.join(failures)} The sync itself succeeded.")
        for failure in failures:
            log.error("%s", failure)

    def _held(self) -> Iterator[Callable[[], object]]:
        """Give what lets go of each thing that the run holds."""
        if self.rejects:
            yield self.rejects.close
        for part in self._parts.values():
            yield part.close
        for audience in self._audiences.values():
            yield audience.opened.close
        if folder := getattr(self, "_folder", None):
            yield folder.close
        yield self._tiktok.close


def _failure_of(action: Callable[[], object]) -> str:
    """Do something, and give what went wrong with it, if anything."""
    try:
        action()
    except (LedgerError, OSError, UserError) as error:
        return describe(error)
    return ""


def _key(card: LedgerMetadata) -> str:
    """Name an audience for STATE: by the id that was set, else by its name."""
    return f"{card.advertiser_id}#{card.audience_id}" if card.pinned else f"{card.advertiser_id}/{card.name}"
