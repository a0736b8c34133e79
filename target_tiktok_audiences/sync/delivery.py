"""Carry out one plan: files, uploads, one call."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from target_tiktok_audiences.ledger.database import LedgerError, describe
from target_tiktok_audiences.ledger.record_counts import CountsDoNotBalance
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.signals import signals
from target_tiktok_audiences.tiktok.errors import FileLost, TikTokError
from target_tiktok_audiences.tiktok.models import CalculateType, UpdateAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tiktok_audiences.ledger.ledger import Ledger
    from target_tiktok_audiences.ledger.session import LedgerSession
    from target_tiktok_audiences.reporting.progress import Progress
    from target_tiktok_audiences.sync.plan import Plan
    from target_tiktok_audiences.tiktok.client import TikTok

log = logging.getLogger(__name__)


class CreationLost(UserError):
    """A creation without an answer; a run never sends it twice."""

    def __init__(self, error: TikTokError, change: int, rows: int, files: int) -> None:
        super().__init__(
            f"{error} Whether the audience was created is unknown; the next run looks for it before it creates one."
        )
        self.change = change
        self.rows = rows
        self.files = files


@dataclass(frozen=True)
class Delivery:
    """What TikTok accepted."""

    audience_id: str
    rows: int
    files: int


@dataclass(frozen=True)
class UploadFile:
    """A file to upload, and the MD5 of it, in hex: equal rows make equal files."""

    path: Path
    md5: str


def deliver(
    plan: Plan, audience_id: str | None, opened: LedgerSession, folder: Path, tiktok: TikTok, progress: Progress
) -> Delivery:
    """Write the files of a plan, upload them, note the intent, make the one call, note what came of it.

    Raises `TikTokError`; the ledger then holds what is sure: nothing was done, or it is not known.
    """
    rows = opened.ledger.call_rows(plan.do.value)
    with TemporaryDirectory(dir=folder) as temporary:
        files = write_files(plan, opened.ledger, Path(temporary))
        try:
            changed = _change(plan, audience_id, _upload(files, opened, tiktok, progress), opened, tiktok)
        except FileLost as lost:
            log.warning("%s Uploading them again.", lost.summary)
            changed = _change(plan, audience_id, _upload(files, opened, tiktok, progress), opened, tiktok)
    return Delivery(changed, rows, len(files))


def delete(opened: LedgerSession, audience_id: str | None, tiktok: TikTok) -> None:
    """Delete an audience. A kill before the ledger knows does no harm: the next run finds the audience gone."""
    signals.check()
    opened.reserve()
    tiktok.delete(opened.card.advertiser_id, audience_id or "")
    opened.ledger.clear_audience()
    opened.card.audience_id, opened.card.pinned = None, False


def _upload(files: Sequence[UploadFile], opened: LedgerSession, tiktok: TikTok, progress: Progress) -> list[str]:
    """Upload files, but for those that an interrupted run has uploaded; give TikTok's path of each."""
    card, ledger = opened.card, opened.ledger
    there = ledger.uploads(tiktok.now)
    known = sum(file.md5 in there for file in files)
    if known:
        log.info('Audience "%s": %d of %d files are with TikTok already', card.name, known, len(files))
    paths = []
    for number, file in enumerate(files, 1):
        path = there.get(file.md5)
        if path is None:
            size = file.path.stat().st_size
            log.info('Audience "%s": uploading file %d of %d (%s bytes)', card.name, number, len(files), f"{size:,}")
            sent = progress.upload(card.name, number, len(files))
            path = tiktok.upload(card.advertiser_id, file.path, file.md5, CalculateType(card.contract), sent)
            ledger.uploaded(file.md5, path, tiktok.now)
        paths.append(path)
    return paths


def _change(plan: Plan, audience_id: str | None, paths: Sequence[str], opened: LedgerSession, tiktok: TikTok) -> str:
    """Make the one call, between its intent and its outcome; give the audience's id."""
    card, ledger, action = opened.card, opened.ledger, plan.do.value
    signals.check()
    change = ledger.intend(action, tiktok.now)
    try:
        opened.reserve()
    except (LedgerError, UserError):
        ledger.refused(change)
        raise
    try:
        signals.check()
        if audience_id is None:
            kind = CalculateType(card.contract)
            audience_id = tiktok.create(card.advertiser_id, card.name, paths, kind, card.retention_in_days)
        else:
            tiktok.update(card.advertiser_id, audience_id, paths, UpdateAction(action))
    except TikTokError as error:
        if error.safe_to_retry:
            ledger.refused(change)
            raise
        if audience_id is None:
            raise CreationLost(error, change, plan.rows, plan.files) from None
        ledger.lost(change)
        raise
    ledger.accepted(change, action, audience_id, tiktok.now)
    return audience_id


def write_files(plan: Plan, ledger: Ledger, folder: Path) -> list[UploadFile]:
    """Write the rows of the call into files of the plan's size: one digest a line, no header, sorted."""
    files: list[UploadFile] = []
    written = 0
    for number in range(plan.files):
        path = folder / f"upload-{number + 1}.csv"
        try:
            written += ledger.write_lines(number * plan.rows_per_file, plan.rows_per_file, path)
            files.append(UploadFile(path, _md5(path)))
        except (LedgerError, OSError) as error:
            raise UserError(
                f"The files to upload cannot be written in {folder.parent}: {describe(error)} Or set TMPDIR to another"
                " folder. Nothing was sent."
            ) from None
    if written != plan.rows:
        raise CountsDoNotBalance(
            f"{plan.rows:,} rows were planned, and {written:,} written to {plan.files} files. Nothing was sent. This is"
            " an internal error; please report this line."
        )
    return files


def _md5(file: Path) -> str:
    signature = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as lines:
        while block := lines.read(1 << 20):
            signature.update(block)
    return signature.hexdigest()
