"""`advertisers` and `audiences`: what is where."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER, TOKEN, emulated
from support.singer import digests, email, stream_of
from support.terminal import COLUMNS, EXECUTABLE, environment, piped, typed

from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.ledger.snapshot import read_snapshots
from target_tiktok_audiences.tiktok.client import TikTok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.emulator_client import Client
    from support.target import Target
    from support.terminal import Ended

    from target_tiktok_audiences.ledger.snapshot import LedgerSnapshot

APP = {"app_id": "emulator-app", "app_secret": "emulator-secret"}
CONFIG = ("--config", "config.json")


def configure(target: Target, **config: Any) -> None:
    target.config.update(config)
    (target.folder / "config.json").write_text(json.dumps(target.config))


def asked(target: Target, *arguments: str) -> Ended:
    return piped(*arguments, *CONFIG, folder=target.folder)


def answer(target: Target, *arguments: str, exit_code: int = 0) -> Any:
    ended = asked(target, *arguments, "--json")
    assert ended.exit_code == exit_code, ended.stderr
    return json.loads(ended.stdout)


# advertisers


@pytest.fixture
def shops(target: Target, tiktok: Client) -> Target:
    """Let there be three advertisers, of whom the configuration names two."""
    more = [{"advertiser_id": OTHER_ADVERTISER, "name": "Shop"}, {"advertiser_id": "7000000000000000003"}]
    tiktok.control("advertisers", more)
    configure(target, audiences=[{"advertiser_id": OTHER_ADVERTISER}, {"advertiser_id": ADVERTISER}])
    return target


def test_all_granted_advertisers_are_listed_and_the_configured_ones_marked(shops: Target) -> None:
    configure(shops, **APP)
    told = answer(shops, "advertisers")
    marks = {row["advertiser_id"]: (row["configured"], row["granted"]) for row in told["advertisers"]}
    assert marks == {
        OTHER_ADVERTISER: (True, True),
        ADVERTISER: (True, True),
        "7000000000000000003": (False, True),
    }
    assert told["note"] is None
    assert told["advertisers"][0] == {
        "advertiser_id": OTHER_ADVERTISER,
        "name": "Shop",
        "status": "STATUS_ENABLE",
        "country": "US",
        "currency": "USD",
        "timezone": "Etc/GMT-13",
        "configured": True,
        "granted": True,
        "error": None,
    }


def test_without_the_app_the_configured_ones_are_looked_up_and_what_is_missing_is_said(shops: Target) -> None:
    told = answer(shops, "advertisers")
    assert [row["advertiser_id"] for row in told["advertisers"]] == [OTHER_ADVERTISER, ADVERTISER]
    assert {row["granted"] for row in told["advertisers"]} == {None}
    assert "`app_id` and `app_secret`" in told["note"]
    configure(shops, app_id="emulator-app")
    assert "set `app_secret`" in asked(shops, "advertisers").stdout


def test_one_that_is_not_granted_is_a_row_with_the_reason_and_exit_code_1(shops: Target, tiktok: Client) -> None:
    tiktok.control("tokens", {"token": "emulator-narrow", "advertiser_ids": [ADVERTISER]})
    for config in ({}, APP):
        configure(shops, access_token="emulator-narrow", **config)
        told = answer(shops, "advertisers", exit_code=1)
        rows = {row["advertiser_id"]: row for row in told["advertisers"]}
        assert rows.keys() == {ADVERTISER, OTHER_ADVERTISER}
        assert rows[ADVERTISER]["error"] is None
        assert f"No permission to operate advertiser {OTHER_ADVERTISER}" in rows[OTHER_ADVERTISER]["error"]
        assert rows[OTHER_ADVERTISER]["granted"] is (False if config else None)
    told = asked(shops, "advertisers")
    assert "not granted" in told.stdout
    assert "No permission" not in told.stdout, "the reason has a line of its own"
    assert f"Error: Advertiser {OTHER_ADVERTISER}: TikTok refused" in told.stderr


def test_one_that_spoils_the_details_of_all_leaves_their_names(shops: Target, tiktok: Client) -> None:
    configure(shops, **APP)
    tiktok.fault(path="/advertiser/info/", code=40001, message="No permission to operate advertiser 3.")
    tiktok.fault(path="/user/info/", code=40001, message="The access token lacks the required scope.")
    rows = {row["advertiser_id"]: row for row in answer(shops, "advertisers")["advertisers"]}
    assert (rows[OTHER_ADVERTISER]["name"], rows[OTHER_ADVERTISER]["error"]) == ("Shop", None)
    third = rows["7000000000000000003"]
    assert (third["name"], third["status"], "40001" in third["error"]) == ("Emulated advertiser", None, True)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"access_token": "emulator-other"}, ["40105", "`target-tiktok-audiences connect`"]),
        ({**APP, "app_secret": "SECRETOFAPP"}, ["40113", "The app id or its secret is incorrect", "Check the app"]),
        ({"api_url": "http://127.0.0.1:9/open_api/v1.3"}, ["cannot be reached", "`api_url`"]),
    ],
)
def test_what_goes_wrong_is_one_line(shops: Target, config: dict[str, Any], words: list[str]) -> None:
    configure(shops, **config)
    ended = piped("advertisers", *CONFIG, folder=shops.folder, TARGET_TIKTOK_AUDIENCES_LOGLEVEL="DEBUG")
    assert (ended.exit_code, ended.stdout) == (1, "")
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    for word in words:
        assert word in last
    for secret in (*(str(value) for name, value in config.items() if name != "api_url"), TOKEN, "emulator-secret"):
        assert secret not in ended.stderr


def test_the_secret_is_in_no_log_however_that_is_set_up(shops: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(shops, **APP)
    everything = {"handlers": ["default"], "level": "DEBUG", "propagate": False}
    logs = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"default": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}},
        "root": everything,
        "loggers": {"urllib3.connectionpool": everything},
    }
    (shops.folder / "logging.yaml").write_text(json.dumps(logs))
    monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", str(shops.folder / "logging.yaml"))
    ended = asked(shops, "advertisers")
    assert ended.exit_code == 0
    assert "oauth2/advertiser/get" not in ended.stderr
    assert APP["app_secret"] not in ended.stdout + ended.stderr


def test_a_secret_that_tiktok_quotes_is_not_shown(shops: Target, tiktok: Client) -> None:
    configure(shops, **APP)
    said = f"app {APP['app_secret']} of token {TOKEN}"
    tiktok.fault(path="/oauth2/advertiser/get/", code=40113, message=said)
    assert "app *** of token ***" in asked(shops, "advertisers").stderr


def test_advertisers_are_looked_up_by_the_hundred(tiktok: Client) -> None:
    ids = [str(7_100_000_000_000_000_000 + number) for number in range(250)]
    tiktok.control("advertisers", [{"advertiser_id": each} for each in ids])
    client = TikTok(TOKEN, tiktok.base)
    assert [found.advertiser_id for found in client.advertisers(ids)] == ids
    assert len(client.granted_advertisers("emulator-app", "emulator-secret")) == 251
    client.close()
    assert [call["path"] for call in tiktok.requests()].count("/advertiser/info/") == 3


def test_advertisers_fit_a_terminal(shops: Target) -> None:
    configure(shops, **APP)
    ended = typed("advertisers", *CONFIG, folder=shops.folder)
    assert ended.exit_code == 0
    assert f"* {OTHER_ADVERTISER} Shop enable US, USD, Etc/GMT-13" in ended.words
    assert max(map(len, ended.lines)) <= COLUMNS


# audiences


def looks_at(target: Target, temporary: str) -> list[LedgerSnapshot]:
    return read_snapshots(target.folder / "ledgers", Path(temporary), lambda _: True)


def row(told: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in told["audiences"] if each["name"] == name]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def filled(target: Target, tiktok: Client) -> Target:
    """Fill one audience, let a difference wait for it, and let there be others."""
    tiktok.seed(name="Visitors", audience_type="Website Audience")
    tiktok.seed(name="Buyers", calculate_type="PHONE_SHA256", created_days_ago=320, retention_in_days=365)
    tiktok.seed(name="Theirs", advertiser_id=OTHER_ADVERTISER, shared_with=[ADVERTISER])
    configure(target, audience_name="Customers")
    target.run(stream_of(1, 1500))
    target.run(stream_of(1, 1700))
    return target


def test_every_audience_is_listed_and_ours_with_what_their_ledger_knows(filled: Target) -> None:
    told = answer(filled, "audiences")
    assert told["errors"] == []
    assert [each["name"] for each in told["audiences"]] == ["Customers", "Theirs", "Buyers", "Visitors"]
    ours = row(told, "Customers")
    assert (ours["ours"], ours["state"], ours["contract"], ours["valid"]) == (True, "processing", "EMAIL_SHA256", False)
    ledger = ours["ledger"]
    assert ledger.pop("held_since")
    (part,) = ledger.pop("streams")
    assert part.pop("seen_at")
    assert part == {"stream": "customers", "field": "email", "load_method": "append-only", "people": 1700}
    assert ledger == {
        "busy": False,
        "problem": None,
        "desired": 1700,
        "delivered": 1500,
        "to_add": 200,
        "to_remove": 0,
        "in_flight": 1,
    }
    buyers = row(told, "Buyers")
    assert (buyers["ours"], buyers["expiring"], buyers["expired"], buyers["size"]) == (False, True, False, 1000)
    assert (row(told, "Visitors")["type"], row(told, "Visitors")["contract"]) == ("Website Audience", None)
    assert (row(told, "Theirs")["owned"], row(told, "Theirs")["ledger"]) == (False, None)


def test_looking_changes_nothing(filled: Target, tiktok: Client) -> None:
    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (filled.folder / "ledgers").iterdir()}

    before, calls = files(), len(tiktok.requests())
    answer(filled, "audiences")
    assert files() == before
    assert {call["method"] for call in tiktok.requests()[calls:]} == {"GET"}
    missing = filled.folder / "elsewhere"
    configure(filled, ledger_path=str(missing))
    assert row(answer(filled, "audiences"), "Customers")["ledger"] is None
    assert not missing.exists()


def test_an_audience_that_was_deleted_and_one_never_created_have_rows(filled: Target, tiktok: Client) -> None:
    filled.run(stream_of(1, 10, "few"), audience_name="Few")
    audience_id = row(answer(filled, "audiences"), "Customers")["audience_id"]
    assert tiktok.delete(audience_id)["code"] == 0
    told = answer(filled, "audiences")
    assert (row(told, "Customers")["state"], row(told, "Customers")["audience_id"]) == ("gone", audience_id)
    few = row(told, "Few")
    assert (few["state"], few["audience_id"], few["ledger"]["desired"]) == ("not created", None, 10)


def test_two_of_one_name_are_told(target: Target, tiktok: Client) -> None:
    tiktok.seed(name="Customers")
    tiktok.seed(name="Customers")
    configure(target, audience_name="Customers")
    assert [each["state"] for each in answer(target, "audiences")["audiences"]] == ["ambiguous", "ready", "ready"]


def test_states_follow_the_clock(filled: Target, tiktok: Client) -> None:
    tiktok.advance(49)
    assert row(answer(filled, "audiences"), "Customers")["state"] == "ready"
    tiktok.advance(24 * 400)
    told = answer(filled, "audiences")
    assert (row(told, "Customers")["state"], row(told, "Customers")["expired"]) == ("expired", True)


def test_too_small_is_told_after_48_hours(target: Target) -> None:
    with emulated(match_rate=0.1, processing_hours=24) as tiktok:
        configure(target, api_url=tiktok.base, audience_name="Customers")
        target.run(stream_of(1, 1500))
        tiktok.advance(30)
        assert row(answer(target, "audiences"), "Customers")["state"] == "processing"
        tiktok.advance(20)
        assert row(answer(target, "audiences"), "Customers")["state"] == "too small"


def test_what_another_machine_does_is_not_called_too_small(target: Target, tiktok: Client) -> None:
    configure(target)
    words = f"Advertiser {ADVERTISER} has no audience and no ledger.\n"
    assert asked(target, "audiences").stdout == words
    tiktok.seed(name="Customers", random_members=10, created_days_ago=30)
    assert row(answer(target, "audiences"), "Customers")["state"] == "no size yet"
    assert "no size yet: still processing, or too small, EMAIL_SHA256" in asked(target, "audiences").stdout


def test_who_was_erased_is_owed_no_delivery(target: Target) -> None:
    configure(target, audience_name="Customers")
    target.run(stream_of(1, 1500))
    piped("erase", "-", *CONFIG, folder=target.folder, given=email(7))
    assert "1,499 of 1,499 delivered, 1 to remove" in asked(target, "audiences").stdout


def test_an_advertiser_that_tiktok_refuses_leaves_the_others_and_the_ledgers(filled: Target, tiktok: Client) -> None:
    tiktok.control("advertisers", [{"advertiser_id": OTHER_ADVERTISER}])
    tiktok.control("tokens", {"token": "emulator-narrow", "advertiser_ids": [OTHER_ADVERTISER]})
    feeds = [{"advertiser_id": ADVERTISER}, {"advertiser_id": OTHER_ADVERTISER, "audience_name": "Theirs"}]
    configure(filled, access_token="emulator-narrow", audiences=feeds)
    told = answer(filled, "audiences", exit_code=1)
    assert row(told, "Customers")["state"] == "unknown"
    assert row(told, "Customers")["ledger"]["delivered"] == 1500
    assert row(told, "Theirs")["advertiser_id"] == OTHER_ADVERTISER
    (error,) = told["errors"]
    assert "No permission to operate advertiser" in error
    one = answer(filled, "audiences", "--advertiser", OTHER_ADVERTISER)
    assert {each["advertiser_id"] for each in one["audiences"]} == {OTHER_ADVERTISER}


@pytest.fixture
def running(filled: Target) -> Iterator[subprocess.Popen[bytes]]:
    """Give a run that has the ledger open and waits for the rest of its stream."""
    process = subprocess.Popen(
        [*EXECUTABLE, *CONFIG],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=filled.folder,
        env=environment(filled.folder),
    )
    assert process.stdin
    process.stdin.write("".join(f"{json.dumps(message)}\n" for message in stream_of(1, 1800)).encode())
    process.stdin.flush()
    with TemporaryDirectory() as name:
        while not any(look.busy for look in looks_at(filled, name)):
            assert process.poll() is None
    yield process
    process.kill()
    process.communicate()


def test_a_run_and_a_look_do_not_meet(filled: Target, tiktok: Client, running: subprocess.Popen[bytes]) -> None:
    ledger = row(answer(filled, "audiences"), "Customers")["ledger"]
    assert (ledger["busy"], ledger["delivered"], ledger["problem"]) == (True, 1500, None)
    assert "in use by a run" in typed("audiences", *CONFIG, folder=filled.folder).words
    tiktok.advance(49)
    running.communicate(timeout=60)
    assert running.returncode == 0
    audience_id = row(answer(filled, "audiences"), "Customers")["audience_id"]
    assert tiktok.members(audience_id) == digests(1, 1800)


def test_looks_beside_a_run_that_writes_stop_nobody(filled: Target, tiktok: Client) -> None:
    stop = threading.Event()
    problems: list[str] = []

    def look() -> None:
        with TemporaryDirectory() as name:
            while not stop.is_set():
                looks = looks_at(filled, name)
                problems.extend(look.problem for look in looks if look.problem and not look.busy)

    watching = threading.Thread(target=look)
    watching.start()
    try:
        for last in range(2000, 2600, 200):
            tiktok.advance(49)
            given = "".join(f"{json.dumps(message)}\n" for message in stream_of(1, last))
            ended = piped(*CONFIG, folder=filled.folder, given=given)
            assert ended.exit_code == 0, ended.stderr
    finally:
        stop.set()
        watching.join()
    assert problems == []


def test_a_ledger_that_cannot_be_read_says_so_in_its_row(filled: Target) -> None:
    (database,) = (filled.folder / "ledgers").glob("*.duckdb")
    database.write_bytes(b"no ledger" * 1000)
    ledger = row(answer(filled, "audiences"), "Customers")["ledger"]
    assert ledger["problem"]
    assert ledger["desired"] is None
    assert database.exists()
    database.unlink()
    assert "missing" in row(answer(filled, "audiences"), "Customers")["ledger"]["problem"]
    assert len(LedgerCatalog(filled.folder / "ledgers", filled.folder, dry_run=True).cards()) == 1


def test_audiences_fit_a_terminal(filled: Target) -> None:
    ended = typed("audiences", *CONFIG, folder=filled.folder)
    assert ended.exit_code == 0
    assert f"Advertiser {ADVERTISER}" in ended.stdout
    assert max(map(len, ended.lines)) <= COLUMNS
    assert any(line.startswith("│ * │ Customers") for line in ended.lines)
    whole = asked(filled, "audiences").stdout
    assert "1,500 of 1,700 delivered, 200 to add, 1 in flight, held since " in whole


def test_a_signal_ends_it(shops: Target, tiktok: Client) -> None:
    tiktok.fault(path="/user/info/", delay_s=20)
    process = subprocess.Popen(
        [*EXECUTABLE, "advertisers", *CONFIG],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=shops.folder,
        env=environment(shops.folder),
    )
    while not tiktok.requests():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=10)
    assert (process.returncode, stdout, stderr) == (128 + signal.SIGINT, b"", b"")
