"""Every cell of the fault table, played by the real target: how it ends, and that the next run makes it good."""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from fault_table import DONE, ENDPOINTS, FAILS, FOUND, HELD, LONG, ROWS, TWICE, Endpoint, Row
from support.emulator_client import ADVERTISER, Client, emulated
from support.failures import files_with_marker
from support.singer import digests, record, schema, stream_of

from target_tiktok_audiences.tiktok import transport
from target_tiktok_audiences.tiktok.codes import CODES, NO_ADVERTISER, refusal
from target_tiktok_audiences.tiktok.errors import AccessDenied, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.target import Outcome, Target

TOKEN = "emulator-SECRETTOKEN"
CHECK = [{**schema("meltano_test_stream", id={"type": "integer"})}, record(1, "meltano_test_stream")]


class Living:
    """An audience that earlier runs have filled, with the STATE of the last one."""

    def __init__(self, tiktok: Client, folder: Path) -> None:
        self.tiktok, seeds = tiktok, digests(1, 1200)
        self.audience_id = tiktok.seed(name="Living", members=seeds)
        self.members = set(seeds)
        self.ledgers = folder
        self.people = 2000
        self.state: dict[str, Any] | None = None

    def bring(self, target: Target) -> None:
        """Run without a fault, when TikTok has had time."""
        self.tiktok.advance(60)
        outcome = target.run(self.messages())
        assert outcome.exit_code == 0, outcome.log
        self.state = outcome.state
        self.members |= set(digests(self.people, self.people))

    def messages(self) -> list[dict[str, Any]]:
        given = [{"type": "STATE", "value": self.state}] if self.state else []
        return [*given, *stream_of(self.people, self.people)]


@pytest.fixture(scope="module")
def served() -> Iterator[Client]:
    """Emulate one TikTok for all cases; those that create have an audience of their own."""
    with emulated(processing_hours=1) as client:
        client.control("tokens", {"token": TOKEN, "scopes": [3], "advertiser_ids": [ADVERTISER]})
        yield client


@pytest.fixture
def tiktok(served: Client) -> Iterator[Client]:
    yield served
    served.control("faults", method="DELETE")


@pytest.fixture(scope="module")
def living(served: Client, tmp_path_factory: pytest.TempPathFactory) -> Living:
    return Living(served, tmp_path_factory.mktemp("living") / "ledgers")


@pytest.fixture
def target(target: Target) -> Target:
    target.config["access_token"] = TOKEN
    return target


@contextmanager
def committed(row: Row, endpoint: Endpoint, tiktok: Client) -> Iterator[None]:
    """Let the fault be there, and stay."""
    with pytest.MonkeyPatch.context() as patch:
        if row.order:
            done = {"after_effect": True} if getattr(row, endpoint.column) is DONE else {}
            tiktok.fault(path=endpoint.path, times=None, **row.order, **done)
        else:
            detour(patch, endpoint.path, row.detour.format(host=tiktok.url.partition("://")[2]))
        if row.order.keys() & {"delay_s", "drip_s"}:
            patch.setattr(transport, "ANSWER_TIMEOUT_S", 0.12)
        yield
    tiktok.control("faults", method="DELETE")


def detour(patch: pytest.MonkeyPatch, path: str, to: str) -> None:
    """Send the requests of one path to another address."""
    send = requests.adapters.HTTPAdapter.send

    def send_elsewhere(
        self: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        if request.url and path in request.url:
            request.url = to + path
        return send(self, request, **options)

    patch.setattr(requests.adapters.HTTPAdapter, "send", send_elsewhere)


def check(outcome: Outcome, row: Row, endpoint: Endpoint, target: Target) -> None:
    """Check how a run ended in which the fault stayed, and that nothing private was said."""
    end = getattr(row, endpoint.column)
    assert outcome.exit_code == end.exit_code, outcome.log
    least, most = end.pauses_s
    assert least <= sum(target.pauses) <= most
    assert outcome.log.count("Retrying in") == len(target.pauses)
    if end not in {DONE, FOUND}:
        assert row.advice in (outcome.last_line if end.exit_code else outcome.log)
    if end.exit_code and "code" in row.order:
        assert f"(code {row.order['code']}, request 20" in outcome.last_line
    assert bool(outcome.state) == (end in {DONE, FOUND} or endpoint.state_goes_out)
    written = outcome.stdout + outcome.log + json.dumps(outcome.report)
    assert "Traceback" not in written
    assert "SECRETTOKEN" not in written
    assert not re.search(r"\b[0-9a-f]{64}\b", written)
    assert files_with_marker(target.folder) == []


def calls(tiktok: Client, endpoint: Endpoint) -> int:
    return sum(request["path"] == endpoint.path for request in tiktok.requests())


def check_calls(row: Row, endpoint: Endpoint, made: int) -> None:
    """Check how often the call was made; before all else the list is looked at once, and that ends a run or nothing."""
    known = CODES.get(row.order.get("code", 0))
    ended_it = known and (known.kind is AccessDenied or row.order["code"] in NO_ADVERTISER)
    if endpoint.path.endswith("/list/") and not (ended_it or row.detour):
        made -= 1
    end = getattr(row, endpoint.column)
    if row.detour:
        assert made == 0
    elif end.calls is None:
        assert made > 2
    else:
        assert made == end.calls


def wait_for_effect(row: Row, endpoint: Endpoint, there: Callable[[], bool]) -> None:
    """Let the emulator do what the client no longer waits for."""
    if row.what.endswith("takes effect later") and endpoint.column in {"creating", "updating"}:
        deadline = time.monotonic() + 10
        while not there():
            assert time.monotonic() < deadline, "it was never done"
            time.sleep(0.01)


def kind(row: Row, endpoint: Endpoint) -> tuple[object, ...]:
    """Return what decides how a run ends: rows of one kind differ in code and words alone."""
    if "code" not in row.order:
        return (row.what,)
    code = row.order["code"]
    return type(refused(row, endpoint)), getattr(row, endpoint.column), code in NO_ADVERTISER


def refused(row: Row, endpoint: Endpoint) -> Refused:
    return refusal(endpoint.path, row.order["code"], row.order["message"], "20", datetime.now(UTC))


def cases(*names: str) -> pytest.MarkDecorator:
    """Play one row of each kind at the endpoints of these names; with `--long` every row."""
    chosen = [endpoint for endpoint in ENDPOINTS if endpoint.path.rsplit("/", 2)[1] in names or endpoint.path in names]
    assert len(chosen) == len(names)
    cells = [(row, endpoint) for row in ROWS for endpoint in chosen]
    if not os.environ.get("TEST_LONG"):
        cells = list({(endpoint.path, *kind(row, endpoint)): (row, endpoint) for row, endpoint in cells}.values())
    return pytest.mark.parametrize(
        ("row", "endpoint"),
        [pytest.param(row, endpoint, id=f"{row.what}-{endpoint.path}") for row, endpoint in cells],
    )


def test_no_code_is_left_out() -> None:
    assert {row.order["code"] for row in ROWS if "code" in row.order} > set(CODES)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_message_of_every_code_names_code_and_advice(endpoint: Endpoint) -> None:
    for row in ROWS:
        if "code" in row.order:
            message = str(refused(row, endpoint))
            assert f"(code {row.order['code']}, request 20)" in message
            if getattr(row, endpoint.column) in {FAILS, LONG, TWICE, HELD}:
                assert row.advice in message


@cases("/user/info/", "/advertiser/info/")
def test_a_credential_check(row: Row, endpoint: Endpoint, target: Target, tiktok: Client) -> None:
    before = calls(tiktok, endpoint)
    with committed(row, endpoint, tiktok):
        outcome = target.run(CHECK)
    check(outcome, row, endpoint, target)
    check_calls(row, endpoint, calls(tiktok, endpoint) - before)
    assert target.run(CHECK).exit_code == 0


@cases("list", "create")
def test_a_first_run(row: Row, endpoint: Endpoint, target: Target, tiktok: Client) -> None:
    name = f"{row.what} at {endpoint.path}"
    target.config |= {"audience_name": name, "min_audience_size": 1}

    def made() -> list[dict[str, Any]]:
        return [audience for audience in tiktok.control("audiences").json() if audience["name"] == name]

    before = calls(tiktok, endpoint)
    with committed(row, endpoint, tiktok):
        outcome = target.run(stream_of(1, 1))
    check(outcome, row, endpoint, target)
    check_calls(row, endpoint, calls(tiktok, endpoint) - before)
    wait_for_effect(row, endpoint, lambda: bool(made()))
    tiktok.advance(2)
    assert target.run(stream_of(1, 1)).exit_code == 0
    (audience,) = made()
    assert tiktok.members(audience["audience_id"]) == digests(1, 1)


@cases("get", "/dmp/custom_audience/file/upload/", "update")
def test_a_later_run(row: Row, endpoint: Endpoint, target: Target, tiktok: Client, living: Living) -> None:
    target.config |= {"audience_id": living.audience_id, "ledger_path": str(living.ledgers)}
    if living.state is None:
        living.bring(target)
    living.people += 1
    tiktok.advance(60)
    before = calls(tiktok, endpoint)
    with committed(row, endpoint, tiktok):
        outcome = target.run(living.messages())
    check(outcome, row, endpoint, target)
    check_calls(row, endpoint, calls(tiktok, endpoint) - before)
    living.state = outcome.state or living.state
    wait_for_effect(row, endpoint, lambda: bool(living.members < set(tiktok.members(living.audience_id))))
    living.bring(target)
    assert set(tiktok.members(living.audience_id)) == living.members
