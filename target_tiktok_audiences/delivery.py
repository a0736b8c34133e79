"""Carries out one plan: files, uploads, one call."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from target_tiktok_audiences.membership import BooksDoNotBalance, Problem
from target_tiktok_audiences.tiktok import Action, CalculateType, TikTokError

if TYPE_CHECKING:
    from target_tiktok_audiences.membership import Ledger, OpenLedger, Plan
    from target_tiktok_audiences.tiktok import TikTok

log = logging.getLogger(__name__)


class CreationLost(Problem):
    """A creation whose answer never came; it is never sent twice in one run."""

    def __init__(self, error: TikTokError, change: int, rows: int, files: int) -> None:
        super().__init__(
            f"{error} Whether the audience was created is not known, and none of its name is listed yet. The next run"
            " looks for it before it creates one."
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


def deliver(plan: Plan, audience_id: str | None, opened: OpenLedger, folder: Path, tiktok: TikTok) -> Delivery:
    """Write the files of a plan, upload them, note the intent, make the one call, note what came of it.

    Raises `TikTokError`; the ledger then holds what is sure: nothing was done, or it is not known.
    """
    card, ledger, action = opened.card, opened.ledger, plan.do.value
    kind = CalculateType(card.contract)
    paths = []
    rows = ledger.call_rows(action)
    with TemporaryDirectory(dir=folder) as temporary:
        files = write_files(plan, ledger, Path(temporary))
        for number, file in enumerate(files, 1):
            log.info('Audience "%s": uploading file %d of %d', card.name, number, len(files))
            paths.append(tiktok.upload(card.advertiser_id, file, kind))
    change = ledger.intend(action, tiktok.now)
    try:
        if audience_id is None:
            audience_id = tiktok.create(card.advertiser_id, card.name, paths, kind, card.retention_in_days)
        else:
            tiktok.update(card.advertiser_id, audience_id, paths, Action(action))
    except TikTokError as error:
        if error.certain:
            ledger.refused(change)
            raise
        if audience_id is None:
            raise CreationLost(error, change, rows, len(files)) from None
        ledger.lost(change)
        raise
    ledger.accepted(change, action, audience_id, tiktok.now)
    return Delivery(audience_id, rows, len(files))


def write_files(plan: Plan, ledger: Ledger, folder: Path) -> list[Path]:
    """Write the rows of the call into files of the plan's size: one digest a line, no header, sorted."""
    files: list[Path] = []
    written = 0
    for block in ledger.sorted_lines(plan.rows_per_file):
        if written % plan.rows_per_file == 0:
            files.append(folder / f"upload-{len(files) + 1}.csv")
        with files[-1].open("ab") as lines:
            lines.write(block)
        written += block.count(b"\n")
    if written != plan.rows or len(files) != plan.files:
        raise BooksDoNotBalance(
            f"{plan.rows:,} rows in {plan.files} files were planned, and {written:,} in {len(files)} written. Nothing"
            " was sent. This is a fault of the target; please report it with this line."
        )
    return files
