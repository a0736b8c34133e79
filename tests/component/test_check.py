"""`check` against an emulated TikTok: each cause of trouble is told apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER, TOKEN, emulated
from support.singer import record, schema, state, stream_of
from support.target import MARKER
from support.terminal import COLUMNS, piped, typed

from target_tiktok_audiences.cli.check import check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.emulator_client import Client
    from support.target import Target

APP = {"app_id": "emulator-app", "app_secret": "emulator-secret"}


def checked(target: Target, *arguments: str, **config: Any) -> dict[str, Any]:
    """Give what `check --json` prints, and see that its exit code fits."""
    path = target.folder / "config.json"
    path.write_text(json.dumps({**target.config, **config}))
    ended = CliRunner().invoke(check, [*arguments, "--json", "--config", str(path)])
    assert MARKER not in ended.output
    assert TOKEN not in ended.output
    told: dict[str, Any] = json.loads(ended.stdout)
    assert ended.exit_code == (1 if told["outcome"] == "failed" else 0)
    return told


def troubles(told: dict[str, Any]) -> dict[str, str]:
    """Give the checks that are not well, with what to do."""
    return {each["check"]: each["todo"] for each in told["checks"] if each["outcome"] in {"failed", "warning"}}


def only(target: Target, *arguments: str, **config: Any) -> tuple[str, str]:
    """Give the one check that is not well, and what to do."""
    (trouble,) = troubles(checked(target, *arguments, **config)).items()
    return trouble


@pytest.fixture
def healthy(target: Target, tiktok: Client) -> Target:
    """Fill an audience, and let TikTok process that."""
    target.config.update(audience_name="Customers", **APP)
    target.run(stream_of(1, 1500))
    tiktok.advance(49)
    assert tiktok.control("audiences").json()[0]["is_valid"]
    tiktok.advance(-49)  # what is processed stays so
    return target


def people_with(values: Iterable[str | None]) -> list[dict[str, Any]]:
    return [schema(), *(record(number, email=value) for number, value in enumerate(values, 5000)), state()]


def test_all_is_well(healthy: Target) -> None:
    told = checked(healthy)
    assert troubles(told) == {}
    assert told["outcome"] == "ok"
    assert {each["about"].split()[0] for each in told["checks"] if each["about"]} == {"advertiser", "audience"}
    assert list(told["checks"][0]) == ["check", "outcome", "seen", "todo", "about"]


def test_it_changes_nothing(healthy: Target, tiktok: Client) -> None:
    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (healthy.folder / "ledgers").iterdir()}

    before, calls, held = files(), len(tiktok.requests()), tiktok.control("audiences").json()
    checked(healthy)
    assert files() == before
    assert tiktok.control("audiences").json() == held
    made = [call for call in tiktok.requests()[calls:] if call["method"] != "GET"]
    assert [(call["path"], call["files"], call["code"]) for call in made] == [
        ("/dmp/custom_audience/file/upload/", 0, 40002)
    ]


# Authentication errors


def test_a_wrong_token(healthy: Target) -> None:
    name, todo = only(healthy, access_token="emulator-other")
    assert (name, "`target-tiktok-audiences connect`" in todo) == ("token", True)


def test_an_expired_token(healthy: Target, tiktok: Client) -> None:
    tiktok.fault(path="/user/info/", code=40102, message="Access token expired.")
    name, todo = only(healthy)
    assert (name, "has expired" in todo) == ("token", True)


def test_a_token_of_another_app(healthy: Target) -> None:
    assert only(healthy, app_secret="other")[0] == "app"


def test_a_host_that_is_not_tiktoks(healthy: Target, tiktok: Client) -> None:
    name, todo = only(healthy, api_url=f"{tiktok.url}/elsewhere")
    assert (name, "`api_url`" in todo) == ("host", True)
    told = troubles(checked(healthy, api_url="http://127.0.0.1:9/open_api/v1.3"))
    assert told.keys() == {"host", "ledger"}  # ledgers belong to their host


# The advertiser does not appear


def test_an_advertiser_that_was_not_granted(healthy: Target, tiktok: Client) -> None:
    tiktok.control("advertisers", [{"advertiser_id": OTHER_ADVERTISER}])
    tiktok.control("tokens", {"token": "emulator-narrow", "advertiser_ids": [OTHER_ADVERTISER]})
    for app in (APP, dict.fromkeys(APP)):
        name, todo = only(healthy, access_token="emulator-narrow", **app)
        assert (name, "Business Center" in todo) == ("advertiser", True)


def test_an_account_that_is_not_enabled(healthy: Target, tiktok: Client) -> None:
    tiktok.control("advertisers", [{"advertiser_id": ADVERTISER, "status": "STATUS_LIMIT"}])
    assert only(healthy)[0] == "advertiser"


# Permissions


@pytest.mark.parametrize(("granted", "missing"), [(31, "scope_30"), (30, "scope_31")])
def test_a_missing_permission(healthy: Target, tiktok: Client, granted: int, missing: str) -> None:
    tiktok.control("tokens", {"token": "emulator-narrow", "scopes": [granted]})
    name, todo = only(healthy, access_token="emulator-narrow")
    assert (name, "Audience Management" in todo) == (missing, True)


def test_a_user_who_may_only_look(healthy: Target, tiktok: Client) -> None:
    message = f"No permission to operate advertiser {ADVERTISER}."
    tiktok.fault(path="/dmp/custom_audience/file/upload/", code=40001, message=message)
    name, todo = only(healthy)
    assert (name, "Admin or Operator" in todo) == ("role", True)


# The audience is not updating


def test_an_audience_that_is_gone(healthy: Target, tiktok: Client) -> None:
    (audience,) = tiktok.control("audiences").json()
    tiktok.delete(audience["audience_id"])
    name, todo = only(healthy)
    assert (name, "Also check `advertiser_id`" in todo) == ("audience", True)


def test_a_name_that_no_run_has_filled(healthy: Target) -> None:
    told = troubles(checked(healthy, audience_name="Custmers"))
    assert told.keys() == {"ledger", "audience"}
    assert "`audience_name`" in told["audience"]


def test_another_advertiser_than_before(healthy: Target, tiktok: Client) -> None:
    tiktok.control("advertisers", [{"advertiser_id": OTHER_ADVERTISER}])
    told = checked(healthy, advertiser_id=OTHER_ADVERTISER)
    assert troubles(told).keys() == {"ledger", "audience"}
    (ledger,) = [each for each in told["checks"] if each["check"] == "ledger"]
    assert f"for advertiser {ADVERTISER}." in ledger["seen"]
    assert "`advertiser_id`" in ledger["todo"]


def test_two_audiences_of_one_name(target: Target, tiktok: Client) -> None:
    for _ in range(2):
        tiktok.seed(name="Customers")
    told = troubles(checked(target, audience_name="Customers", **APP))
    assert "`audience_id`" in told["audience"]


def test_an_audience_of_another_contract(target: Target, tiktok: Client) -> None:
    tiktok.seed(name="Customers", calculate_type="PHONE_SHA256")
    target.run(stream_of(1, 1500), audience_name="Customers")
    told = troubles(checked(target, audience_name="Customers", **APP))
    assert "Correct `contract`" in told["contract"]
    assert told.keys() == {"contract", "last_run", "waiting"}


def test_a_stream_that_no_longer_comes(healthy: Target, tiktok: Client) -> None:
    tiktok.advance(24 * 8)
    told = troubles(checked(healthy))
    assert told.keys() == {"upstream", "clock"}  # it is the emulator's clock that was moved
    assert "selects this stream" in told["upstream"]
    assert troubles(checked(healthy, "--stale-days", "9")).keys() == {"clock"}


def test_nothing_changes_upstream(healthy: Target, tiktok: Client) -> None:
    tiktok.advance(24 * 8)
    healthy.run(stream_of(1, 1500))
    told = troubles(checked(healthy))
    assert told.keys() == {"upstream", "clock"}
    assert "adds or removes rows" in told["upstream"]


def test_a_difference_that_waits_too_long(healthy: Target, tiktok: Client) -> None:
    tiktok.fault(path="/dmp/custom_audience/update/", code=40002, message="Audience is not editable", times=None)
    healthy.run(stream_of(1, 1600))
    assert only(healthy)[0] == "waiting"
    tiktok.advance(73)
    told = checked(healthy)
    (waiting,) = [each for each in told["checks"] if each["check"] == "waiting"]
    assert (waiting["outcome"], "have been pending for 3 days." in waiting["seen"]) == ("failed", True)


def test_an_audience_that_is_being_processed(target: Target) -> None:
    target.config.update(audience_name="Customers", **APP)
    target.run(stream_of(1, 1500))
    told = checked(target)
    assert troubles(told) == {}
    assert any("processing a change" in each["seen"] for each in told["checks"])


def test_an_audience_that_is_too_small(target: Target) -> None:
    with emulated(match_rate=0.1) as tiktok:
        target.config.update(api_url=tiktok.base, audience_name="Customers", **APP)
        target.run(stream_of(1, 1500))
        tiktok.advance(49)
        told = troubles(checked(target))
    assert told.keys() == {"size", "clock"}
    assert "explain --digest" in told["size"]


@pytest.mark.parametrize(("expired", "outcome"), [(True, "failed"), (False, "warning")])
def test_an_audience_that_expires(target: Target, tiktok: Client, *, expired: bool, outcome: str) -> None:
    tiktok.seed(name="Customers", created_days_ago=340, retention_in_days=365, expired=expired)
    told = checked(target, audience_name="Customers", **APP)
    (size,) = [each for each in told["checks"] if each["check"] == "size"]
    assert (size["outcome"], "expire" in size["seen"]) == (outcome, True)


def test_a_change_that_tiktok_failed(healthy: Target, tiktok: Client) -> None:
    tiktok.fault(path="/dmp/custom_audience/update/", fail_later="Matching failed.")
    healthy.run(stream_of(1, 1600))
    tiktok.advance(25)
    healthy.run(stream_of(1, 1600))
    told = checked(healthy)
    (failed,) = [each for each in told["checks"] if each["check"] == "tiktok"]
    assert (failed["outcome"], "Matching failed" in failed["seen"]) == ("warning", True)


# Identifiers and hashing


@pytest.mark.parametrize(
    ("contract", "config", "value", "todo"),
    [
        ("PHONE_SHA256", {}, "(657) 777-0000", "Set `default_country`"),
        ("EMAIL_SHA256", {}, "ab" * 32, "`apply_hashing: false`"),
        ("EMAIL_SHA256", {"apply_hashing": False}, "a@x.org", "`apply_hashing: true`"),
        ("EMAIL_SHA256", {}, "x.org", "`identifier_field`"),
    ],
)
def test_identifiers_that_are_rejected(
    target: Target, contract: str, config: dict[str, Any], value: str, todo: str
) -> None:
    target.config.update(audience_name="Customers", contract=contract, identifier_field="email", **config, **APP)
    target.run(people_with([value] * 30))
    told = troubles(checked(target))
    assert todo in told["rejects"]
    assert told.keys() == {"audience", "last_run", "rejects"}


def test_records_without_identifiers(target: Target) -> None:
    target.config.update(audience_name="Customers", **APP)
    target.run(people_with([None] * 30))
    told = troubles(checked(target))
    assert "`identifier_field`" in told["missing"]
    assert told.keys() == {"audience", "last_run", "missing"}


# This machine


def test_a_clock_that_is_wrong(healthy: Target, tiktok: Client) -> None:
    tiktok.advance(1)
    assert only(healthy)[0] == "clock"


def test_a_ledger_folder_that_cannot_be(healthy: Target) -> None:
    (healthy.folder / "file").write_text("")
    told = troubles(checked(healthy, ledger_path=str(healthy.folder / "file" / "ledgers")))
    assert "another `ledger_path`" in told["ledger_path"]
    assert "a durable folder" in troubles(checked(healthy, ledger_path=":memory:"))["ledger_path"]


def test_a_damaged_ledger(healthy: Target) -> None:
    (database,) = (healthy.folder / "ledgers").glob("*.duckdb")
    database.write_bytes(b"no ledger" * 1000)
    assert only(healthy)[0] == "ledger"


def test_on_a_terminal_and_without_one(healthy: Target) -> None:
    checked(healthy)
    ended = typed("check", "--config", "config.json", folder=healthy.folder)
    assert ended.exit_code == 0
    assert ended.lines[-1] == "All checks passed."
    assert max(map(len, ended.lines)) <= COLUMNS
    checked(healthy, access_token="emulator-other")
    ended = piped("check", "--config", "config.json", folder=healthy.folder)
    assert (ended.exit_code, ended.stderr) == (1, "")
    assert "code 40105, request 20" in ended.stdout
    assert "Worst outcome: failed." in ended.stdout
