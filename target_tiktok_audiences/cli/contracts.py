"""`contracts`: print the data contracts as JSON Schemas."""

from __future__ import annotations

import json

import click

from target_tiktok_audiences.contracts.contract import CONTRACTS


@click.command()
@click.argument("name", type=click.Choice(list(CONTRACTS)), required=False)
@click.option("--identifier-field", help="Column that holds the identifier. Default: the contract's default column.")
@click.option("--hashed", is_flag=True, help="For identifiers that are already SHA-256 digests (apply_hashing: false).")
def contracts(name: str | None, identifier_field: str | None, *, hashed: bool) -> None:
    """Print the JSON Schema of the records that data contract NAME accepts. Default: all four contracts."""
    schemas = {
        contract.name: contract.json_schema(field=identifier_field, apply_hashing=not hashed)
        for contract in CONTRACTS.values()
    }
    click.echo(json.dumps(schemas[name] if name else schemas, indent=2))
