"""`explain`: what becomes of one identifier, and what somebody else did with it."""

from __future__ import annotations

import sys
from typing import Any

import click

from target_tiktok_audiences.cli.options import CONTRACT, identifier_argument
from target_tiktok_audiences.cli.output import json_option, print_answers, print_json
from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.contracts.digest_mismatch import find_difference, is_digest
from target_tiktok_audiences.contracts.phone import is_country
from target_tiktok_audiences.contracts.rejection import Rejected

SAME = "nothing: it is the digest that this target makes"
NO_WAY = "not found: no known normalisation of this value gives that digest, so it may be of another value"


def _country(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value and not is_country(value.upper()):
        raise click.BadParameter("it must be a two-letter ISO 3166 code such as US.")
    return value.upper() if value else None


def _digest(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value and not is_digest(value.strip()):
        raise click.BadParameter("it must be 64 hex digits (of MD5 32, of SHA-1 40).")
    return value.strip() if value else None


@click.command()
@identifier_argument
@click.option("--contract", required=True, type=CONTRACT, help="The kind of identifier.")
@click.option("--default-country", callback=_country, help="Country of phone numbers without a country code.")
@click.option("--hashed", is_flag=True, help="IDENTIFIER is SHA-256 already (apply_hashing: false).")
@click.option("--digest", callback=_digest, help="A digest made elsewhere: tell what was done differently there.")
@click.option("--echo", is_flag=True, help="Show what is typed at the prompt.")
@json_option
def explain(
    identifier: str | None,
    contract: str,
    default_country: str | None,
    digest: str | None,
    *,
    hashed: bool,
    echo: bool,
    as_json: bool,
) -> None:
    """Tell what becomes of one identifier: its normal form and digest, or why it is rejected.

    Without IDENTIFIER it is asked for, and not shown; `-` reads it from standard input. So it need not stand in the
    shell's history. Nothing is sent, and no configuration is needed.

    With --digest: tell which normalisation made a digest that somebody has hashed elsewhere of the same IDENTIFIER.

    The exit code is 1 if the identifier is rejected, or no normalisation gives the digest.
    """
    answer = explanation(_value(identifier, echo=echo), contract, default_country, digest, hashed=hashed)
    if as_json:
        print_json(answer)
    else:
        print_answers(_words(answer, asked=bool(digest)))
    if answer["rejected"] or not answer["digest"] or (digest and answer["differences"] is None):
        sys.exit(1)


def explanation(
    value: str, contract: str, default_country: str | None, digest: str | None, *, hashed: bool
) -> dict[str, Any]:
    """Give all that can be said of a value, as `--json` prints it."""
    answer: dict[str, Any] = dict.fromkeys(
        ("contract", "normal_form", "digest", "rejected", "reason", "todo", "differences")
    )
    answer["contract"] = contract
    try:
        made = CONTRACTS[contract].digester(apply_hashing=not hashed, default_country=default_country)(value)
        if made is not None:
            answer["digest"] = made.hex()
            answer["normal_form"] = made.hex() if hashed else CONTRACTS[contract].normalize(value, default_country)
        else:
            answer["reason"] = "it is empty, so it counts as missing"
    except Rejected as rejected:
        answer |= {
            "rejected": rejected.reason.value,
            "reason": rejected.reason.meaning,
            "todo": rejected.reason.advice,
        }
    if digest:
        same = hashed and digest.lower() == answer["digest"]
        found = () if same else find_difference(contract, value, digest, default_country)
        answer["differences"] = None if found is None else list(found)
    return answer


def _words(answer: dict[str, Any], *, asked: bool) -> dict[str, str]:
    rows = {
        "normal form": answer["normal_form"],
        "SHA-256": answer["digest"],
        "rejected as": answer["rejected"],
        "because": answer["reason"],
        "what to do": answer["todo"],
    }
    if asked:
        differences = answer["differences"]
        rows["differs"] = NO_WAY if differences is None else "; ".join(differences) or SAME
    return {what: said for what, said in rows.items() if said}


def _value(identifier: str | None, *, echo: bool) -> str:
    """Give the one value; no error quotes it."""
    if identifier == "-":
        value = sys.stdin.buffer.read().decode(errors="surrogateescape").rstrip("\r\n")
        if count := value.count("\n"):
            raise click.UsageError(f"Standard input has {count + 1:,} lines. One identifier is explained at a time.")
        return value
    if identifier is not None:
        return identifier
    if not sys.stdin.isatty():
        raise click.UsageError("Give IDENTIFIER, or - to read it from standard input.")
    asked: str = click.prompt("Identifier", hide_input=not echo, err=True, default="", show_default=False)
    return asked
