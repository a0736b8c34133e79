"""Ledgers with a history of runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from support.singer import email, people, record, schema, state, stream_of
from support.target import MARKER
from target_tiktok_audiences.cli.history import history

if TYPE_CHECKING:
    from support.emulator_client import Client
    from support.target import Target


def run_history(target: Target, *arguments: str, **config: object) -> Result:
    path = target.folder / "history.json"
    written = {**target.config, **config, "access_token": None}  # which it does not need
    path.write_text(json.dumps(written))
    result = CliRunner().invoke(history, [*arguments, "--config", str(path)])
    assert MARKER not in result.output
    return result


@pytest.fixture
def filled(target: Target, tiktok: Client) -> Target:
    """Fill two audiences, in three runs."""
    rest = [
        record(1, email=email(1)),
        record(2001, email=None),
        record(2002, email="nobody"),
        record(2003, email="no body@"),
        record(2004, email=email(2), _sdc_deleted_at="2026-01-01"),
    ]
    target.config["audiences"] = [
        {"stream": "customers", "audience_name": "Customers", "load_method": "overwrite"},
        {"stream": "lapsed", "audience_name": "Win back <b>", "load_method": "upsert"},
    ]
    first = target.run([schema(), *people(1, 1200), *rest, state(), *stream_of(1, 1050, "lapsed")])
    tiktok.advance(49)
    second = [schema(), *people(1, 1250), *rest, state()]
    target.run([{"type": "STATE", "value": first.state}, *second] if first.state else second)
    target.run([schema(), *people(1, 1251), *rest, state()])
    return target
