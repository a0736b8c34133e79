"""The documentation's pages and Meltano's schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from docs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema.protocols import Validator

README = (ROOT / "README.md").read_text()
DEFINITION = "docs/target-tiktok-audiences.yml"


def meltano_schema(part: str = "") -> Validator:
    """Give Meltano's own JSON Schema of meltano.yml, or of a part of it; what is deprecated does not fit."""

    def deprecated(_validator: Validator, value: object, _instance: object, _schema: object) -> Iterator[Any]:
        if value:
            yield ValidationError("deprecated")

    (path,) = ROOT.glob(".venv-meltano/lib/python*/site-packages/meltano/schemas/meltano.schema.json")
    schema = json.loads(path.read_text())
    if part:
        schema = {"$schema": schema["$schema"], "$ref": part, "$defs": schema["$defs"]}
    made: Validator = validators.extend(Draft202012Validator, {"deprecated": deprecated})(schema)  # type: ignore[no-untyped-call]
    return made


def loader(path: str) -> dict[str, Any]:
    """Give the one loader of a Meltano project, or the definition of it."""
    found: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    if path != DEFINITION:
        (found,) = found["plugins"]["loaders"]
    return found
