"""`copy-ledgers`: copy the ledgers to another folder or object store."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from target_tiktok_audiences.cli.options import config_option
from target_tiktok_audiences.cli.output import clear_errors, fail
from target_tiktok_audiences.config.settings import ledger_place
from target_tiktok_audiences.config.validation import path_errors
from target_tiktok_audiences.ledger.catalog import LedgerCatalog, LedgerExists
from target_tiktok_audiences.ledger.database import load_database
from target_tiktok_audiences.runtime.files import PrivateFolder
from target_tiktok_audiences.runtime.sanitize import one_line
from target_tiktok_audiences.runtime.signals import signals

if TYPE_CHECKING:
    from target_tiktok_audiences.config.settings import Settings


@click.command("copy-ledgers")
@click.option("--to", "to", required=True, help="Destination: a folder or an object store URL, as in `ledger_path`.")
@config_option
def copy_ledgers(to: str, settings: Settings) -> None:
    """Copy all ledgers from `ledger_path` to another folder or object store.

    Stop all runs first. Then set `ledger_path` to the destination in every configuration that fills these audiences: a
    run with the old ledgers finds that they are older than STATE, and treats them as missing.
    """
    if problem := next(path_errors({"ledger_path": to}), "" if to.strip() else "`ledger_path` is empty"):
        fail(f"{problem.replace('`ledger_path`', '--to')}.")
    if settings.dry_run:
        fail("`dry_run` is set, but this command makes changes. Unset it, and run the command again.")
    with clear_errors(), closing(PrivateFolder()) as here, closing(PrivateFolder()) as there:
        with signals.held():
            load_database()
        source = LedgerCatalog(settings.ledger_path, here.path)
        place = LedgerCatalog(ledger_place(to), there.path)
        cards = source.cards()
        skipped: list[str] = []
        for _, metadata in cards:
            signals.check()
            with closing(source.open(metadata)) as session:
                try:
                    place.take(session)
                except LedgerExists as error:  # an interrupted copy may have created it
                    skipped.append(str(error))
                    continue
            click.echo(
                one_line(f'Copied the ledger of audience "{metadata.name}" (advertiser {metadata.advertiser_id}).')
            )
        if skipped:
            fail(" ".join(skipped))
        if not cards:
            fail(f"there is no ledger in {source.name}.")
        click.echo(f"Set `ledger_path` to {place.name} now.")
