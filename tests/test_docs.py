"""The documentation says what the program does."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from docs import ROOT, about, files
from target_tiktok_audiences.contracts import CONTRACTS, Rejection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jsonschema.protocols import Validator

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/*.md")]


DEFINITION = "docs/target-tiktok-audiences.yml"
PROJECTS = ["meltano.yml", *(str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*/meltano.yml"))]
FOR_HUB_ALONE = {"definition", "domain_url", "keywords", "maintenance_status", "next_steps", "prereq", "quality"}
FOR_HUB_ALONE |= {"settings_preamble", "usage"}


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


def test_the_generated_parts_are_fresh() -> None:
    for path, text in files().items():
        assert path.read_text() == text, f"{path.name} is stale: run scripts/docs.py"


def test_every_setting_is_in_the_table() -> None:
    names = re.findall(r"^\| `(\w+)`", README, re.MULTILINE)
    assert set(about()["settings"]["properties"]) <= set(names)


@pytest.mark.parametrize("path", PROJECTS)
def test_projects_fit_meltanos_schema(path: str) -> None:
    errors = meltano_schema().iter_errors(yaml.safe_load((ROOT / path).read_text()))
    assert not [f"{error.json_path}: {error.message}" for error in errors]


def test_the_definition_fits_meltanos_schema() -> None:
    definition = {key: value for key, value in loader(DEFINITION).items() if key not in FOR_HUB_ALONE}
    errors = meltano_schema("#/$defs/plugins/loaders").iter_errors(definition)
    assert not [f"{error.json_path}: {error.message}" for error in errors]
    assert [*meltano_schema("#/$defs/base_setting").iter_errors({"name": "token", "kind": "password"})]


@pytest.mark.parametrize("path", [DEFINITION, *PROJECTS])
def test_meltano_knows_our_settings_and_capabilities(path: str) -> None:
    schema = about()["settings"]["properties"]
    plugin = loader(path)
    for setting in plugin["settings"]:
        assert setting["name"] in schema
        assert setting.get("sensitive", False) == schema[setting["name"]].get("secret", False)
        assert setting.get("kind") not in {"password", "hidden"}
    assert set(plugin.get("config", {})) <= set(schema)
    unknown_to_meltano = {"validate-records"}
    assert set(plugin["capabilities"]) == set(about()["capabilities"]) - unknown_to_meltano
    if "settings_group_validation" in plugin:
        assert {setting["name"] for setting in plugin["settings"]} == set(schema)
        for setting in plugin["settings"]:
            assert setting.get("value") == schema[setting["name"]].get("default")
            assert setting["label"]
            assert setting["description"]
        for group in plugin["settings_group_validation"]:
            assert set(about()["settings"]["required"]) <= set(group) <= set(schema)


def test_the_definition_is_that_of_the_project_and_describes_the_plugin() -> None:
    definition = loader(DEFINITION)
    ours = loader("meltano.yml")
    assert {**ours, "pip_url": definition["pip_url"]}.items() <= definition.items()
    assert definition["maintenance_status"] == "beta"  # as the classifiers say
    assert "meltano_sdk" in definition["keywords"]
    text = definition["prereq"] + definition["settings_preamble"] + definition["next_steps"] + definition["usage"]
    assert set(re.findall(r"audiences:(\w+)", text)) <= set(definition["commands"])
    assert set(re.findall(r"`([a-z_]+)`", text)) <= {setting["name"] for setting in definition["settings"]}


def test_the_entries_in_the_readme_are_real_settings() -> None:
    in_entries = about()["settings"]["properties"]["audiences"]["items"]["properties"]
    for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL):
        for plugin in (yaml.safe_load(block).get("plugins") or {"loaders": [yaml.safe_load(block)]})["loaders"]:
            assert set(plugin["config"]) <= set(about()["settings"]["properties"])
            for entry in plugin["config"].get("audiences", []):
                assert entry.keys() <= in_entries.keys()


def test_every_contract_and_reason_is_explained() -> None:
    for name in [*CONTRACTS, *(reason.value for reason in Rejection)]:
        assert f"`{name}`" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link
