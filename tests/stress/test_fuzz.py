"""Random changes of valid streams: every run ends well or with a message, tells nothing, and reaches nobody else.

Two tiers: `read` goes as far as the staged lines, many thousand times; `run` is the whole target against the emulator.
A case is known by its number: `FUZZ_CASE=123 pytest tests/stress/test_fuzz.py` plays it again. TEST_LONG plays
a million.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tempfile
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.singerlib.json import serialize_json
from support.emulator_client import ADVERTISER, NOWHERE, TOKEN, emulated
from support.fuzzing import ONE, cases, no_ledgers
from support.mutations import PHONE, ROW_KEY, TEXT, Corpus
from support.singer import email, schema
from support.target import MARKER

from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.contracts.rejection import Rejected
from target_tiktok_audiences.ledger.staging import NO_DIGEST
from target_tiktok_audiences.sync.state import KEY
from target_tiktok_audiences.target import EXPECTED, TargetTikTokAudiences, _last_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.emulator_client import Client

    from target_tiktok_audiences.ledger.staging import Part

LONG = bool(os.environ.get("TEST_LONG"))


BLOCK_READ, BLOCK_RUN = 2500, 50
READ = [int(ONE) // BLOCK_READ] if ONE else range(400 if LONG else 6)
RUN = [int(ONE) // BLOCK_RUN] if ONE else range(100 if LONG else 4)


SECRETS = re.compile(re.escape(MARKER) + r"\d|" + re.escape(ROW_KEY) + r"\d|" + re.escape(PHONE[1:]) + r"\d")


class Given:
    """What an input holds, as far as it can be read."""

    def __init__(self, data: bytes) -> None:
        self.messages = [m for line in data.split(b"\n") if isinstance(m := _parse(line), dict)]

    def digests(self, corpus: Corpus) -> set[str]:
        """Give the digest of every text in the records that can be an identifier."""
        contracts = {corpus.contract, *(feed.get("contract") for feed in corpus.config.get("audiences", []))}
        digesters = [CONTRACTS[name].digester() for name in contracts if name]
        records = [message.get("record") for message in self.messages]
        found = set()
        for text in set(_texts(records, written="flattening_enabled" in corpus.config)):
            for digester in digesters:
                try:
                    digest = digester(text)
                except Rejected:
                    continue
                found |= {digest.hex()} if digest else set()
        return found

    def names(self) -> str:
        """Give what a message may tell: names of streams, and titles, which name audiences."""
        schemas = [message.get("schema") for message in self.messages]
        titles = [each.get("title") for each in schemas if isinstance(each, dict)]
        return json.dumps([*titles, *(message.get("stream") for message in self.messages)])

    def states(self) -> list[Any]:
        return [_without_our_entry(message.get("value")) for message in self.messages if message.get("type") == "STATE"]


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _texts(value: Any, *, written: bool) -> Iterator[str]:
    """Give all texts inside a value; `written` adds lists and objects as flattening writes them."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, (dict, list)):
            waiting += inner.values() if isinstance(inner, dict) else inner
            if written:
                yield serialize_json(inner)


def _without_our_entry(state: Any) -> str:
    if isinstance(state, dict):
        state = {key: value for key, value in state.items() if key != KEY}
        if isinstance(bookmarks := state.get("bookmarks", {}), dict):
            state["bookmarks"] = {key: value for key, value in bookmarks.items() if key != KEY}
    return json.dumps(state, sort_keys=True)


def check_told(given: Given, log: str) -> None:
    """Check a log: one line an event, and nothing of a record in it."""
    assert not SECRETS.search(log) or SECRETS.search(given.names()), "an identifier was told"
    for word in ("Internal error", "Traceback", "\n2026-01-01 ERROR", "\x1b"):
        assert word not in log


# As far as the staged lines

AT_LEAST = {
    "read": 700,
    "staged": 1000,
    "rejected": 100,
    "InvalidInputLine": 300,
    "RecordsWithoutSchemaException": 50,
    "MissingKeyPropertiesError": 20,
    "StreamMismatch": 10,
    "by a map": 3,
    "BadRecord": 2,
}
"""How often each must come in a block, so that the fuzzing cannot pass by having refused everything, or nothing."""


def check_staged(part: Part, allowed: set[str]) -> int:
    """Check one part: its books balance with its lines, and whom these name was in a record. Gives their number."""
    part.close()
    lines = part.path.read_text().splitlines()
    identified = [digest for line in lines if (digest := line.split(",")[0]) != NO_DIGEST]
    part.books.accepted = len(identified)  # duplicates among them; DuckDB tells these apart
    part.books.check()
    assert set(identified) <= allowed, "a digest of nobody in the input"
    return len(identified)


@pytest.mark.usefixtures("_in_memory")
@pytest.mark.parametrize("block", READ)
def test_read(block: int, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: Counter[str] = Counter()
    with no_ledgers(monkeypatch):
        for number, corpus, data in cases(block, BLOCK_READ):
            log.seek(0)
            log.truncate()
            try:
                outcomes.update(read_one(corpus, data, log))
            except BaseException as error:
                raise AssertionError(f"FUZZ_CASE={number}: {error}") from error
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    sys.stdout.write(f"{dict(outcomes)}\n")
    if not ONE:
        for outcome, at_least in AT_LEAST.items():
            assert outcomes[outcome] >= at_least, outcomes


def read_one(corpus: Corpus, data: bytes, log: io.StringIO) -> list[str]:
    """Play one case; give what became of it."""
    account = {"access_token": TOKEN, "advertiser_id": ADVERTISER, "api_url": NOWHERE}
    config = {**account, "contract": corpus.contract, **corpus.config}
    given, told, ended = Given(data), "", "read"
    with TargetTikTokAudiences(config={**config, "ledger_path": "unused", "dry_run": True}) as target:
        try:
            target.process_lines(io.BytesIO(data))  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
            told = _last_words(error)
            by_a_map = told.startswith("A stream map")
            ended = "by a map" if by_a_map else type(error).__name__ if isinstance(error, EXPECTED) else ""
        assert ended, told
        assert told.replace("\u202e", "").isprintable()
        allowed = given.digests(corpus)
        staged = sum(check_staged(part, allowed) for part in target.run._parts.values())  # noqa: SLF001
        books = [books for audience in target.run.report.audiences for books in audience.books]
    check_told(given, log.getvalue() + told)
    outcomes = [ended, "staged"] if staged else [ended]
    outcomes += ["rejected"] if any(each.rejected for each in books) else []
    return outcomes


# The whole target

BASE = range(1, 1001)
"""People whom nobody changes: TikTok refuses an audience of fewer."""


def base_row(number: int) -> dict[str, Any]:
    address = email(-number)
    values = {"email": address, "phone": f"+1657556{number:04}", "person": {"email": address}}
    return {"type": "RECORD", "stream": "base", "record": {"id": f"base{number}", **values}}


def base(title: str | None) -> bytes:
    start = schema("base", id=TEXT, email=TEXT, phone=TEXT, person={"type": "object", "properties": {"email": TEXT}})
    start["schema"]["title"] = title
    return "".join(f"{json.dumps(message)}\n" for message in [start, *map(base_row, BASE)]).encode()


def base_digests(contract: str) -> set[str]:
    field, digest = CONTRACTS[contract].field, CONTRACTS[contract].digester()
    return {(digest(base_row(number)["record"][field]) or b"").hex() for number in BASE}


@pytest.mark.parametrize("block", RUN)
def test_run(block: int, log: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: Counter[str] = Counter()
    monkeypatch.setattr(TargetTikTokAudiences, "sleep", staticmethod(lambda _seconds: None))
    with emulated(processing_hours=0) as tiktok:
        for number, corpus, data in cases(block, BLOCK_RUN):
            log.seek(0)
            log.truncate()
            folder = tmp_path / str(number)
            folder.mkdir()
            try:
                outcomes.update(run_one(corpus, data, log, tiktok, folder))
            except BaseException as error:
                raise AssertionError(f"FUZZ_CASE={number}: {error}") from error
    sys.stdout.write(f"{dict(outcomes)}\n")
    if not ONE:
        for outcome, at_least in {"ok": 5, "failed": 10, "state": 3, "reached": 3}.items():
            assert outcomes[outcome] >= at_least, outcomes


def run_one(corpus: Corpus, data: bytes, log: io.StringIO, tiktok: Client, folder: Path) -> list[str]:
    """Play one case, behind a stream that is in order; give what became of it."""
    titled = "Customers" if "title" in json.dumps(corpus.messages) else None
    named = {} if titled or "audiences" in corpus.config else {"audience_name": "All"}
    config = {
        "access_token": TOKEN,
        "advertiser_id": ADVERTISER,
        "api_url": tiktok.base,
        "contract": corpus.contract,
        "ledger_path": str(folder / "ledgers"),
        "report_path": str(folder / "report.json"),
        **named,
        **corpus.config,
    }
    stdout, code = io.StringIO(), 0
    try:
        with redirect_stdout(stdout):
            given_bytes = io.BytesIO(base(titled) + data)
            TargetTikTokAudiences.invoke(config=_ConfigInput(config), file_input=given_bytes)  # type: ignore[arg-type]
    except SystemExit as end:
        code = int(end.code or 0)
    given = Given(data)
    check_told(given, log.getvalue())
    report = json.loads((folder / "report.json").read_text())
    assert report["run"]["exit_code"] == code
    assert code == 0 or report["run"]["message"] == log.getvalue().splitlines()[-1]
    reached = check_audiences(corpus, given, tiktok, complete=code == 0)
    check_files(given, folder)
    outcomes = ["failed" if code else "ok"] + (["reached"] if reached else [])
    if stdout.getvalue():
        (line,) = stdout.getvalue().splitlines()
        assert _without_our_entry(json.loads(line)) in given.states(), "a state that the tap did not send"
        outcomes.append("state")
    return outcomes


def check_audiences(corpus: Corpus, given: Given, tiktok: Client, *, complete: bool) -> int:
    """Check who is in the audiences, and delete them; gives how many are in that the changed stream brought."""
    reached, audiences = 0, tiktok.control("audiences").json()
    for audience in audiences:
        own = base_digests(audience["calculate_type"])
        members = set(tiktok.members(audience["audience_id"]))
        assert members - own <= given.digests(corpus), "somebody whom no record named"
        assert not complete or own <= members, "somebody is missing"
        reached += len(members - own)
        assert tiktok.delete(audience["audience_id"])["code"] == 0
    assert audiences or not complete
    return reached


def check_files(given: Given, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} <= {"ledgers", "report.json"}
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert not SECRETS.search(kept.decode("latin-1")) or SECRETS.search(given.names()), "an identifier is in a file"
