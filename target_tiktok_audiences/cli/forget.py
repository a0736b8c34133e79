"""`forget`: delete a stream's contribution to ledgers."""

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
from target_tiktok_audiences.sync.guards import NO_LIMIT

if TYPE_CHECKING:
    from target_tiktok_audiences.config.settings import Settings
    from target_tiktok_audiences.ledger.metadata import LedgerMetadata

MINIMUM_SIZE = 1000


@click.command()
@click.argument("stream")
@click.option("--audience", help="Name or ID of one audience. Default: every audience that the stream has filled.")
@click.option("--force", is_flag=True, help="Ignore `max_removal_percent`.")
@offline_config_option
def forget(stream: str, audience: str | None, settings: Settings, *, force: bool) -> None:
    """Delete the contribution of STREAM to its audiences, and its recorded stream settings.

    Members that no other stream provides are removed by the next run. Removals are limited by `max_removal_percent`,
    unless --force is set.
    """
    if settings.dry_run:
        fail("`dry_run` is set, but this command makes changes. Unset it, and run the command again.")
    with clear_errors(), closing(PrivateFolder()) as folder:
        ledgers = LedgerCatalog(settings.ledger_path, folder.path)
        affected = [metadata for _, metadata in ledgers.cards() if _is_meant(metadata, stream, audience, settings)]
        for metadata in affected:
            signals.check()
            limit = NO_LIMIT if force else min(feed.max_removal_percent for feed in settings.feeds)
            click.echo(one_line(_forget(ledgers, metadata, stream, limit)))
    if not affected:
        fail(f"no ledger in {ledgers.name} contains stream {stream}. Check the stream name and `ledger_path`.")


def _is_meant(metadata: LedgerMetadata, stream: str, audience: str | None, settings: Settings) -> bool:
    here = metadata.api_host == settings.api_host
    return here and stream in metadata.streams and audience in {None, metadata.name, metadata.audience_id}


def _forget(ledgers: LedgerCatalog, metadata: LedgerMetadata, stream: str, limit: int) -> str:
    session = ledgers.open(metadata)
    if session.warning:
        click.echo(session.warning, err=True)
    try:
        with session.ledger.forgetting(stream) as revision:
            leave, before = revision.total.gone, revision.total.before or 0
            if session.card.audience_id and leave * 100 > before * limit:
                raise UserError(
                    f'{leave:,} of {before:,} members would be removed from audience "{metadata.name}", more than the'
                    f" {limit} % of `max_removal_percent`. Nothing was changed. If this is intended, add --force."
                )
        session.card.streams = tuple(name for name in session.card.streams if name != stream)
        session.card.owed = bool(session.card.audience_id or session.card.streams)
        session.save()
    finally:
        session.close()
    few = session.card.audience_id and revision.total.after < MINIMUM_SIZE
    return (
        f'Stream {stream} was deleted from the ledger of audience "{metadata.name}"'
        f" ({metadata.audience_id or 'not created'}, advertiser {metadata.advertiser_id}): the next run removes"
        f" {leave:,} members and keeps {revision.total.after:,}."
        + (
            " TikTok rejects removals that leave fewer than 1,000. To remove every member, delete the audience."
            if few
            else ""
        )
    )
