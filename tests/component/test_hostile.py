"""Input that means harm, or looks like it: one clear last line, nothing outside the ledger folder, bounded memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from rich.console import Console
from singer_sdk.exceptions import InvalidInputLine
from support.emulated import run_forget
from support.failures import TEXT, check
from support.process import lines
from support.singer import STREAM, digests, email, people, record, schema, state, stream_of
from support.target import MARKER, Target
from support.terminal import environment

from target_tiktok_audiences.reporting.report import AudienceReport, RunReport
from target_tiktok_audiences.reporting.summary_table import show
from target_tiktok_audiences.singer_io import json_lines as blocks
from target_tiktok_audiences.singer_io import reader
from target_tiktok_audiences.sync.state import DEEPEST, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.emulator_client import Client
    from support.target import Outcome

DEPTHS = [10, 900, 5_000, 100_000]
NAMES = {
    "path": "../../../../tmp/escaped",
    "absolute": "/etc/passwd",
    "windows": "C:\\Windows\\..\\x",
    "sql": "'; DROP TABLE part; --",
    "identifiers of SQL": '"part"; DELETE FROM desired WHERE true; --',
    "braces and percents": "{0} {stream} %s %(name)s %d ${HOME} $(id) `id`",
    "wildcards": "*[!a]?[",
    "markup": "[bold]a[/bold][/nothing][link=http://x]",
    "emoji": "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{WOMAN} customers \U0001f1e9\U0001f1ea",
    "right to left": "\u202e\u05d0\u05d1\u05d2\u200f",
    "long": "s" * 1000,
    "dots": "." * 500,
    "one space": " ",
    "a word of the SDK's": "__else__",
}
FORGERIES = {
    "line end": "x\n2026-01-01 ERROR forged",
    "return": "x\rforged",
    "escape": "\x1b[2J\x1b[31mforged",
    "C1": "\x9b2Jforged",
    "NUL": "x\0forged",
    "line separator": "x\u2028forged",
    "surrogate": "x\ud800forged",
    "empty": "",
    "too long": "s" * 1001,
}


def nested(depth: int, kind: str) -> str:
    """Write JSON of that many levels; Python's own encoder cannot."""
    if kind == "array":
        return "[" * depth + "]" * depth
    return '{"a":' * depth + "1" + "}" * depth


def raw(message: dict[str, Any], place: str, value: str) -> str:
    """Write a message, with JSON of one's own in the place of a word."""
    return json.dumps(message).replace(f'"{place}"', value)


def check_ended(outcome: Outcome, *codes: int) -> None:
    assert outcome.exit_code in codes, outcome.last_line
    for word in ("Traceback", "Internal error"):
        assert word not in outcome.log
    if outcome.exit_code:
        assert outcome.stdout == ""
        assert outcome.report.get("run", {}).get("message", outcome.last_line) == outcome.last_line
    assert not any(character in outcome.log for character in "\r\x1b\x9b\0\u2028")
    assert not any(line.startswith(("forged", "2026-01-01 ERROR")) for line in outcome.log.split("\n"))


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def watched(target: Target) -> Iterator[Target]:
    """Look for files in any other place than the ledger folder, and into the ledgers, when the test is over."""
    around = files_of(target.folder.parent)
    yield target
    ledgers = Path(target.config["ledger_path"])
    new = {name for name in files_of(target.folder.parent) - around if not name.endswith(("report.json", "x.jsonl"))}
    inside = str(ledgers.relative_to(target.folder.parent))
    assert all(name.startswith(inside) for name in new), new
    for path in ledgers.glob("*.duckdb"):
        with duckdb.connect(str(path)) as ledger:
            tables = {name for (name,) in ledger.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        assert {"part", "desired", "delivered", "facts", "journal"} <= tables


# Lines without an end


def test_a_line_up_to_the_limit_is_read_and_none_beyond(monkeypatch: pytest.MonkeyPatch, target: Target) -> None:
    given = stream_of(1, 1000)
    monkeypatch.setattr(blocks, "LONGEST_LINE", max(len(json.dumps(message)) for message in given) + 1)
    monkeypatch.setattr(blocks, "LARGEST_BLOCK", 100)
    assert target.run(given).exit_code == 0
    longer = record(2000, email=email(2000), note="x" * 500)
    check(target.run([*given, longer, state()]), "Line 1,003 of the input is longer than", "Deselect")


def test_text_is_bounded_as_bytes_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LONGEST_LINE", 10)
    with pytest.raises(InvalidInputLine, match="Line 2 of the input is longer"):
        reader.MessageReader().process_lines(io.StringIO("\n" + " " * 11), {})  # type: ignore[arg-type]


MEASURED = """
import atexit, pathlib
from target_tiktok_audiences.cli import main
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(next(line.split()[1] for line in status.open() if line.startswith("VmHWM"))))
main()
"""


def peak_memory(config: str, folder: Path, feed: Iterator[bytes]) -> tuple[int, str]:
    """Run the executable on an input; give the peak of its resident set in bytes, and its last line."""
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURED, "--config", config],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(folder),
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin
    with suppress(BrokenPipeError):  # it may have seen enough
        for block in feed:
            process.stdin.write(block)
    stdout, stderr = communicate(process)
    assert process.returncode == 1
    return int(stdout.splitlines()[-1]) * 1024, stderr.splitlines()[-1]


def communicate(process: subprocess.Popen[bytes]) -> tuple[str, str]:
    assert process.stdin
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.stdin = None
    stdout, stderr = process.communicate(timeout=60)
    return stdout.decode(), stderr.decode()


def long_record(megabytes: int) -> Iterator[bytes]:
    yield lines([schema()]).encode()
    yield b'{"type": "RECORD", "stream": "customers", "record": {"id": 1, "note": "' + MARKER.encode()
    for _ in range(megabytes):
        yield b"x" * 1_000_000
    yield b'"}}\nthe end'


def hostile_record(size: int) -> Iterator[bytes]:
    """Give the line that takes the most memory when decoded: empty lists, as many as fit."""
    yield lines([schema()]).encode()
    start = b'{"type": "RECORD", "stream": "customers", "record": {"id": 1, "note": [[]'
    yield start
    yield b",[]" * ((size - len(start) - 10) // 3)
    yield b"]}}\nthe end"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_is_bounded_whatever_a_line_holds(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    settings = {
        "access_token": "x",
        "advertiser_id": "7",
        "contract": "EMAIL_SHA256",
        "ledger_path": ":memory:",
        "api_url": "http://127.0.0.1:9",
    }
    config.write_text(json.dumps(settings))
    usual, told = peak_memory(str(config), tmp_path, long_record(1))
    assert "Line 3 of the input of 7 bytes is not JSON" in told
    for megabytes in (100, 1000):
        peak, told = peak_memory(str(config), tmp_path, long_record(megabytes))
        assert "Line 2 of the input is longer than 32 MiB. Deselect" in told
        assert MARKER not in told
        assert peak < usual + 4 * blocks.LONGEST_LINE
    peak, told = peak_memory(str(config), tmp_path, hostile_record(blocks.LONGEST_LINE))
    assert "Line 3 of the input of 7 bytes is not JSON" in told
    assert peak < usual + 32 * blocks.LONGEST_LINE


# Deep nesting


@pytest.mark.parametrize("kind", ["array", "object"])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("way", ["plain", "flattened", "mapped", "validated"])
def test_deep_records(watched: Target, tiktok: Client, kind: str, depth: int, way: str) -> None:
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "flattened": {"flattening_enabled": True, "flattening_max_depth": 2000},
        "mapped": {"stream_maps": {STREAM: {"note": "str(_.get('note'))"}}},
        "validated": {"validate_records": True},
    }
    columns = schema(email={"type": ["string", "null"]}, note={})
    recursive: dict[str, Any] = {"anyOf": [{"type": "integer"}, {"items": {"$ref": "#/properties/note"}}]}
    recursive |= {"additionalProperties": {"$ref": "#/properties/note"}}
    columns["schema"]["properties"]["note"] = recursive if way == "validated" else {"type": "object"}
    deep = raw(record(1001, email=email(1001), note="HERE"), "HERE", nested(depth, kind))
    outcome = watched.run([columns, *people(1, 1000), deep, state()], **ways[way])
    check_ended(outcome, 0, 1)
    if outcome.exit_code:
        assert "Line 1,002" in outcome.last_line or "stream map" in outcome.last_line
        assert tiktok.control("audiences").json() == []
    else:
        assert tiktok.members(outcome.audience["audience_id"]) == digests(1, 1001)
    # Python 3.11 refuses so many levels; newer ones take them.
    assert outcome.exit_code == 1 or depth < 5_000 or sys.version_info >= (3, 12)


@pytest.mark.parametrize("kind", ["array", "object"])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("validated", [False, True])
def test_deep_schemas(watched: Target, kind: str, depth: int, validated: bool) -> None:  # noqa: FBT001
    deep = raw(schema(email={"type": "string"}, note="HERE"), "HERE", nested(depth, kind))
    outcome = watched.run([deep, deep, *people(1, 1000), state()], validate_records=validated)
    check_ended(outcome, 0, 1)
    if outcome.exit_code:
        assert "Line 1 of the input" in outcome.last_line
    column = '{"anyOf":[' * depth + "{}" + "]}" * depth
    deep = raw(schema(email="HERE"), "HERE", column)
    check_ended(watched.run([deep, *people(1, 1000), state()], validate_records=validated), 0, 1)


@pytest.mark.parametrize("kind", ["array", "object"])
@pytest.mark.parametrize("depth", [10, DEEPEST - 4, DEEPEST, 300, *DEPTHS[1:]])
@pytest.mark.parametrize("twice", [False, True])
def test_deep_states(watched: Target, tiktok: Client, kind: str, depth: int, twice: bool) -> None:  # noqa: FBT001
    deep = raw(state("HERE"), "HERE", nested(depth, kind))
    outcome = watched.run([schema(), *people(1, 1000), *[deep] * (2 if twice else 1)])
    check_ended(outcome, 0, 1)
    if depth < DEEPEST - 3:
        assert outcome.state
        del outcome.state["bookmarks"][KEY]
        found = json.loads(outcome.stdout)
        assert found["bookmarks"][STREAM] == json.loads(deep)["value"]["bookmarks"][STREAM]
    else:
        check(outcome, "nested")
        assert tiktok.control("audiences").json() == []


# Names


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_that_mean_something_elsewhere(watched: Target, tiktok: Client, name: str) -> None:
    text = {"type": ["string", "null"]}
    properties: dict[str, Any] = {name: text, "email": text}
    columns = schema(name, **properties)
    columns["key_properties"] = [name]
    rows = [record(n, name, **{name: f"{MARKER}-{n}", "email": email(n)}) for n in range(1, 1101)]
    rejects = str(watched.folder / "x.jsonl")
    feeds = [
        {"stream": name, "audience_name": name[:128].strip() or "x", "load_method": "upsert"},
        {"stream": "other"},
    ]
    options = {"audiences": feeds, "rejects_path": rejects}
    first = watched.run([columns, *rows, state(1, name)], **options)
    check_ended(first, 0)
    (audience,) = tiktok.control("audiences").json()
    assert audience["name"] == (name[:128].strip() or "x")
    assert tiktok.members(audience["audience_id"]) == digests(1, 1100)
    tiktok.advance(49)
    gone = record(0, name, **{name: f"{MARKER}-{1}", "_sdc_deleted_at": "2026-01-01"})
    second = watched.run([{"type": "STATE", "value": first.state}, columns, gone, state(2, name)], **options)
    check_ended(second, 0)
    assert tiktok.members(audience["audience_id"]) == digests(2, 1100)
    told = run_forget(watched, name, "--force", audiences=feeds)
    assert (told.exit_code, len(told.output.splitlines())) == (0, 1), told.output
    (watched.folder / "forget.json").unlink()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_columns_and_audiences(watched: Target, tiktok: Client, name: str) -> None:
    properties: dict[str, Any] = {name: {"type": ["string", "null"]}}
    columns = schema(**properties)
    columns["schema"]["title"] = title = f"{name} "[:128]
    rows = [record(n, **{name: email(n)}) for n in range(1, 1001)]
    outcome = watched.run([columns, *rows, state()], identifier_field=name)
    if not title.strip():
        check(outcome, "`audience_name` is empty")
        return
    check_ended(outcome, 0)
    assert [audience["name"] for audience in tiktok.control("audiences").json()] == [title]
    assert tiktok.members(outcome.audience["audience_id"]) == digests(1, 1000)


@pytest.mark.parametrize("name", FORGERIES.values(), ids=FORGERIES)
def test_names_that_could_forge_a_log_line(watched: Target, tiktok: Client, name: str) -> None:
    check(watched.run(stream_of(1, 1000, name), audience_name="A"), "Line 1 of the input", "`stream`")
    check(watched.run([record(1, name, email=email(1))]), "before a corresponding schema")
    check(watched.run([{"type": "BATCH", "stream": name}]), "BATCH")
    keyed = schema()
    keyed["key_properties"] = [name]
    check(watched.run([keyed]), "Line 1 of the input", "`key_properties`")
    for setting in ("identifier_field", "audience_name"):
        if name:
            wrong = watched.run(stream_of(1, 1000), **{setting: name})
            check_ended(wrong, 1)
            assert setting in wrong.last_line
    if len(name) < 129 and name:
        named = schema()
        named["schema"]["title"] = name
        check(watched.run([named, *people(1, 1000)]), "control characters", "Set `audience_name`")
    assert tiktok.control("audiences").json() == []
    # a column that nobody asks for may have any name
    any_name: dict[str, Any] = {"email": TEXT, name: {}}
    outcome = watched.run([schema(**any_name), *people(1, 1000), state()])
    check_ended(outcome, 0)
    told = run_forget(watched, name)
    assert (told.exit_code, len(told.output.splitlines())) == (1, 1), told.output
    (watched.folder / "forget.json").unlink()


def test_a_last_line_of_any_length_has_an_end(target: Target) -> None:
    columns: dict[str, Any] = {f"column_{n}": {} for n in range(100_000)}
    outcome = target.run([schema(**columns), record(1)])
    check(outcome, "column_98, 99,901 more.")
    check(target.run([record(1, "s" * 1_000_000)]), "before a corresponding schema")
    assert len(target.run([record(1, "s" * 1_000_000)]).last_line) < 10_000


def test_an_unusual_key_is_not_printed(target: Target) -> None:
    columns: dict[str, Any] = {email(1): {"type": "string"}, "email": {"type": "string"}}
    keyed = schema(**columns)
    keyed["key_properties"] = [email(1)]
    check(target.run([keyed, record(1, email=email(2))]), "Line 2", "lacks its key (its name is unusual)")
    values: dict[str, Any] = {email(1): 5, "email": email(2)}
    wrong = record(1, **values)
    check(target.run([keyed, wrong], validate_records=True), "Line 2", "column (its name is unusual)")


@pytest.mark.parametrize("key", [email(1), "no_such_column"])
def test_a_stream_map_that_does_not_fit_the_key(target: Target, key: str) -> None:
    keyed = schema()
    keyed["key_properties"] = [key]
    told = "no_such_column" if key == "no_such_column" else "Line 1 of the input: the stream map of customers"
    check(target.run([keyed, *people(1, 9)], stream_maps={STREAM: {"x": "id"}}), told)


def test_what_tiktok_says_cannot_forge_a_log_line(watched: Target, tiktok: Client) -> None:
    for message in FORGERIES.keys() - {"surrogate"}:
        tiktok.fault(path="/dmp/custom_audience/list/", code=40002, message=FORGERIES[message], times=2)
        check_ended(watched.run(stream_of(1, 1000)), 1)


def test_markup_in_a_name_is_printed_as_it_is() -> None:
    console = Console(file=io.StringIO(), width=400)
    report = RunReport("1", "now", dry_run=False, audiences=[AudienceReport(NAMES["markup"], "7", "", "")])
    show(report, console)
    assert NAMES["markup"] in console.file.getvalue()  # type: ignore[attr-defined]


# Values

VALUES = {
    "NUL": "\0",
    "surrogate": f"\ud800{MARKER}",
    "number with many digits": 10**4000,
    "list": [f"{MARKER}"],
    "object": {f"{MARKER}": [None]},
    "true": True,
    "empty": "",
    "emoji": "\N{FAMILY}",
    "right to left": "\u202e\u200f",
    "long": MARKER * 100_000,
    "SQL": "'; DROP TABLE desired; --",
    "path": "../../etc/passwd",
    "CSV": '",\n\r,"',
    "NaN": float("nan"),
    "endless": float("inf"),
    "negative zero": -0.0,
    "digest": "0" * 64,
    "nothing": None,
}
WRITTEN = {"1e400": "1e400", "a precise number": "0.1000000000000000055511151231257827"}
UNREADABLE = {"5,000 digits": "1" * 5000, "an exponent of 20 digits": "1e99999999999999999999"}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("load_method", ["append-only", "upsert"])
def test_values(watched: Target, tiktok: Client, value: object, load_method: str) -> None:
    keyed = schema()
    keyed["key_properties"] = ["id", "name"]
    good = [record(n, email=email(n), name=n) for n in range(1, 1001)]
    bad: list[dict[str, Any]] = [
        record(1001, email=value, name="x"),
        record(1002, email=value, phone=value, name=value),
        {"type": "RECORD", "stream": STREAM, "record": {"id": value, "name": value, "email": email(1001)}},
        record(1003, name=value, _sdc_deleted_at=value),
        record(1004, name=value, email=email(1002), _sdc_deleted_at=value),
    ]
    options = {"load_method": load_method, "rejects_path": str(watched.folder / "x.jsonl"), "rejects_key": True}
    bookmark = json.loads(json.dumps(value).replace(MARKER, ""))
    outcome = watched.run([keyed, *good, *bad, *bad, state(bookmark)], **options)
    check_ended(outcome, 0)
    falsy = value in (None, "", False) or value == 0
    assert tiktok.members(outcome.audience["audience_id"]) == digests(1, 1002 if falsy else 1001)
    assert f'"replication_key_value":{json.dumps(bookmark, separators=(",", ":"))}' in outcome.stdout


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_state_goes_out_with_the_digits_that_it_came_with(watched: Target, written: str) -> None:
    outcome = watched.run([*stream_of(1, 1000), raw(state("HERE"), "HERE", written)])
    check_ended(outcome, 0)
    assert f'"replication_key_value":{written}' in outcome.stdout.replace("E+", "e")


@pytest.mark.parametrize("written", UNREADABLE.values(), ids=UNREADABLE)
def test_numbers_that_cannot_be_read(watched: Target, written: str) -> None:
    for message in (state("HERE"), schema(email={"maximum": "HERE"})):
        check(watched.run([schema(), raw(message, "HERE", written)]), "Line 2 of the input", "is not JSON")
    odd = [raw(record(1, email=email(1), n="HERE"), "HERE", written), raw(record(2, email="HERE"), "HERE", written)]
    outcome = watched.run([*stream_of(2, 1000), *odd])
    assert (outcome.exit_code, outcome.audience["books"][0]["rejected"]) == (0, {"not_a_string": 1})


def test_the_last_of_duplicate_keys_counts(target: Target, tiktok: Client) -> None:
    doubled = [json.dumps(message).replace('"email"', '"email": 5, "email"') for message in people(1, 1000)]
    outcome = target.run([schema(), *doubled, state()])
    assert tiktok.members(outcome.audience["audience_id"]) == digests(1, 1000)


# SCHEMAs

COLUMNS: dict[str, Any] = {
    "types that are a number": {"type": 5},
    "types that are an object": {"type": {"string": 1}},
    "a type that is a list in a list": {"type": [["string"], 5, None, "string"]},
    "choices that are a number": {"anyOf": 5, "oneOf": "string"},
    "true": True,
    "a number": 5,
    "a list": ["string"],
    "nothing": None,
    "a pattern that is none": {"type": "string", "pattern": "("},
    "a reference to a file": {"$ref": "file:///etc/passwd"},
    "a reference to an address": {"$ref": "http://127.0.0.1:9/schema.json"},
    "a reference to itself": {"$ref": "#/properties/email"},
    "a reference to nothing": {"$ref": "#/no/such/place"},
    "an id that is an address": {"$id": "http://127.0.0.1:9/", "$ref": "x.json"},
    "a number to divide by": {"type": "string", "multipleOf": 0, "minLength": "x"},
    "an enumeration of people": {"enum": [email(1)], "type": [email(1)]},
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("option", ["plain", "validated", "transformed"])
def test_columns_that_are_no_json_schema(watched: Target, column: object, option: str) -> None:
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "validated": {"validate_records": True},
        "transformed": {
            "flattening_enabled": True,
            "flattening_max_depth": 5,
            "stream_maps": {STREAM: {"email": "email", "name": "str(id)"}},
        },
    }
    outcome = watched.run([schema(email=column), *people(1, 1000), state()], **ways[option])
    check_ended(outcome, 0, 1)
    if option == "plain":
        assert outcome.exit_code == 0 or "Column `email`" in outcome.last_line, outcome.last_line


@pytest.mark.parametrize("title", [5, {"a": 1}, ["x"], None, True, ""])
def test_a_title_that_is_no_text_names_nothing(target: Target, tiktok: Client, title: object) -> None:
    titled = schema()
    titled["schema"]["title"] = title
    target.run([titled, *people(1, 1000)])
    assert [audience["name"] for audience in tiktok.control("audiences").json()] == [STREAM]


def test_a_skipped_stream_is_counted_once_however_often_its_schema_changes(target: Target) -> None:
    columns: list[dict[str, Any]] = [{"a": {}}, {"b": {}}]
    changing = [schema(**columns[n % 2]) for n in range(2000)]
    outcome = target.run([*changing, *(record(n) for n in range(5))], on_unmatched_stream="skip")
    assert outcome.exit_code == 0
    assert [(books["stream"], books["read"]) for books in outcome.report["unmatched"]] == [(STREAM, 5)]


def test_a_key_that_changes_in_mid_stream(target: Target, tiktok: Client) -> None:
    other = schema()
    other["key_properties"] = []
    given = [schema(), *people(1, 1000), other, *people(1001, 2000), state()]
    check(target.run(given, load_method="overwrite"), "changed its key properties during the run")
    assert tiktok.control("audiences").json() == []
    assert target.run(given).exit_code == 0


# Our own entry in STATE

GOOD_ENTRY = {"audience_id": "1", "origin": "set", "ledger": "x", "commit": 1, "parts": {}, "desired": 5}
ENTRIES = {
    "wrong types": {name: [[{}]] for name in GOOD_ENTRY},
    "no object": 5,
    "an id that is a path": {**GOOD_ENTRY, "audience_id": "../../x"},
    "an id that forges a line": {**GOOD_ENTRY, "audience_id": "1\n2026-01-01 ERROR forged"},
    "an id of SQL": {**GOOD_ENTRY, "audience_id": "1; DROP TABLE part"},
    "a ledger that is a path": {**GOOD_ENTRY, "ledger": "../../x"},
    "a ledger of surrogates": {**GOOD_ENTRY, "ledger": "\ud800", "error": "\ud800", "digest": "\ud800"},
    "an error that forges a line": {**GOOD_ENTRY, "error": "x\nforged"},
    "a commit without an end": {**GOOD_ENTRY, "commit": 10**4000},
    "a negative commit": {**GOOD_ENTRY, "commit": -1, "desired": -(10**30), "parts": {STREAM: -5}},
    "parts of names": {**GOOD_ENTRY, "parts": dict.fromkeys((*NAMES.values(), *FORGERIES.values()), 10**300)},
    "a time before time": {**GOOD_ENTRY, "changed_at": "0001-01-01T00:00:00+14:00"},
    "a time after time": {**GOOD_ENTRY, "changed_at": "9999-12-31T23:59:59-14:00"},
    "held": {**GOOD_ENTRY, "held": True},
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize("load_method", ["upsert", "overwrite"])
def test_our_entry_in_a_state_may_hold_anything(
    watched: Target, tiktok: Client, entry: object, load_method: str
) -> None:
    ours = {KEY: {"audiences": {f"{watched.config['advertiser_id']}/{STREAM}": entry}}}
    given = [{"type": "STATE", "value": {"bookmarks": ours}}, *stream_of(1, 1000)]
    outcome = watched.run(given, load_method=load_method)
    check_ended(outcome, 0, 1)
    if outcome.exit_code == 0:
        (audience,) = tiktok.control("audiences").json()
        assert tiktok.members(audience["audience_id"]) == digests(1, 1000)
    check_ended(watched.run(given, load_method=load_method), 0, 1)


def test_an_enormous_state_of_ours(watched: Target) -> None:
    audiences = {f"7/{n}": {**GOOD_ENTRY, "audience_id": str(n)} for n in range(20_000)}
    ours: dict[str, Any] = {KEY: {"audiences": audiences}}
    outcome = watched.run([{"type": "STATE", "value": {"bookmarks": ours}}, *stream_of(1, 1000)])
    check_ended(outcome, 0)
    assert outcome.state
    assert len(outcome.state["bookmarks"][KEY]["audiences"]) == 20_001


# Settings

SETTINGS: dict[str, Any] = {
    "a wildcard that matches everything": {"audiences": [{"stream": "*" * 900}]},
    "a wildcard that matches nothing": {"audiences": [{"stream": "[" * 900}]},
    "a wildcard that takes long": {"audiences": [{"stream": "*a" * 400 + "b"}]},
    "a path with NUL": {"ledger_path": "a\0b"},
    "rejects with NUL": {"rejects_path": "a\0b"},
    "somebody else's home": {"ledger_path": "~nobody-of-this-name/x"},
    "a name that forges": {"x\n2026-01-01 ERROR forged": 1},
    "a stream that forges": {"audiences": [{"stream": "x\nforged"}]},
    "flattening without a depth": {"flattening_enabled": True},
    "a map that is no map": {"stream_maps": {STREAM: {"email": "import os"}}},
    "a map of nothing": {"stream_maps": {STREAM: {"email": ""}}},
    "a map that reaches out": {"stream_maps": {STREAM: {"email": "email.__class__.__mro__"}}},
    "a map that never ends": {"stream_maps": {STREAM: {"email": "9**9**9**9"}}},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_settings(watched: Target, settings: dict[str, Any]) -> None:
    outcome = watched.run(stream_of(1, 1000), **settings)
    assert outcome.exit_code in {0, 1}
    for word in ("Traceback", "Internal error", "\nforged", "\n2026-01-01 ERROR"):
        assert word not in outcome.log


@pytest.mark.parametrize("depth", [500, 100_000])
def test_a_configuration_that_is_deep(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "config.json"
    path.write_text(f'{{"access_token": {nested(depth, "array")}}}')
    command = [sys.executable, "-m", "target_tiktok_audiences", "--config", str(path)]
    ended = subprocess.run(
        command, input="", capture_output=True, text=True, check=False, timeout=60, env=environment(tmp_path)
    )
    assert ended.returncode in {1, 2}
    assert "Traceback" not in ended.stderr
