"""`erase`: remove one customer from every audience permanently."""

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

HEADINGS = {"audience": "Audience", "outcome": "Outcome", "what": "Meaning"}


@click.command("erase")
@identifier_argument
@click.option("--digest", "hashed", is_flag=True, help="IDENTIFIER is already a SHA-256 digest: 64 hex digits.")
@click.option(
    "--contract",
    "chosen",
    multiple=True,
    type=CONTRACT,
    help="Contract of the identifier; may be repeated. Default: all contracts in the ledgers that can match.",
)
@click.option("--default-country", help="Two-letter country code for phone numbers without one.")
@click.option(
    "--delete-audience-if-needed",
    "may_delete",
    is_flag=True,
    help="Delete the whole audience if TikTok rejects the removal because too few members would remain.",
)
@click.option(
    "--receipt",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the receipt to this file, as JSON.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, without doing it.")
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
    """Remove one customer from every audience that has a ledger, and exclude them from every later run.

    Prompts for IDENTIFIER, or reads identifiers from standard input (`-`), one per line. An identifier given as an
    argument stays in the shell history.

    Prints a receipt without personal data. Exit code 0: removed, or removed by the next run. Exit code 1: manual action
    required.
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
    """Return the identifiers, from a prompt or standard input if possible, to keep them out of the shell history."""
    if identifier not in {None, "-"}:
        click.echo("Warning: the identifier is now in your shell history; delete it there.", err=True)
        return [str(identifier)]
    if identifier is None and sys.stdin.isatty():
        return [
            click.prompt(
                "Identifier (not shown)", hide_input=True, confirmation_prompt="Repeat the identifier", err=True
            )
        ]
    try:
        lines = sys.stdin.buffer.read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        fail("standard input is not valid UTF-8. Nothing was erased. Convert it to UTF-8, for example with iconv.")
    values = [value for line in lines if (value := line.strip())]
    if not values:
        fail("standard input contains no identifier. Pass one identifier per line.")
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
