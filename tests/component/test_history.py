"""`history`: what the ledgers remember, and why an audience is smaller than its table."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from unittest import mock

from support.history_runs import run_history
from support.singer import digests, people, record, schema, state
from support.terminal import COLUMNS, typed

from docs import ROOT
from target_tiktok_audiences.cli.history import BLOCKS, _course
from target_tiktok_audiences.contracts.rejection import Rejection
from target_tiktok_audiences.history.funnel import WORDS, why_smaller
from target_tiktok_audiences.history.journal import COUNTED, History, JournalEntry
from target_tiktok_audiences.ledger import snapshot
from target_tiktok_audiences.ledger.catalog import LedgerCatalog

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from support.emulator_client import Client
    from support.target import Target

CONTROL = re.compile("[\0-\x09\x0b-\x1f]")


def audiences(target: Target, *arguments: str) -> list[dict[str, Any]]:
    result = run_history(target, "--json", *arguments)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["audiences"]
    return found


def test_every_run_is_there(filled: Target) -> None:
    customers, lapsed = audiences(filled)
    assert [run["plan"] for run in customers["runs"]] == ["CREATE", "APPEND", "HOLD"]
    last = customers["runs"][-1]
    assert (last["desired"], last["delivered"], last["waiting"], last["outcome"]) == (1251, 1250, 1, "held")
    assert last["rejected"] == {"email_syntax": 2}
    assert (customers["size"], customers["erased"]) == (1200, 0)
    assert (lapsed["audience"], lapsed["runs"][0]["added"]) == ("Win back <b>", 1050)


def test_why_it_is_smaller_adds_up(filled: Target) -> None:
    (customers,) = audiences(filled, "Customers")
    steps = customers["why_smaller"]
    assert [(step["name"], step["count"]) for step in steps] == [
        ("read", 1256),
        ("missing", 1),
        ("email_syntax", 2),
        ("deleted", 1),
        ("superseded", 1),
        ("accepted", 1251),
        ("desired", 1251),
        ("waiting", 1),
        ("delivered", 1250),
        ("newer", 50),
        ("matched", 1200),
    ]
    level = 0
    for step in steps:
        level = {"total": step["count"], "less": level - step["count"], "more": level + step["count"]}[step["kind"]]
        if step["kind"] == "total":
            assert level == step["count"]
    assert all(step["meaning"] for step in steps)


def test_a_table_and_sparks(filled: Target) -> None:
    told = run_history(filled, "Customers")
    assert told.exit_code == 0
    for words in (
        "Why is the audience smaller",
        "email_syntax 2",
        "1,250 of 1,251 delivered",
        "Message of the last run: TikTok is processing",
        "The last 3 of 3 runs",
        "TikTok last showed 1,200, or 100 for each 100",
    ):
        assert words in told.output
    assert set(BLOCKS) & set(told.output)
    assert not CONTROL.search(told.output)
    both = run_history(filled)
    assert both.output.count("Audience ") >= 2


def test_by_id_and_what_is_not_there(filled: Target) -> None:
    (customers,) = audiences(filled, "Customers")
    assert audiences(filled, customers["audience_id"]) == [customers]
    told = run_history(filled, "Nobody")
    assert (told.exit_code, "no ledger" in told.output) == (1, True)
    assert run_history(filled, ledger_path=":memory:").exit_code == 1


def test_a_run_at_work_is_neither_disturbed_nor_in_the_way(filled: Target, tiktok: Client) -> None:
    ledgers = LedgerCatalog(filled.folder / "ledgers", filled.folder)
    (_, card) = ledgers.cards()[0]
    opened = ledgers.open(card)
    try:
        opened.ledger.journal({"plan": "NOTHING", "outcome": "ok"}, opened.ledger.runs()[0][0])
        (customers,) = audiences(filled, card.name)
        assert len(customers["runs"]) == len(opened.ledger.runs())
    finally:
        opened.close()
    assert filled.run([]).exit_code == 0
    assert tiktok.control("audiences").json()


def test_while_it_is_written_it_says_so(filled: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    stamps = iter(range(100))
    monkeypatch.setattr(snapshot, "_stamps", lambda _: [next(stamps)])
    told = run_history(filled, "Customers")
    assert (told.exit_code, "try again" in told.output) == (1, True)


def test_erased_people_are_counted(filled: Target, tiktok: Client) -> None:
    ledgers = filled.folder / "ledgers"
    (ledgers / "erased-EMAIL_SHA256.txt").write_text(f"{digests(5, 5)[0]} 2026-01-01T00:00:00+00:00\n")
    tiktok.advance(49)
    filled.run([])
    assert audiences(filled, "Customers")[0]["erased"] == 1


def test_without_the_extra_it_says_what_to_install(filled: Target, tmp_path: Path) -> None:
    with mock.patch("target_tiktok_audiences.cli.history.find_spec", return_value=None):
        told = run_history(filled, "--html", str(tmp_path / "page.html"))
    assert (told.exit_code, "[history]" in told.output) == (1, True)


def test_courses() -> None:
    assert _course([]) == ""
    assert _course([0]) == "▁"
    assert _course([0, 50, None, 100]) == "▁▄█"
    assert _course([1000, 999]) == "█▇", "a tenth of a per cent is no crash"
    assert len(_course(list(range(100)))) < 80


def run_of(**figures: Any) -> JournalEntry:
    books = {**dict.fromkeys(COUNTED, 0), **figures.pop("books", {})}
    plain = {"at": "2026-01-01T00:00:00+00:00", "plan": None, "outcome": "ok", "message": "", "held_since": None}
    counts = dict.fromkeys(("desired", "delivered_before", "delivered", "added", "removed", "waiting"), 0)
    return JournalEntry(**{**plain, **counts, "rejected": {}, "size": None, **figures, "books": books})


def steps(*runs: JournalEntry) -> dict[str, int]:
    return {
        step.name: step.count for step in why_smaller(History("a", None, "7", "EMAIL_SHA256", "upsert", list(runs)))
    }


def test_people_of_other_runs_and_streams() -> None:
    brought = run_of(books={"read": 10, "accepted": 10}, desired=100, delivered_before=100, delivered=100, size=130)
    assert steps(brought) == {
        "read": 10, "accepted": 10, "others": 90, "desired": 100, "delivered": 100, "several": 30, "matched": 130
    }  # fmt: skip
    later = run_of(desired=6, delivered=8)
    assert steps(brought, later) == {
        "read": 10, "accepted": 10, "fewer": 4, "desired": 6, "leaving": 2, "delivered": 8, "older": 92,
        "several": 30, "matched": 130,
    }  # fmt: skip
    assert steps(run_of()) == {}


def test_figures_are_whole_on_a_terminal(filled: Target, tiktok: Client) -> None:
    tiktok.advance(49)
    filled.run([schema(), *people(1, 1251), record(2002, email="nobody"), state()])
    (filled.folder / "config.json").write_text(json.dumps(filled.config))
    for arguments in (("Customers",), ()):
        ended = typed("history", *arguments, "--config", "config.json", folder=filled.folder)
        assert ended.exit_code == 0
        assert max(len(line) for line in ended.lines if line[0] in "┏│") <= COLUMNS
        cells = {cell.strip() for line in ended.lines for cell in line.split("│")}
        assert {"1,251", "1,250", "Customers"} <= cells, ended.stdout
        words = set(re.findall(r"[A-Za-z_']+", ended.stdout))
        whole = (
            {"Delivered", "Size"} if not arguments else {"email_syntax", "accepted", "rejected", "pending", "Outcome"}
        )
        assert whole <= words, ended.stdout


def test_every_word_is_on_its_page() -> None:
    page = (ROOT / "docs/smaller.md").read_text()
    for name, words in WORDS.items():
        assert f"| `{name}` | {words} |" in page
    assert {reason.value for reason in Rejection} <= WORDS.keys()
    assert set(COUNTED) <= WORDS.keys()
