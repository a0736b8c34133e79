"""Terminal prompts. They use standard error, because standard output is reserved for the token."""

from __future__ import annotations

import select
import sys
import time
from typing import TYPE_CHECKING

import click

from target_tiktok_audiences.cli.output import print_table
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.sanitize import one_line
from target_tiktok_audiences.tiktok.advertisers import country_of, status_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tiktok_audiences.tiktok.models import Advertiser

_LONGEST_LIST = 20
_HEADINGS = {"number": "#", "name": "Name", "id": "Advertiser id", "country": "Country", "status": "Status"}


def say(text: str) -> None:
    """Print one line to standard error."""
    click.echo(one_line(text), err=True)


def can_ask() -> bool:
    """Return whether standard input and standard error are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, deadline: float) -> str:
    """Prompt for a line; raise TimeoutError after `deadline` on the monotonic clock. The answer is not stored."""
    click.echo(f"{question} ", nl=False, err=True)
    if not select.select([sys.stdin], [], [], max(0, deadline - time.monotonic()))[0]:
        click.echo(err=True)
        raise TimeoutError
    line = sys.stdin.readline()
    if not line:
        click.echo(err=True)
        raise UserError(
            "Input ended before a response. Nothing was stored. Run the command again, and answer the prompt."
        )
    return line.strip()


def choose(advertisers: Sequence[Advertiser], deadline: float) -> Advertiser:
    """Prompt for an ad account by its number in the list, its ID, or search words."""
    shown = list(enumerate(advertisers, 1))
    while True:
        _show(shown, len(advertisers))
        answer = ask("Number of the ad account, or search words:", deadline)
        by_number = {str(number): each for number, each in enumerate(advertisers, 1)}
        by_id = {each.advertiser_id: each for each in advertisers}
        if answer in by_number or answer in by_id:
            return by_number.get(answer) or by_id[answer]
        words = answer.lower().split()
        shown = [
            (number, each) for number, each in enumerate(advertisers, 1) if all(word in _text(each) for word in words)
        ]
        if not shown:
            say("No match. Try fewer words, or press Enter for the whole list.")


def _show(shown: Sequence[tuple[int, Advertiser]], of: int) -> None:
    rows = [
        {
            "number": number,
            "name": each.name or "",
            "id": each.advertiser_id,
            "country": each.country or "",
            "status": status_in_words(each),
        }
        for number, each in shown[:_LONGEST_LIST]
    ]
    if rows:
        print_table(rows, _HEADINGS, title="Your ad accounts", err=True)
    if len(shown) > _LONGEST_LIST:
        say(f"... and {len(shown) - _LONGEST_LIST:,} more of {of:,}: search by name, id, country or status.")


def _text(advertiser: Advertiser) -> str:
    known = (advertiser.name or "", advertiser.advertiser_id, country_of(advertiser), status_in_words(advertiser))
    return " ".join(known).lower()
