"""docs/reference/emulator.md names every flag, field and path that there is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.routing import Route
from support.emulator_client import Client, digests
from support.pages import ROOT, blocks

from target_tiktok_audiences.cli.emulator import emulator as command
from target_tiktok_audiences.emulator.accounts import Advertiser
from target_tiktok_audiences.emulator.control import NewToken, Seed, control_routes
from target_tiktok_audiences.emulator.dispatch import ENDPOINTS
from target_tiktok_audiences.emulator.emulator import Emulator
from target_tiktok_audiences.emulator.faults import Fault

DOCS = (ROOT / "docs/reference/emulator.md").read_text()


def test_the_table_of_flags_is_that_of_the_command() -> None:
    documented = dict(re.findall(r"^\| `--([a-z-]+)` \| `?([^`|]+?)`? \|", DOCS, re.MULTILINE))
    flags = {}
    for parameter in command.params:
        default = parameter.default
        shown = {True: "on", False: "off"}.get(default) if isinstance(default, bool) else default
        flags[parameter.opts[0].removeprefix("--")] = shown[0] if isinstance(shown, list) else shown
    assert documented.keys() == flags.keys()
    for flag, default in flags.items():
        assert documented[flag] in {str(default), f"{default:g}" if isinstance(default, float) else str(default)}


@pytest.mark.parametrize("form", [Fault, Seed, NewToken, Advertiser], ids=lambda form: form.__name__)
def test_every_field_of_a_control_path_is_named(form: type[Fault | Seed | NewToken | Advertiser]) -> None:
    for field in form.__struct_fields__:
        assert re.search(rf"[`\"]{field}[`\"]", DOCS), field


def test_every_path_is_named() -> None:
    for route in control_routes(Emulator()):
        assert isinstance(route, Route)
        assert (
            route.path.replace("{audience_id}", "{id}") in DOCS or route.path.replace("/_emulator", "$CONTROL") in DOCS
        )
    for path in ENDPOINTS:
        assert path.strip("/") in DOCS or f"`.../{path.strip('/').rpartition('/')[2]}/`" in DOCS


def test_the_example_in_python() -> None:
    (example,) = (block.text for block in blocks("docs/reference/emulator.md") if block.language == "python")

    def run_my_pipeline(api_url: str, token: str) -> None:
        client = Client(api_url.removesuffix("/open_api/v1.3"))
        client.headers["Access-Token"] = token
        client.create(digests(5000))

    names: dict[str, Any] = {}
    exec(example, names)
    names["run_my_pipeline"] = run_my_pipeline
    names["test_my_pipeline"]()
