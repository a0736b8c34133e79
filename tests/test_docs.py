"""The documentation says what the program does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from docs import ROOT, about, files
from target_tiktok_audiences.contracts import CONTRACTS, Rejection

if TYPE_CHECKING:
    from pathlib import Path

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/*.md")]


DEFINITION = "docs/target-tiktok-audiences.yml"


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


@pytest.mark.parametrize("path", ["meltano.yml", DEFINITION, "examples/postgres-to-tiktok/meltano.yml"])
def test_meltano_knows_our_settings_and_capabilities(path: str) -> None:
    schema = about()["settings"]["properties"]
    plugin = loader(path)
    for setting in plugin["settings"]:
        assert setting["name"] in schema
        assert setting.get("sensitive", False) == schema[setting["name"]].get("secret", False)
        assert setting.get("kind") not in {"password", "hidden"}
    assert set(plugin.get("config", {})) <= set(schema)
    assert sorted(plugin["capabilities"]) == sorted(about()["capabilities"])
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
    assert definition["supported_python_versions"] == about()["supported_python_versions"]
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
