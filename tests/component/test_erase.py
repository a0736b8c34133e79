"""`erase`: who is erased leaves every audience, and never comes back."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import stat
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from click.testing import CliRunner, Result
from support.emulator_client import ADVERTISER, emulated
from support.singer import digests, email, people, record, schema, state, stream_of
from support.target import MARKER

from docs import ROOT
from target_tiktok_audiences.cli.erase import erase_command
from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.ledger.ledger import Ledger
from target_tiktok_audiences.sync.erasure import MEANINGS

if TYPE_CHECKING:
    from pathlib import Path

    from support.emulator_client import Client
    from support.target import Target

    from target_tiktok_audiences.ledger.metadata import LedgerMetadata
    from target_tiktok_audiences.ledger.session import LedgerSession

ERASED = 7
METHODS = ("append-only", "upsert", "overwrite")


def run_erase(
    target: Target, *arguments: str, given: str = email(ERASED), config: dict[str, Any] | None = None
) -> Result:
    path = target.folder / "erase.json"
    path.write_text(json.dumps({**target.config, **(config or {})}))
    result = CliRunner().invoke(erase_command, ["-", *arguments, "--config", str(path)], input=given)
    assert MARKER not in result.output
    assert hashlib.sha256(given.encode()).hexdigest() not in result.output.lower()
    return result


def erased(target: Target, *arguments: str, exit_code: int = 0, **options: Any) -> list[dict[str, Any]]:
    """Erase, and give the receipt's lines."""
    result = run_erase(target, "--json", *arguments, **options)
    assert result.exit_code == exit_code, result.output
    lines: list[dict[str, Any]] = json.loads(result.stdout)["audiences"]
    return lines


def members(tiktok: Client, name: str = "customers") -> list[str]:
    (audience,) = [found for found in tiktok.control("audiences").json() if found["name"] == name]
    return tiktok.members(audience["audience_id"])


def without(first: int, last: int, gone: int = ERASED) -> list[str]:
    return sorted(set(digests(first, last)) - set(digests(gone, gone)))


@pytest.fixture(params=METHODS)
def filled(target: Target, tiktok: Client, request: pytest.FixtureRequest) -> Target:
    """Fill an audience of 1,100 people, and let TikTok process that."""
    target.config["load_method"] = request.param
    target.run(stream_of(1, 1100))
    tiktok.advance(49)
    return target


def test_who_is_erased_leaves_now_and_never_comes_back(filled: Target, tiktok: Client) -> None:
    (line,) = erased(filled)
    assert (line["outcome"], len(line["request_ids"])) == ("removed", 1)
    assert members(tiktok) == without(1, 1100)
    for hours in (49, 1, 49, 49):
        tiktok.advance(hours)
        outcome = filled.run(stream_of(1, 1150))
        assert outcome.exit_code == 0, outcome.log
        assert digests(ERASED, ERASED)[0] not in members(tiktok)
    assert members(tiktok) == without(1, 1150)


def test_a_second_erasure_says_that_it_is_done(filled: Target, tiktok: Client) -> None:
    erased(filled)
    before = len(tiktok.requests())
    assert erased(filled)[0]["outcome"] == "leaving"
    tiktok.advance(49)
    filled.run([], load_method="append-only")
    (line,) = erased(filled)
    assert line["outcome"] == "erased_earlier"
    assert re.fullmatch(r"Erased on \d{4}-\d\d-\d\d\.", line["message"])
    paths = [request["path"] for request in tiktok.requests()[before:]]
    assert not [path for path in paths if path.endswith(("update/", "upload/"))]


def test_while_tiktok_processes_it_waits_for_the_next_run(filled: Target, tiktok: Client) -> None:
    filled.run(stream_of(1, 1150))
    (line,) = erased(filled)
    assert line["outcome"] == "waits"
    assert "processing" in line["message"]
    tiktok.advance(49)
    assert filled.run([]).audience["plan"] == "REMOVE"
    assert members(tiktok) == without(1, 1150)


def test_before_anything_was_sent_she_is_just_left_out(target: Target, tiktok: Client) -> None:
    target.run(stream_of(1, 999))
    assert erased(target)[0]["outcome"] == "not_a_member"
    target.run(stream_of(1, 1100))
    assert members(tiktok) == without(1, 1100)


def test_of_a_key_only_the_digest_is_kept_out(target: Target, tiktok: Client) -> None:
    target.config["load_method"] = "upsert"
    target.run(stream_of(1, 1100))
    tiktok.advance(49)
    erased(target)
    tiktok.advance(49)
    assert target.run([schema(), record(ERASED, email=email(5000))]).exit_code == 0
    assert members(tiktok) == sorted([*without(1, 1100), *digests(5000, 5000)])


def test_nobody_is_erased_twice_by_two_streams_that_share_her(target: Target, tiktok: Client) -> None:
    target.config |= {"audience_name": "customers", "load_method": "upsert"}
    target.run([*stream_of(1, 1100, "a"), *stream_of(1, 1100, "b")])
    tiktok.advance(49)
    erased(target)
    tiktok.advance(49)
    outcome = target.run([*stream_of(1, 1100, "a"), *stream_of(1, 1100, "b")])
    assert outcome.audience["desired"] == 1099
    assert members(tiktok) == without(1, 1100)


def test_every_audience_and_contract_that_can_hold_her(target: Target, tiktok: Client) -> None:
    phones = [record(n, email=email(n), phone=f"+49151{10000000 + n}") for n in range(1, 1101)]
    target.config["audiences"] = [
        {"contract": "EMAIL_SHA256", "audience_name": "customers"},
        {"contract": "EMAIL_SHA256", "audience_name": "others"},
        {"contract": "PHONE_SHA256", "audience_name": "phones"},
    ]
    target.run([schema(), *phones])
    tiktok.advance(49)
    assert [line["outcome"] for line in erased(target)] == ["removed", "removed"]
    assert members(tiktok, "others") == without(1, 1100)
    (phone,) = erased(target, "--default-country", "de", given="0151 10000007")
    assert (phone["audience"], phone["outcome"]) == ("phones", "removed")
    assert len(members(tiktok, "phones")) == 1099


def test_a_digest_and_several_identifiers(filled: Target, tiktok: Client) -> None:
    both = "".join(f"{hashlib.sha256(email(n).encode()).hexdigest()}\n" for n in (7, 8))
    result = run_erase(filled, "--digest", given=both)
    assert (result.exit_code, "2 identifiers" in result.output) == (0, True)
    assert members(tiktok) == sorted(set(digests(1, 1100)) - set(digests(7, 8)))


def test_an_audience_whose_feed_is_no_longer_there(filled: Target, tiktok: Client) -> None:
    config = {"audience_name": "Another", "contract": "PHONE_SHA256"}
    assert erased(filled, config=config)[0]["outcome"] == "removed"
    assert members(tiktok) == without(1, 1100)


def test_a_new_audience_does_not_get_her_either(filled: Target, tiktok: Client) -> None:
    erased(filled)
    filled.run(stream_of(1, 1100), audience_name="New")
    tiktok.advance(49)
    assert members(tiktok, "New") == without(1, 1100)


def test_without_its_ledger_she_is_taken_out_too(target: Target, tiktok: Client) -> None:
    first = target.run(stream_of(1, 1100))
    erased(target)  # waits
    for path in (target.folder / "ledgers").glob(f"{ADVERTISER}*"):
        path.unlink()
    tiktok.advance(49)
    messages = [{"type": "STATE", "value": first.state}] if first.state else []
    for _ in range(3):
        target.run([*messages, *stream_of(1, 1100)])
        tiktok.advance(49)
    assert members(tiktok) == without(1, 1100)


def test_below_the_floor_the_choice_is_the_users(target: Target, tiktok: Client) -> None:
    target.run(stream_of(1, 1000))
    tiktok.advance(49)
    result = run_erase(target)
    assert result.exit_code == 1
    assert "--delete-audience-if-needed" in result.output
    assert len(members(tiktok)) == 1000
    assert erased(target, "--delete-audience-if-needed", "--dry-run")[0]["outcome"] == "planned"
    assert len(members(tiktok)) == 1000
    (line,) = erased(target, "--delete-audience-if-needed")
    assert (line["outcome"], len(line["request_ids"])) == ("audience_deleted", 1)
    assert tiktok.control("audiences").json() == []
    assert erased(target)[0]["outcome"] == "erased_earlier"
    assert target.run([]).exit_code == 0, "nobody needs it"
    assert target.run(stream_of(1, 1100)).audience["plan"] == "CREATE"
    tiktok.advance(49)
    assert members(tiktok) == without(1, 1100)


def test_a_stranger_is_never_deleted(target: Target, tiktok: Client) -> None:
    tiktok.create(digests(1, 1000), custom_audience_name="customers")
    tiktok.advance(49)
    target.run(stream_of(1, 1000))
    tiktok.advance(49)
    (line,) = erased(target, "--delete-audience-if-needed", exit_code=1)
    assert "found by its name" in line["message"]
    assert len(members(tiktok)) == 1000


def test_an_audience_that_is_gone_holds_nobody(filled: Target, tiktok: Client) -> None:
    (audience,) = tiktok.control("audiences").json()
    tiktok.delete(audience["audience_id"])
    assert erased(filled)[0]["outcome"] == "gone"


def test_a_dry_run_changes_nothing(filled: Target, tiktok: Client) -> None:
    (line,) = erased(filled, "--dry-run")
    assert (line["outcome"], line["request_ids"]) == ("planned", [])
    assert not list((filled.folder / "ledgers").glob("erased*"))
    tiktok.advance(49)
    filled.run(stream_of(1, 1100))
    assert members(tiktok) == digests(1, 1100)


def test_while_a_run_has_the_audience_the_next_one_does_it(filled: Target, tiktok: Client) -> None:
    ledgers = LedgerCatalog(filled.folder / "ledgers", filled.folder)
    ((_, card),) = ledgers.cards()
    opened = ledgers.open(card)
    (line,) = erased(filled)
    opened.close()
    assert line["outcome"] == "waits"
    assert filled.run([]).audience["plan"] == "REMOVE", "its card owes an erasure, though no stream came"
    assert members(tiktok) == without(1, 1100)


def test_what_tiktok_refuses_is_done_by_the_next_run(filled: Target, tiktok: Client) -> None:
    tiktok.fault(path="/dmp/custom_audience/update/", code=50000, message="System error", times=None)
    (line,) = erased(filled, exit_code=1)
    assert (line["outcome"], "50000" in line["message"]) == ("failed", True)
    tiktok.control("faults", method="DELETE")
    assert filled.run([]).audience["plan"] == "REMOVE"
    assert members(tiktok) == without(1, 1100)


def test_a_removal_that_tiktok_fails_later_is_sent_again(filled: Target, tiktok: Client) -> None:
    tiktok.fault(path="/dmp/custom_audience/update/", fail_later="Matching failed.")
    erased(filled)
    tiktok.advance(49)
    assert filled.run([]).audience["plan"] == "REMOVE"
    tiktok.advance(49)
    assert members(tiktok) == without(1, 1100)


def test_the_receipt_is_a_file_that_only_the_user_reads(filled: Target) -> None:
    path = filled.folder / "receipt.json"
    os.umask(0o022)
    assert run_erase(filled, "--receipt", str(path)).exit_code == 0
    written = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert written["erasure"]["complete"] is True
    assert "at the source" in written["still_to_do"][0]
    ((line),) = written["audiences"]
    assert (line["outcome"], line["at"] is not None) == ("removed", True)


def test_what_is_no_identifier_erases_nobody(filled: Target) -> None:
    for given, told in (("nobody", "email_syntax"), ("a" * 64, "--digest"), (" \n", "no identifier")):
        result = run_erase(filled, given=given)
        assert (result.exit_code, told in result.output) == (1, True), result.output
    assert not list((filled.folder / "ledgers").glob("erased*"))


@pytest.mark.parametrize("config", [{"ledger_path": ":memory:"}, {"ledger_path": "elsewhere"}])
def test_where_no_ledger_is_nobody_is_erased(filled: Target, config: dict[str, Any], tmp_path: Path) -> None:
    os.chdir(tmp_path)
    result = run_erase(filled, config=config)
    assert (result.exit_code, "no ledger" in result.output) == (1, True)
    assert run_erase(filled, "--contract", "GAID_SHA256").exit_code == 1


def test_an_argument_is_taken_with_a_warning(filled: Target) -> None:
    path = filled.folder / "erase.json"
    path.write_text(json.dumps(filled.config))
    result = CliRunner().invoke(erase_command, [email(ERASED), "--config", str(path)])
    assert (result.exit_code, "in your shell history" in result.stderr) == (0, True)
    assert MARKER not in result.output


@pytest.mark.parametrize("arguments", [[email(1), email(2)], ["--contract", email(1)]])
def test_no_error_about_the_command_line_quotes_an_identifier(target: Target, arguments: list[str]) -> None:
    path = target.folder / "erase.json"
    path.write_text(json.dumps(target.config))
    result = CliRunner().invoke(erase_command, ["--config", str(path), *arguments])
    assert (result.exit_code, MARKER in result.output) == (2, False), result.output


def test_a_damaged_list_stops_every_run(filled: Target, tiktok: Client) -> None:
    erased(filled)
    (path,) = (filled.folder / "ledgers").glob("erased*")
    path.write_text("nonsense\n")
    outcome = filled.run(people(1, 1))
    assert outcome.exit_code == 1
    outcome = filled.run(stream_of(1, 1100))
    assert (outcome.exit_code, "is damaged" in outcome.last_line) == (1, True)
    assert members(tiktok) == without(1, 1100)


@pytest.mark.parametrize("step", ["may_hold", "call_rows", "intend", "accepted"])
def test_a_signal_ends_it_and_the_next_run_goes_on(filled: Target, tiktok: Client, step: str) -> None:
    taken = getattr(Ledger, step)

    def take(ledger: Ledger, *arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return taken(ledger, *arguments)

    with mock.patch.object(Ledger, step, take):
        assert run_erase(filled).exit_code == 128 + signal.SIGTERM
    tiktok.advance(49)
    outcome = filled.run([])
    assert outcome.exit_code == 0, outcome.log
    assert members(tiktok) == without(1, 1100)


def test_what_the_guard_would_stop_is_erased(filled: Target, tiktok: Client) -> None:
    many = "\n".join(email(number) for number in range(1, 101))
    config = {"max_removal_percent": 0}
    assert erased(filled, given=many, config=config)[0]["outcome"] == "removed"
    assert members(tiktok) == digests(101, 1100)
    tiktok.advance(49)
    assert filled.run(stream_of(1, 1100), **config).exit_code == 0


def test_every_outcome_is_explained() -> None:
    page = (ROOT / "docs/how-to/erase.md").read_text()
    for name, meaning in MEANINGS.items():
        assert f"| `{name}` | {meaning} |" in page


def test_a_ledger_that_cannot_be_used_does_not_stop_the_others(target: Target, tiktok: Client) -> None:
    target.config["audiences"] = [{"audience_name": "customers"}, {"audience_name": "others"}]
    target.run(stream_of(1, 1100))
    tiktok.advance(49)
    opened = LedgerCatalog.open

    def refuse(ledgers: LedgerCatalog, card: LedgerMetadata) -> LedgerSession:
        if card.name == "customers":
            raise OSError(errno.ENOSPC, "No space left on device", "ledger")
        return opened(ledgers, card)

    with mock.patch.object(LedgerCatalog, "open", refuse):
        lines = erased(target, exit_code=1)
    assert [(line["audience"], line["outcome"]) for line in lines] == [("customers", "failed"), ("others", "removed")]
    assert "Free disk space there" in lines[0]["message"]
    assert erased(target)[0]["outcome"] == "removed"
    assert members(tiktok) == members(tiktok, "others") == without(1, 1100)


@pytest.mark.parametrize("pinned", [True, False])
def test_a_digest_in_state_says_nothing_of_who_was_erased(target: Target, tiktok: Client, *, pinned: bool) -> None:
    audience = tiktok.create(digests(1, 1100), custom_audience_name="customers")
    tiktok.advance(49)
    if pinned:
        target.config["audience_id"] = audience
    messages = [schema(), *people(1, ERASED - 1), *people(ERASED + 1, 1100), state(1)]
    first = target.run(messages)
    tiktok.advance(49)
    second = target.run([{"type": "STATE", "value": first.state}, *messages])
    tiktok.advance(49)
    for file in (target.folder / "ledgers").glob("*.duckdb*"):
        file.unlink()
    assert erased(target)[0]["outcome"] == "removed"
    tiktok.advance(49)
    assert target.run([{"type": "STATE", "value": second.state}, *messages]).exit_code == 0
    tiktok.advance(49)
    assert members(tiktok) == without(1, 1100)


def test_while_a_creation_may_still_show_up_an_erasure_waits(target: Target) -> None:
    with emulated(processing_hours=24, list_lag_seconds=600) as tiktok:
        target.config["api_url"] = tiktok.base
        tiktok.fault(path="/dmp/custom_audience/create/", drop="after")
        target.run(stream_of(1, 1100))
        assert erased(target)[0]["outcome"] == "waits"
        tiktok.advance(49)
        assert erased(target)[0]["outcome"] == "removed"
        tiktok.advance(49)
        assert members(tiktok) == without(1, 1100)


def test_text_in_another_encoding_erases_nobody(filled: Target) -> None:
    path = filled.folder / "erase.json"
    path.write_text(json.dumps(filled.config))
    latin = CliRunner().invoke(erase_command, ["-", "--config", str(path)], input="josé@example.com".encode("latin-1"))
    assert (latin.exit_code, "not valid UTF-8" in latin.output) == (1, True)
    assert not list((filled.folder / "ledgers").glob("erased*"))
    with_mark = CliRunner().invoke(erase_command, ["-", "--config", str(path)], input=email(ERASED).encode("utf-8-sig"))
    assert (with_mark.exit_code, "removed" in with_mark.output) == (0, True)
