"""The documentation says what the program does."""

from __future__ import annotations

import re

import pytest
import yaml
from support.docs_pages import DEFINITION, README, loader, meltano_schema
from support.pages import PAGES

from docs import FIRST_SETTINGS, ROOT, about, files
from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.contracts.rejection import Rejection

PROJECTS = ["meltano.yml", *(str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*/meltano.yml"))]
FOR_HUB_ALONE = {"definition", "domain_url", "keywords", "maintenance_status", "next_steps", "prereq", "quality"}
FOR_HUB_ALONE |= {"settings_preamble", "usage"}


def test_the_generated_parts_are_fresh() -> None:
    for path, text in files().items():
        assert path.read_text() == text, f"{path.name} is stale: run scripts/docs.py"


def test_the_map_has_every_folder() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    (included,) = re.findall(
        r"^include = \[.*?\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL
    )
    folders = {path for path in re.findall('"/(.*?)"', included) if (ROOT / path).is_dir()}
    assert set(re.findall(r"^\| `([.\w]+)/` \| [^|]+ \|$", page, re.MULTILINE)) == folders


def settings_in(page: str) -> list[str]:
    """Give the settings in the generated table of a page."""
    (table,) = re.findall(r"generated: begin(.*?)generated: end", (ROOT / page).read_text(), re.DOTALL)
    return re.findall(r"^\| `(\w+)`", table, re.MULTILINE)


def test_every_setting_is_in_the_table_and_those_that_matter_in_the_readme() -> None:
    assert settings_in("docs/reference/settings.md") == list(about()["settings"]["properties"])
    assert settings_in("README.md") == list(FIRST_SETTINGS)
    assert set(about()["settings"]["required"]) <= set(FIRST_SETTINGS)


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


def test_every_contract_and_reason_is_explained() -> None:
    contracts = (ROOT / "docs/reference/contracts.md").read_text()
    for name in [*CONTRACTS, *(reason.value for reason in Rejection)]:
        assert f"| `{name}` |" in contracts
    for name in CONTRACTS:
        assert f"| `{name}` |" in README


def anchors(text: str) -> set[str]:
    """Give the anchors that GitHub makes of headings."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "benchmarks/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    for path, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", (ROOT / page).read_text()):
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert path.startswith("https://") or linked.exists(), path
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked.read_text()), f"{path}#{anchor}"


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text()
    for page in PAGES:
        assert page == "docs/README.md" or not page.startswith("docs/") or f"]({page.removeprefix('docs/')})" in index
