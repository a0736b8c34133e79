"""`erase`: take one person out of every audience, for good."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from target_tiktok_audiences.cli.options import CONTRACT, PROGRAM, config_option, identifier_argument, tiktok_of
from target_tiktok_audiences.cli.output import clear_errors, fail, json_option, print_json, print_table
from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.reporting.formatting import format_count
from target_tiktok_audiences.runtime.files import PrivateFolder, write_atomic
from target_tiktok_audiences.sync.erasure import OPEN, Erasure, contracts_of, digests_of, erase, receipt
from target_tiktok_audiences.tiktok.retry import RUN_RETRY_BUDGET_S

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from target_tiktok_audiences.config.settings import Settings


HEADINGS = {"audience": "Audience", "outcome": "Outcome", "what": "What that means"}


@click.command("erase")
@identifier_argument
@click.option("--digest", "hashed", is_flag=True, help="The identifier is a SHA-256 already, as 64 hex digits.")
@click.option(
    "--contract",
    "chosen",
    multiple=True,
    type=CONTRACT,
    help="Kind of the identifier; may be repeated. Default: every kind in the ledgers that it can be.",
)
@click.option("--default-country", help="Two-letter country of a phone number without a country code.")
@click.option(
    "--delete-audience-if-needed",
    "may_delete",
    is_flag=True,
    help="Delete a whole audience where TikTok refuses the removal because too few would be left.",
)
@click.option("--receipt", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the receipt here, too.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
@config_option
def erase_command(  # noqa: PLR0913 - one for each option
    identifier: str | None,
    chosen: tuple[str, ...],
    default_country: str | None,
    file: Path | None,
    settings: Settings,
    *,
    hashed: bool,
    may_delete: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take a person out of every audience that the ledgers know, and keep them out in every later run.

    The IDENTIFIER is asked for, or read from standard input (`-`), one a line. As an argument it would stand in the
    history of the shell.

    Prints a receipt without personal data. Exits with 0 when they are out, or when a later run takes them out without
    further ado; with 1 when something is left to you.
    """
    dry_run = dry_run or settings.dry_run
    values = _values(identifier)
    with clear_errors():
        read = partial(digests_of, values, hashed=hashed, default_country=(default_country or "").upper() or None)
        answer = _erase(read, len(values), chosen, settings, may_delete=may_delete, dry_run=dry_run)
        if as_json:
            print_json(answer)
        else:
            _print(answer)
        if file:
            write_atomic(file, (json.dumps(answer, indent=2, ensure_ascii=False) + "\n").encode())
    sys.exit(1 if any(line["outcome"] in OPEN for line in answer["audiences"]) else 0)


def _erase(
    read: Callable[[Collection[str]], dict[str, set[bytes]]],
    identifiers: int,
    chosen: Collection[str],
    settings: Settings,
    *,
    may_delete: bool,
    dry_run: bool,
) -> dict[str, Any]:
    with closing(PrivateFolder()) as folder, tiktok_of(settings, retry_budget_s=RUN_RETRY_BUDGET_S) as tiktok:
        ledgers = LedgerCatalog(settings.ledger_path, folder.path, dry_run=dry_run)
        digests = read(contracts_of(settings, ledgers, chosen))
        erasure = Erasure(digests, identifiers, may_delete=may_delete, dry_run=dry_run)
        lines = erase(erasure, settings, ledgers, tiktok, folder.path)
        return receipt(erasure, lines, digests, PROGRAM, tiktok.now.isoformat(timespec="seconds"))


def _values(identifier: str | None) -> list[str]:
    """Give the identifiers, from where the shell does not keep them."""
    if identifier not in {None, "-"}:
        click.echo("Warning: the identifier stands in the history of your shell now; delete it there.", err=True)
        return [str(identifier)]
    if identifier is None and sys.stdin.isatty():
        return [click.prompt("Identifier (not shown)", hide_input=True, confirmation_prompt="The same again", err=True)]
    try:
        lines = sys.stdin.buffer.read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        fail("standard input is no UTF-8, so identifiers would be misread. Nobody was erased. Convert it (iconv).")
    values = [value for line in lines if (value := line.strip())]
    if not values:
        fail("no identifier was given; standard input is empty.")
    return values


def _print(answer: dict[str, Any]) -> None:
    erasure, what = answer["erasure"], "Erasure"
    if erasure["dry_run"]:
        what = "Dry run of an erasure"
    title = f"{what}: {format_count(erasure['identifiers'], 'identifier')}, {erasure['at']}"
    print_table([_row(line) for line in answer["audiences"]], HEADINGS, title=title)
    for line in answer["still_to_do"]:
        click.echo(line)


def _row(line: dict[str, Any]) -> dict[str, str]:
    which = f"{line['audience_id'] or 'not created'}, advertiser {line['advertiser_id']}, {line['contract']}"
    requests = f"(TikTok's request {', '.join(line['request_ids'])})" if line["request_ids"] else ""
    return {
        "audience": f"{line['audience']} ({which})",
        "outcome": line["outcome"].replace("_", " "),
        "what": " ".join(filter(None, [line["meaning"], line["message"], requests])),
    }
