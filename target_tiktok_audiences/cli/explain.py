"""`explain`: show how one identifier is normalized and hashed, and why a digest from another system differs."""

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

SAME = "nothing: this target computes the same digest"
NO_WAY = "unknown: no known normalization of this value gives that digest; it may be the digest of another value"


def _country(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value and not is_country(value.upper()):
        raise click.BadParameter("it must be a two-letter ISO 3166 code such as US.")
    return value.upper() if value else None


def _digest(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value and not is_digest(value.strip()):
        raise click.BadParameter("it must be 64 hex digits (32 for MD5, 40 for SHA-1).")
    return value.strip() if value else None


@click.command()
@identifier_argument
@click.option("--contract", required=True, type=CONTRACT, help="Contract of the identifier.")
@click.option("--default-country", callback=_country, help="Two-letter country code for phone numbers without one.")
@click.option("--hashed", is_flag=True, help="IDENTIFIER is already a SHA-256 digest (apply_hashing: false).")
@click.option("--digest", callback=_digest, help="A digest from another system: explain how it differs.")
@click.option("--echo", is_flag=True, help="Show the input at the prompt.")
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
    """Show the normal form and digest of one identifier, or why it is rejected.

    Without IDENTIFIER, prompts for it with hidden input; `-` reads it from standard input. Both keep it out of the
    shell history. Sends nothing and requires no configuration.

    With --digest: explain which normalization of IDENTIFIER gives a digest that another system computed.

    The exit code is 1 if the identifier is rejected, or no known normalization gives the digest.
    """
    answer = explanation(_value(identifier, echo=echo), contract, default_country, digest, hashed=hashed)
    if as_json:
        print_json(answer)
    else:
        print_answers(_words(answer, compared=bool(digest)))
    if answer["rejected"] or not answer["digest"] or (digest and answer["differences"] is None):
        sys.exit(1)


def explanation(
    value: str, contract: str, default_country: str | None, digest: str | None, *, hashed: bool
) -> dict[str, Any]:
    """Return the explanation of a value, as `--json` prints it."""
    answer: dict[str, Any] = dict.fromkeys(
        ("contract", "normal_form", "digest", "rejected", "reason", "todo", "differences")
    )
    answer["contract"] = contract
    try:
        contract_rules = CONTRACTS[contract]
        digest_bytes = contract_rules.digester(apply_hashing=not hashed, default_country=default_country)(value)
        if digest_bytes is not None:
            answer["digest"] = digest_bytes.hex()
            answer["normal_form"] = digest_bytes.hex() if hashed else contract_rules.normalize(value, default_country)
        else:
            answer["reason"] = "it is empty and counts as missing"
    except Rejected as rejected:
        answer |= {
            "rejected": rejected.reason.value,
            "reason": rejected.reason.meaning,
            "todo": rejected.reason.advice,
        }
    if digest:
        same = hashed and digest.lower() == answer["digest"]
        differences = () if same else find_difference(contract, value, digest, default_country)
        answer["differences"] = None if differences is None else list(differences)
    return answer


def _words(answer: dict[str, Any], *, compared: bool) -> dict[str, str]:
    rows = {
        "normal form": answer["normal_form"],
        "SHA-256": answer["digest"],
        "rejected as": answer["rejected"],
        "because": answer["reason"],
        "what to do": answer["todo"],
    }
    if compared:
        differences = answer["differences"]
        rows["differs"] = NO_WAY if differences is None else "; ".join(differences) or SAME
    return {what: value for what, value in rows.items() if value}


def _value(identifier: str | None, *, echo: bool) -> str:
    """Return the identifier. No error message quotes it."""
    if identifier == "-":
        value = sys.stdin.buffer.read().decode(errors="surrogateescape").rstrip("\r\n")
        if count := value.count("\n"):
            raise click.UsageError(f"Standard input has {count + 1:,} lines. Pass exactly one identifier.")
        return value
    if identifier is not None:
        return identifier
    if not sys.stdin.isatty():
        raise click.UsageError("Pass IDENTIFIER, or - to read it from standard input.")
    text: str = click.prompt("Identifier", hide_input=not echo, err=True, default="", show_default=False)
    return text
