"""`contracts`: the data contracts as JSON Schemas."""

from __future__ import annotations

import json

import click

from target_tiktok_audiences.contracts.contract import CONTRACTS


@click.command()
@click.argument("name", type=click.Choice(list(CONTRACTS)), required=False)
@click.option("--identifier-field", help="The column that holds the identifier, if not the contract's own.")
@click.option("--hashed", is_flag=True, help="For identifiers that are SHA-256 already (apply_hashing: false).")
def contracts(name: str | None, identifier_field: str | None, *, hashed: bool) -> None:
    """Print the JSON Schema of the records that a data contract takes; of all four without a NAME."""
    schemas = {
        contract.name: contract.json_schema(field=identifier_field, apply_hashing=not hashed)
        for contract in CONTRACTS.values()
    }
    click.echo(json.dumps(schemas[name] if name else schemas, indent=2))
