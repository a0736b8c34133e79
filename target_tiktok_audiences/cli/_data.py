"""Load read-only data for commands: TikTok audiences and ledger snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.ledger.database import load_database
from target_tiktok_audiences.ledger.snapshot import read_snapshots
from target_tiktok_audiences.runtime.signals import signals
from target_tiktok_audiences.tiktok.errors import TikTokError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from target_tiktok_audiences.config.settings import Settings
    from target_tiktok_audiences.ledger.snapshot import LedgerSnapshot
    from target_tiktok_audiences.tiktok.client import TikTok
    from target_tiktok_audiences.tiktok.models import Audience


def snapshots_of(
    settings: Settings, advertiser_ids: Collection[str], temporary: Path, *, runs: int = 0
) -> list[LedgerSnapshot]:
    """Return snapshots of the advertisers' ledgers, each with its newest `runs` journal entries."""
    if settings.ledger_path:
        with signals.held():
            load_database()
    snapshots = read_snapshots(
        settings.ledger_path,
        temporary,
        lambda metadata: metadata.api_host == settings.api_host and metadata.advertiser_id in advertiser_ids,
        runs=runs,
    )
    signals.check()  # the database may have reported a signal as an error
    return snapshots


def advertisers_by_name(settings: Settings, temporary: Path) -> dict[str, set[str]]:
    """Return the IDs of the advertisers that have a ledger, by audience name."""
    advertiser_ids_by_name: dict[str, set[str]] = {}
    for _, metadata in LedgerCatalog(settings.ledger_path, temporary, dry_run=True).cards():
        if metadata.api_host == settings.api_host:
            advertiser_ids_by_name.setdefault(metadata.name, set()).add(metadata.advertiser_id)
    return advertiser_ids_by_name


def list_audiences(tiktok: TikTok, advertiser_id: str) -> tuple[list[Audience] | None, TikTokError | None]:
    """Return all audiences of an advertiser, or the error that TikTok returned."""
    try:
        return list(tiktok.audiences(advertiser_id)), None
    except TikTokError as error:
        return None, error
