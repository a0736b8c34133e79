"""An identifier on a command line: no error quotes it, wherever it stands by mistake."""

from __future__ import annotations

import os
from typing import Any

import click

from target_tiktok_audiences.contracts import CONTRACTS


class _ContractName(click.Choice[str]):
    """What the identifier is; click would quote what it is not, which may be the identifier itself."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"it must be one of {', '.join(CONTRACTS)}.", param, ctx)


def _only_one(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> str | None:
    if len(values) > 1:
        raise click.UsageError("Only one identifier may stand here. Put one that has spaces in quotes.")
    if not values:
        return None
    (value,) = values
    try:
        value.encode()
    except UnicodeEncodeError:  # in a C locale Python may not take arguments for the UTF-8 that they are
        value = os.fsencode(value).decode(errors="surrogateescape")
    return value


CONTRACT = _ContractName(list(CONTRACTS))
identifier_argument = click.argument("identifier", metavar="[IDENTIFIER]", nargs=-1, callback=_only_one)
"""None where it is left out."""
