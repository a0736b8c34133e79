"""The end of input: for each audience resolve, confirm, plan, deliver, report."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from rich.console import Console

from target_tiktok_audiences.delivery import Delivery, Destination, deliver
from target_tiktok_audiences.membership import (
    BYTES_PER_LINE,
    Books,
    BooksDoNotBalance,
    Do,
    Limits,
    PrivateFolder,
    Staging,
    make_plan,
)
from target_tiktok_audiences.report import AudienceReport, RejectsFile, RunReport
from target_tiktok_audiences.resolve import Resolved, Unresolved, find_by_name, resolve
from target_tiktok_audiences.state import RememberedAudience
from target_tiktok_audiences.tiktok import NotEditable, TikTokError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_tiktok_audiences.membership import Part, Plan
    from target_tiktok_audiences.settings import Feed, Settings
    from target_tiktok_audiences.tiktok import TikTok


class FeedConflict(Exception):
    """Two feeds that cannot share their audience."""


class RunFailed(Exception):
    """At least one audience failed; the text is the last line that the user reads."""


@dataclass
class AudienceRun:
    """One audience of this run: its (first) feed, and what the streams brought for it."""

    feed: Feed
    name: str
    key: str
    """What identifies it before its id is known, and in STATE."""
    staging: Staging
    report: AudienceReport


class Run:
    """Everything of one run that outlives its streams.

    While they are read, `part` gives each feed its place to stage; `finish` does the rest. Nothing reaches TikTok
    before `finish`.
    """

    def __init__(self, settings: Settings, tiktok: TikTok, version: str) -> None:
        self.settings = settings
        self.remembered: dict[str, RememberedAudience] = {}
        """The audiences as STATE gave them; `finish` brings them up to date."""
        self.report = RunReport(version, datetime.now(timezone.utc).isoformat(timespec="seconds"), settings.dry_run)
        self.rejects = (
            RejectsFile(settings.rejects_path, with_key=settings.rejects_key) if settings.rejects_path else None
        )
        self._started = time.monotonic()
        self._tiktok = tiktok
        self._folder = PrivateFolder()
        self._audiences: dict[str, AudienceRun] = {}
        self._parts: dict[tuple[str, Feed], Part] = {}
        self._owners: dict[str, str] = {}

    def part(self, feed: Feed, name: str, stream: str) -> Part:
        """Give the place where a feed stages; the same one again when the stream's SCHEMA comes again, changed.

        Raises `FeedConflict`.
        """
        if (stream, feed) not in self._parts:
            audience = self._audience(feed, name)
            self._parts[stream, feed] = part = audience.staging.part(stream)
            audience.report.books.append(part.books)
        return self._parts[stream, feed]

    def _audience(self, feed: Feed, name: str) -> AudienceRun:
        key = f"{feed.advertiser_id}/{f'#{feed.audience_id}' if feed.audience_id else name}"
        if key not in self._audiences:
            staging = Staging(self._folder.path / f"audience-{len(self._audiences)}")
            report = AudienceReport(name, feed.advertiser_id, feed.contract.name, feed.load_method, feed.audience_id)
            self._audiences[key] = AudienceRun(feed, name, key, staging, report)
            self.report.audiences.append(report)
        first = self._audiences[key].feed
        for setting in ("contract", "load_method", "retention_in_days"):
            ours, theirs = (getattr(each, setting) for each in (feed, first))
            if ours != theirs:
                raise FeedConflict(
                    f'Two feeds of audience "{name}" (advertiser {feed.advertiser_id}) differ in `{setting}`:'
                    f" {getattr(theirs, 'name', theirs)} and {getattr(ours, 'name', ours)}. Give each its own"
                    " `audience_name`."
                )
        return self._audiences[key]

    def skip(self, stream: str) -> Books:
        """Give the books of a stream that feeds nothing."""
        books = Books(stream)
        self.report.unmatched.append(books)
        return books

    def remember(self, audiences: Mapping[str, RememberedAudience]) -> None:
        """Take what a STATE says of audiences; what an earlier one said stays."""
        self.remembered = {**audiences, **self.remembered}

    def check_credentials(self) -> None:
        """Prove, without a change, that the token may read the audiences of each advertiser. Raises `TikTokError`."""
        self._tiktok.user()
        for advertiser_id in sorted({feed.advertiser_id for feed in self.settings.feeds}):
            self._tiktok.advertisers([advertiser_id])
            next(self._tiktok.audiences(advertiser_id), None)

    def finish(self) -> None:
        """Bring every audience up to date, each by itself; raises `RunFailed` at the end if one failed."""
        for audience in self._audiences.values():
            calls_before = len(self._tiktok.calls)
            try:
                self._bring_up_to_date(audience)
            except (BooksDoNotBalance, OSError, TikTokError, Unresolved) as error:
                audience.report.outcome, audience.report.message = "failed", str(error)
            calls = self._tiktok.calls[calls_before:]
            audience.report.calls = len(calls)
            audience.report.request_ids = [call.request_id for call in calls if call.changes and call.request_id]
            audience.report.log()
        failed = [audience for audience in self.report.audiences if audience.outcome == "failed"]
        if failed:
            told = " ".join(f"{audience.title}: {audience.message}" for audience in failed)
            count = f"{len(failed)} of {len(self._audiences)} audiences failed. " if len(self._audiences) > 1 else ""
            raise RunFailed(count + told)

    @property
    def settled(self) -> bool:
        """Whether everything received is with TikTok, so that the tap's STATE may go out."""
        return not self.settings.dry_run and all(audience.outcome == "ok" for audience in self.report.audiences)

    def close(self, message: str, exit_code: int) -> None:
        """Report how the run ended, remove what was staged, and let the connections go."""
        held = any(audience.outcome == "held" for audience in self.report.audiences)
        self.report.outcome = "failed" if exit_code else "held" if held else "ok"
        self.report.exit_code, self.report.message = exit_code, message
        self.report.seconds = round(time.monotonic() - self._started, 3)
        try:
            if self.rejects:
                self.rejects.close()
            if self.settings.report_path:
                self.report.save(self.settings.report_path)
            if self.report.audiences and sys.stderr.isatty():
                self.report.show(Console(stderr=True))
        finally:
            for audience in self._audiences.values():
                audience.staging.close()
            self._folder.close()
            self._tiktok.close()

    def _bring_up_to_date(self, audience: AudienceRun) -> None:
        report, settings = audience.report, self.settings
        report.desired = audience.staging.settle()
        found = resolve(self._tiktok, audience.feed, audience.name, self.remembered.get(audience.key))
        report.audience_id, report.origin = found.audience_id, found.origin
        if found.audience_id and self._owners.setdefault(found.audience_id, audience.key) != audience.key:
            raise Unresolved(
                f"Two feeds reach audience {found.audience_id}, one of them by its name. Set `audience_id` in both."
            )
        if found.audience_id:
            report.cover_num = found.standing.size
            report.is_valid = found.standing.status.value == "ready"
        self._confirm(audience, found)
        limits = Limits(settings.min_audience_size, settings.max_reject_percent, settings.batch_size_rows)
        plan = make_plan(report.desired, found.standing, report.books, limits)
        report.plan, report.reason, report.message = plan.do.value, plan.reason, plan.message
        if plan.do is Do.FAIL:
            return
        if plan.do is Do.HOLD:
            report.outcome = "held"
        elif settings.dry_run:
            report.outcome = "planned"
            report.files = plan.files
        elif plan.do is Do.NOTHING:
            report.outcome = "ok"
            self.remembered.setdefault(audience.key, RememberedAudience(str(found.audience_id), found.origin))
        else:
            self._deliver(audience, plan, found)

    def _confirm(self, audience: AudienceRun, found: Resolved) -> None:
        """Say so where TikTok has failed a change of ours since the last run."""
        remembered = self.remembered.get(audience.key)
        if remembered and found.error and found.error != remembered.error:
            audience.report.warning = (
                f"TikTok says that an earlier change failed: {found.error.rstrip('.')}. Run once with the whole table"
                " (`--full-refresh`) to send those people again."
            )

    def _deliver(self, audience: AudienceRun, plan: Plan, found: Resolved) -> None:
        feed, report = audience.feed, audience.report
        destination = Destination(
            feed.advertiser_id, found.audience_id, audience.name, feed.contract.name, feed.retention_in_days
        )
        try:
            delivery = deliver(plan, destination, audience.staging, self._tiktok)
        except NotEditable as refused:
            report.plan, report.reason, report.outcome, report.message = (
                Do.HOLD.value,
                "processing",
                "held",
                str(refused),
            )
            return
        except TikTokError as error:
            if plan.do is not Do.CREATE or error.certain:
                raise
            delivery = self._find_lost_creation(audience, plan, error)
        report.outcome, report.audience_id = "ok", delivery.audience_id
        report.sent, report.files, report.bytes = delivery.rows, delivery.files, delivery.bytes
        self._remember(audience, found, delivery.audience_id)

    def _find_lost_creation(self, audience: AudienceRun, plan: Plan, error: TikTokError) -> Delivery:
        """Look whether a creation took effect whose answer was lost; it is never sent twice in one run.

        There was no audience of this name a moment ago, so one that is there now is ours.
        """
        made = find_by_name(self._tiktok, audience.feed.advertiser_id, audience.name)
        if made is None:
            raise Unresolved(
                f"{error} Whether the audience was created is unknown, and none of its name is listed yet. The next"
                " run looks for it before it creates one."
            )
        return Delivery(made.audience_id, plan.rows, plan.files, plan.rows * BYTES_PER_LINE)

    def _remember(self, audience: AudienceRun, found: Resolved, audience_id: str) -> None:
        self.remembered[audience.key] = RememberedAudience(
            audience_id, found.origin, self._tiktok.now.replace(microsecond=0), found.error
        )
