"""`copy-ledgers`: bring the ledgers to another place, from a disk to a store for one."""

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
@click.option("--to", "to", required=True, help="Folder, or URL of one in a store, as `ledger_path` takes it.")
@config_option
def copy_ledgers(to: str, settings: Settings) -> None:
    """Copy all ledgers from `ledger_path` to another place, to go on there.

    Then set `ledger_path` to it, in every configuration that fills these audiences: a run that goes on with the old
    ledgers finds them outdated by STATE, and counts them as gone. No run may be at one of them meanwhile.
    """
    if problem := next(path_errors({"ledger_path": to}), "" if to.strip() else "`ledger_path` is empty"):
        fail(f"{problem.replace('`ledger_path`', '--to')}.")
    if settings.dry_run:
        fail("`dry_run` is set, and this would change something.")
    with clear_errors(), closing(PrivateFolder()) as here, closing(PrivateFolder()) as there:
        with signals.held():
            load_database()
        source = LedgerCatalog(settings.ledger_path, here.path)
        place = LedgerCatalog(ledger_place(to), there.path)
        cards = source.cards()
        passed_over: list[str] = []
        for _, card in cards:
            signals.check()
            with closing(source.open(card)) as opened:
                try:
                    place.take(opened)
                except LedgerExists as there_already:  # from a copying that was interrupted, perhaps
                    passed_over.append(str(there_already))
                    continue
            click.echo(one_line(f'Copied the ledger of audience "{card.name}" (advertiser {card.advertiser_id}).'))
        if passed_over:
            fail(" ".join(passed_over))
        if not cards:
            fail(f"there is no ledger in {source.name}.")
        click.echo(f"Set `ledger_path` to {place.name} now.")
