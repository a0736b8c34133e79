"""What commands that only look need to know: TikTok's lists, and the ledgers."""

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
    """Look at the ledgers of some advertisers, with their newest `runs`."""
    if settings.ledger_path:
        with signals.held():
            load_database()
    looks = read_snapshots(
        settings.ledger_path,
        temporary,
        lambda card: card.api_host == settings.api_host and card.advertiser_id in advertiser_ids,
        runs=runs,
    )
    signals.check()  # an error may be all that a ledger's database has made of a signal
    return looks


def advertisers_by_name(settings: Settings, temporary: Path) -> dict[str, set[str]]:
    """Give, for each name of an audience, the advertisers for whom there is a ledger of it."""
    found: dict[str, set[str]] = {}
    for _, card in LedgerCatalog(settings.ledger_path, temporary, dry_run=True).cards():
        if card.api_host == settings.api_host:
            found.setdefault(card.name, set()).add(card.advertiser_id)
    return found


def list_audiences(tiktok: TikTok, advertiser_id: str) -> tuple[list[Audience] | None, TikTokError | None]:
    """Give all audiences of an advertiser, or why there are none to give."""
    try:
        return list(tiktok.audiences(advertiser_id)), None
    except TikTokError as error:
        return None, error
