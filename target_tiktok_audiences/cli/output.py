"""How subcommands answer: a table on a terminal, JSON when asked; and one clear line where they cannot."""

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
"""Columns, where no terminal sets a limit."""


@contextmanager
def clear_errors() -> Iterator[None]:
    """End the command with one line and exit code 1 if something expected goes wrong inside; obey signals."""
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
    """Tell how to get what is installed on demand, wherever the program itself was installed from."""
    return (
        f"{what} needs the extra `{extra}`: install this program as before, with [{extra}] at the end of its name or"
        f" address (in Meltano: of `pip_url`, and then `meltano install`)."
    )


def fail(message: str) -> None:
    """End the command with one line, and exit code 1."""
    click.echo(one_line(f"Error: {message}"), err=True)
    sys.exit(1)


def print_table(
    rows: Sequence[Mapping[str, Any]], headings: Mapping[str, str], *, title: str | None = None, err: bool = False
) -> None:
    """Draw one line for each row, with the columns that `headings` names: heading by key of the row.

    On a terminal it is as wide as that; elsewhere as wide as it needs to be, so that nothing is cut. `err` draws it on
    standard error, where standard output is for something else.
    """
    from rich.markup import escape  # noqa: PLC0415 - rich takes long to load
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title)
    for key, heading in headings.items():
        numbers = any(isinstance(row.get(key), int) and not isinstance(row.get(key), bool) for row in rows)
        # Only words may be folded: half a number is another one, and a line of small bars is one picture.
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    for row in rows:
        table.add_row(*(escape(_cell(row.get(key))) for key in headings))
    _print(table, err=err)


def print_answers(answers: Mapping[str, Any]) -> None:
    """Draw one line for each answer, without a frame: a digest must fit into 80 columns, to be copied."""
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415

    table = Table.grid("", "", padding=(0, 2))
    for name, answer in answers.items():
        table.add_row(name, escape(_cell(answer)))
    _print(table)


def print_json(answer: Any) -> None:
    """Print an answer for programs."""
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
