"""CLI output helpers: tables, JSON and one-line errors."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from target_tiktok_audiences.ledger.database import LedgerError, describe
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.logs import keep_to_one_line, quiet_noisy_loggers
from target_tiktok_audiences.runtime.sanitize import one_line
from target_tiktok_audiences.runtime.signals import signals
from target_tiktok_audiences.tiktok.errors import TikTokError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.table import Table

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")

_ENDLESS = 10_000
"""Width in columns if the output is not a terminal."""


@contextmanager
def clear_errors() -> Iterator[None]:
    """Report an expected error as one line with exit code 1, and handle signals."""
    os.umask(0o077)
    for handler in logging.getLogger().handlers:
        handler.addFilter(keep_to_one_line)
    quiet_noisy_loggers()
    signals.watch()
    try:
        yield
    except (LedgerError, OSError, UserError, TikTokError) as error:
        fail(describe(error))


def lacks_extra(what: str, extra: str) -> str:
    """Return how to install an extra, independent of how the program was installed."""
    return (
        f"{what} needs the extra `{extra}`: reinstall this program with [{extra}] appended to the package name or"
        f" URL (in Meltano: append it to `pip_url`, then run `meltano install`)."
    )


def fail(message: str) -> None:
    """Print a one-line error and exit with code 1."""
    click.echo(one_line(f"Error: {message}"), err=True)
    sys.exit(1)


def print_table(
    rows: Sequence[Mapping[str, Any]], headings: Mapping[str, str], *, title: str | None = None, err: bool = False
) -> None:
    """Print a table of `rows`, with one column for each key of `headings`, which maps row keys to headings.

    The table is as wide as the terminal, or as wide as its content if the output is not a terminal. With `err`, it is
    printed to standard error.
    """
    from rich.markup import escape  # noqa: PLC0415 - rich takes long to load
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title)
    for key, heading in headings.items():
        numbers = any(isinstance(row.get(key), int) and not isinstance(row.get(key), bool) for row in rows)
        # Fold only words: part of a number reads as another number, and a sparkline must stay whole.
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    for row in rows:
        table.add_row(*(escape(_cell(row.get(key))) for key in headings))
    _print(table, err=err)


def print_answers(answers: Mapping[str, Any]) -> None:
    """Print names and values without a frame, so that a digest fits into 80 columns and can be copied."""
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415

    table = Table.grid("", "", padding=(0, 2))
    for name, answer in answers.items():
        table.add_row(name, escape(_cell(answer)))
    _print(table)


def print_json(answer: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def _print(table: Table, *, err: bool = False) -> None:
    from rich.console import Console  # noqa: PLC0415 - as above

    console = Console(stderr=err)
    if not console.is_terminal:
        console.width = _ENDLESS
        console.width = max(80, console.measure(table).maximum)
    console.print(table)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(map(_cell, value))
    return one_line(str(value))
