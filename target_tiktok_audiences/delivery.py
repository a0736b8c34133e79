"""Carries out one plan: files, uploads, one call."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from target_tiktok_audiences.membership import BYTES_PER_LINE, BooksDoNotBalance, Do
from target_tiktok_audiences.tiktok import Action, CalculateType

if TYPE_CHECKING:
    from target_tiktok_audiences.membership import Plan, Staging
    from target_tiktok_audiences.tiktok import TikTok

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Destination:
    """The audience that a plan is about; `audience_id` is None while it does not exist."""

    advertiser_id: str
    audience_id: str | None
    name: str
    contract: str
    retention_in_days: int | None


@dataclass(frozen=True)
class Delivery:
    """What TikTok accepted."""

    audience_id: str
    rows: int
    files: int
    bytes: int


def deliver(plan: Plan, destination: Destination, staging: Staging, tiktok: TikTok) -> Delivery:
    """Write the files of a plan, upload them, and make its one call. Raises `TikTokError`."""
    kind = CalculateType(destination.contract)
    paths = []
    with TemporaryDirectory(dir=staging.folder) as folder:
        files = write_files(plan, staging, Path(folder))
        for number, file in enumerate(files, 1):
            log.info('Audience "%s": uploading file %d of %d', destination.name, number, len(files))
            paths.append(tiktok.upload(destination.advertiser_id, file, kind))
    if plan.do is Do.CREATE or destination.audience_id is None:
        audience_id = tiktok.create(
            destination.advertiser_id, destination.name, paths, kind, destination.retention_in_days
        )
    else:
        audience_id = destination.audience_id
        tiktok.update(destination.advertiser_id, audience_id, paths, Action(plan.do.value))
    return Delivery(audience_id, plan.rows, len(files), plan.rows * BYTES_PER_LINE)


def write_files(plan: Plan, staging: Staging, folder: Path) -> list[Path]:
    """Write the plan's rows into files of its size: one digest a line, no header, sorted."""
    files: list[Path] = []
    written = 0
    for block in staging.sorted_lines(plan.rows_per_file):
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
