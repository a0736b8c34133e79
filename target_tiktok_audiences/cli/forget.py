"""`forget`: drop what a stream has put into ledgers."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from target_tiktok_audiences.cli.options import offline_config_option
from target_tiktok_audiences.cli.output import clear_errors, fail
from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.files import PrivateFolder
from target_tiktok_audiences.runtime.sanitize import one_line
from target_tiktok_audiences.runtime.signals import signals

if TYPE_CHECKING:
    from target_tiktok_audiences.config.settings import Settings
    from target_tiktok_audiences.ledger.metadata import LedgerMetadata


NO_LIMIT = 100
TIKTOKS_FLOOR = 1000


@click.command()
@click.argument("stream")
@click.option("--audience", help="Only in this audience, by name or id; else in every one that the stream has filled.")
@click.option("--force", is_flag=True, help="However many leave.")
@offline_config_option
def forget(stream: str, audience: str | None, settings: Settings, *, force: bool) -> None:
    """Drop the part that STREAM has in its audiences, and what it is bound to.

    Whom no other stream has brought leaves with the next run. No more than `max_removal_percent` may leave, unless
    forced.
    """
    if settings.dry_run:
        fail("`dry_run` is set, and this would change something.")
    with clear_errors(), closing(PrivateFolder()) as folder:
        ledgers = LedgerCatalog(settings.ledger_path, folder.path)
        known = [card for _, card in ledgers.cards() if _is_meant(card, stream, audience, settings)]
        for card in known:
            signals.check()
            limit = NO_LIMIT if force else min(feed.max_removal_percent for feed in settings.feeds)
            click.echo(one_line(_forget(ledgers, card, stream, limit)))
    if not known:
        fail(f"no ledger in {ledgers.name} has a part of stream {stream}.")


def _is_meant(card: LedgerMetadata, stream: str, audience: str | None, settings: Settings) -> bool:
    here = card.api_host == settings.api_host
    return here and stream in card.streams and audience in {None, card.name, card.audience_id}


def _forget(ledgers: LedgerCatalog, card: LedgerMetadata, stream: str, limit: int) -> str:
    opened = ledgers.open(card)
    if opened.warning:
        click.echo(opened.warning, err=True)
    try:
        with opened.ledger.forgetting(stream) as revision:
            leave, before = revision.total.gone, revision.total.before or 0
            if opened.card.audience_id and leave * 100 > before * limit:
                raise UserError(
                    f'{leave:,} of {before:,} people would leave audience "{card.name}", more than the {limit} % of'
                    " `max_removal_percent`. Nothing was changed. If that is right, add --force."
                )
        opened.card.streams = tuple(name for name in opened.card.streams if name != stream)
        opened.card.owed = bool(opened.card.audience_id or opened.card.streams)
        opened.save()
    finally:
        opened.close()
    few = opened.card.audience_id and revision.total.after < TIKTOKS_FLOOR
    return (
        f'Stream {stream} is forgotten in audience "{card.name}" ({card.audience_id or "not created"}, advertiser'
        f" {card.advertiser_id}): {leave:,} people leave with the next run, {revision.total.after:,} stay."
        + (" TikTok refuses fewer than 1,000: delete the audience there, if nobody is to stay." if few else "")
    )
