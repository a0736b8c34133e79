"""BATCH: rows in files come to what they come to as RECORDs, whatever they hold and however they are written."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import json
import lzma
import random
import re
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock
from uuid import UUID

import fsspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from singer_sdk.singerlib.json import serialize_json
from support.fast_path_runs import outcome
from support.fuzzing import no_ledgers
from support.process import lines as written
from support.singer import STREAM, digests, email, people, record, schema, state
from support.target import MARKER
from support.terminal import environment, piped
from support.values import DEVICE_ID, HASH, JSON, LONG, ORDINARY, TEXT

from target_tiktok_audiences.contracts import arrow
from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.singer_io import batch, json_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from support.emulator_client import Client
    from support.target import Target

JSONL, PARQUET = {"format": "jsonl"}, {"format": "parquet"}
WAYS: list[dict[str, Any]] = [{}, {"stream_maps": {STREAM: {"x": "'x'"}}}]
"""Column by column, and row by row."""
CONFIGS = st.fixed_dictionaries(
    {
        "contract": st.sampled_from(list(CONTRACTS)),
        "apply_hashing": st.booleans(),
        "load_method": st.sampled_from(["append-only", "upsert", "overwrite"]),
        "default_country": st.sampled_from([None, "GB"]),
        "identifier_field": st.just("who"),
    }
)
EXAMPLES = settings(
    max_examples=5000 if LONG else 120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def message(encoding: dict[str, Any], *files: object, stream: str = STREAM) -> dict[str, Any]:
    return {"type": "BATCH", "stream": stream, "encoding": encoding, "manifest": [str(file) for file in files]}


def as_bytes(*messages: Any) -> io.BytesIO:
    text = "".join(m if isinstance(m, str) else f"{json.dumps(m)}\n" for m in messages)
    return io.BytesIO(text.encode("utf-8", "surrogatepass"))


@contextmanager
def small(block: int = 100, rows: int = 3) -> Iterator[None]:
    """Read in blocks that few rows fill, and without a ledger, which takes longer than all the rest."""
    with (
        pytest.MonkeyPatch.context() as patch,
        no_ledgers(patch),
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(tempfile, "tempdir", folder),
        mock.patch.object(json_lines, "BLOCK", block),
        mock.patch.object(batch, "ROWS", rows),
    ):
        yield


def in_terms_of_records(found: dict[str, Any]) -> dict[str, Any]:
    """Tell what a BATCH in line 2 came to as if its rows were the lines from 2."""

    def line(at: re.Match[str]) -> str:
        return f"Line {int(at[1].replace(',', '')) + 1:,} of"

    told = re.sub(r"Row ([\d,]+) of the BATCH in line 2 of", line, found["told"])
    rejects = [json.loads(reject) for reject in found["rejects"].splitlines()]
    for reject in rejects:
        reject["line"] += reject.pop("row", reject["line"] - 1) - 1 if "row" in reject else 0
    told = re.sub(r"of [\d,]+ bytes ", "", told)
    return {**found, "counts": 0, "told": told, "rejects": rejects}


def check_alike(settings: dict[str, Any], start: Any, records: Sequence[str], of_files: dict[str, Any]) -> None:
    """Compare the records, as text, with the files that hold the same."""
    with tempfile.TemporaryDirectory() as name, small():
        folder = Path(name)
        prefix = f'{{"type": "RECORD", "stream": "{STREAM}", "record": '
        as_records = outcome(settings, as_bytes(start, *(f"{prefix}{each}}}\n" for each in records)), folder)
        as_files = outcome(settings, as_bytes(start, of_files), folder)
    assert in_terms_of_records(as_files) == in_terms_of_records(as_records)
    assert MARKER not in as_files["told"]


START = schema(who={}, _sdc_deleted_at={})

# JSON Lines

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
RECORDS = st.fixed_dictionaries(
    {"id": JSON},
    optional={"who": TEXT | JSON, "_sdc_deleted_at": st.sampled_from([None, "", False, 0, "x", 1]), "x": JSON},
)
ODD_TEXTS = st.sampled_from(
    [
        *('{"id":1}{"id":2}', '{"id":1', "{}", '{"id":1,"who":NaN}', '{"id":Infinity}', '{"id":1e999,"who":"a@b.c"}'),
        *('{"id":1,"who":"\\ud800a@b.c"}', '{"id":' + "9" * 5000 + "}", '{"id":1,"id":2,"who":"a@b.c","who":"b@b.c"}'),
        *('{"id":1,"wh\\u006f":"a@b.c"}', ' {"id":1,"who":"a@b.c"}', '{"id":1,"x":"\udcff"}'),
    ]
)


@given(data=st.data(), settings=CONFIGS)
@EXAMPLES
def test_lines_come_to_what_records_come_to(data: st.DataObject, settings: dict[str, Any], tmp_path: Path) -> None:
    odd = st.lists(ODD_TEXTS, max_size=1)
    ascii_only = data.draw(st.booleans())
    rows = st.lists(RECORDS.map(lambda row: json.dumps(row, ensure_ascii=ascii_only)), max_size=8)
    files = [[*data.draw(rows), *data.draw(odd), *data.draw(rows)] for _ in range(data.draw(st.integers(1, 2)))]
    compression = data.draw(st.sampled_from(list(COMPRESS)))
    ending = data.draw(st.sampled_from(["\n", ""]))
    manifest = []
    for number, texts in enumerate(files):
        path = tmp_path / f"{number}.jsonl"
        text = "\n".join(texts) + ending * bool(texts)
        path.write_bytes(COMPRESS[compression](text.encode("utf-8", "surrogatepass")))
        manifest.append(f"file://{path}" if number else path)
    of_files = message({**JSONL, "compression": compression}, *manifest)
    check_alike(settings, START, [text for texts in files for text in texts], of_files)


# Parquet

PLAIN = TEXT.filter(lambda text: not re.search("[\ud800-\udfff]", text))
TIMES = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))  # noqa: DTZ001
TYPES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    *((kind, PLAIN) for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()))),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.bool_(), st.booleans()),
    (pa.float64(), st.floats()),
    (pa.decimal128(20, 4), st.decimals(-(10**9), 10**9, places=4)),
    (pa.decimal128(30, 0), st.decimals(-(10**29), 10**29, places=0)),
    (pa.timestamp("us"), TIMES),
    (pa.timestamp("ns"), st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))),  # noqa: DTZ001
    (pa.timestamp("us", "UTC"), TIMES.map(lambda time: time.replace(tzinfo=dt.UTC))),
    (pa.date32(), st.dates()),
    (pa.time64("us"), st.times()),
    (pa.duration("us"), st.timedeltas(dt.timedelta(-1000), dt.timedelta(1000))),
    (pa.list_(pa.string()), st.lists(PLAIN | st.none(), max_size=3)),
    (pa.struct({"a": pa.string(), "b": pa.float64()}), st.builds(lambda a, b: {"a": a, "b": b}, PLAIN, st.floats())),
    (pa.null(), st.none()),
]
WRITING = st.fixed_dictionaries(
    {
        "row_group_size": st.integers(1, 6),
        "use_dictionary": st.booleans(),
        "compression": st.sampled_from(["none", "snappy", "gzip", "zstd"]),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "version": st.sampled_from(["1.0", "2.6"]),
    }
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, list[str]]:
    """Give a table of any types, and its rows as a tap of the SDK would write them."""
    rows = draw(st.integers(0, 8))
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {}
    for name in ("id", "who", "_sdc_deleted_at", "x"):
        if draw(st.integers(0, 19)) >= {"id": 1, "x": 0}.get(name, 4):  # x, so that there are rows at all
            kind, strategy = draw(st.sampled_from(TYPES[:1] * 12 + TYPES if name == "who" else TYPES))
            columns[name] = kind, draw(st.lists(strategy | st.none(), min_size=rows, max_size=rows))
    table = pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})
    each = [{name: values[row] for name, (_, values) in columns.items()} for row in range(rows)]
    return table, [serialize_json(row) for row in each]


@given(data=st.data(), settings=CONFIGS, made=st.lists(tables(), min_size=1, max_size=2))
@EXAMPLES
def test_parquet_comes_to_what_records_come_to(
    data: st.DataObject, settings: dict[str, Any], made: list[tuple[pa.Table, list[str]]], tmp_path: Path
) -> None:
    manifest = []
    for number, (table, _) in enumerate(made):
        options = data.draw(WRITING)
        path = tmp_path / f"{number}.parquet"
        if any(pa.types.is_timestamp(kind) and kind.unit == "ns" for kind in table.schema.types):
            options["version"] = "2.6"  # the older one would make microseconds of them
        parquet.write_table(table, path, **options)
        manifest.append(path)
    records = [text for _, texts in made for text in texts]
    check_alike(settings, START, records, message(PARQUET, *manifest))


def test_values_are_those_that_a_tap_of_the_sdk_writes() -> None:
    texts = ["a", None, "é"]
    assert arrow.values(pa.array(texts, pa.string_view())) == texts
    assert arrow.values(pa.chunked_array([pa.array(texts), pa.array(["b"])])) == [*texts, "b"]
    uuids = pa.array([UUID(DEVICE_ID).bytes], pa.binary(16))
    assert arrow.values(pa.ExtensionArray.from_storage(pa.uuid(), uuids)) == [DEVICE_ID]
    assert arrow.values(pa.array([1.0, float("nan"), None])) == [Decimal("1.0"), None, None]
    assert arrow.values(pa.array([[(1, "a")]], pa.map_(pa.int64(), pa.string()))) == [[[1, "a"]]]
    time = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    for value in (time, time.date(), time.time(), Decimal("1.50"), Decimal(5), dt.timedelta(1), [time], {"a": time}):
        (found,) = arrow.values(pa.array([value]))
        assert serialize_json(found) == serialize_json(value)


def test_bytes_are_no_text(tmp_path: Path) -> None:
    """A tap would write them as b'...', and that could be taken for an address."""
    kinds = [pa.binary(), pa.large_binary(), pa.binary(11)]
    if int(pa.__version__.partition(".")[0]) >= 21:  # older ones cannot write it
        kinds.append(pa.binary_view())
    for way in WAYS:
        for kind in kinds:
            values = pa.array([b"a@mail.test", None]).cast(kind)
            parquet.write_table(pa.table({"id": [b"1", b"2"], "email": values}), tmp_path / "a.parquet")
            found = outcome(way, as_bytes(schema(), message(PARQUET, tmp_path / "a.parquet")), tmp_path)
            (books,) = found["books"]
            assert (books["read"], books["missing"], books["rejected"]) == (2, 1, {"not_a_string": 1})


def test_two_columns_of_one_name_and_names_with_dots(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    columns = [pa.array([1]), pa.array(["x"]), pa.array([email(1)]), pa.array([{"b": "y"}]), pa.array([email(2)])]
    parquet.write_table(pa.table(columns, names=["id", "email", "email", "a", "a.b"]), file)
    for field, number in {"email": 1, "a.b": 2}.items():
        for way in WAYS:
            columns_known: dict[str, Any] = {field: {"type": "string"}}
            messages = as_bytes(schema(**columns_known), message(PARQUET, file))
            found = outcome({"identifier_field": field, **way}, messages, tmp_path)
            assert list(found["staged"].values()) == [digests(number, number)]


# What happens between RECORDs and BATCHes


def file_of(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows as the path's name says."""
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        text = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def rows_of(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each["record"] for each in messages]


NAMES = ["rows.jsonl", "rows.json.gz", "rows.parquet"]


def encoding(name: str) -> dict[str, Any]:
    return PARQUET if name.endswith("parquet") else JSONL


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_among_records_keeps_its_turn(name: str, target: Target, tiktok: Client, tmp_path: Path) -> None:
    """Under `upsert` the last word counts; and the counters are those of records."""
    moved = file_of(tmp_path / name, [{"id": n, "email": email(5000 + n)} for n in range(1, 11)])
    messages = [
        *(schema(), *people(1, 1000), message(encoding(name), moved)),
        *(record(10, email=email(10)), state(7)),
    ]
    ended = target.run(messages, load_method="upsert", audience_name="A")
    assert ended.exit_code == 0, ended.log
    assert tiktok.members(ended.audience["audience_id"]) == sorted(digests(10, 1000) + digests(5001, 5009))
    assert ended.audience["books"][0]["read"] == 1011
    assert ended.audience["books"][0]["superseded"] == 11
    assert ended.state is not None
    assert moved.exists()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "config",
    [
        {"stream_maps": {STREAM: {"email": "mail", "__filter__": "id != 3"}}},
        {"stream_maps": {STREAM: {"email": "mail"}, "other": {"__source__": STREAM, "email": "mail.upper()"}}},
        {"flattening_enabled": True, "flattening_max_depth": 1, "identifier_field": "mail"},
        {"add_record_metadata": True, "identifier_field": "mail"},
        {"validate_records": True, "identifier_field": "mail"},
    ],
)
def test_what_transforms_records_transforms_rows(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    text = {"type": ["string", "null"]}
    records = [record(n, mail=email(n)) for n in range(1, 6)]
    file = file_of(tmp_path / name, rows_of(records))
    start = schema(mail=text)
    as_records = outcome(config, as_bytes(start, *records), tmp_path)
    as_files = outcome(config, as_bytes(start, message(encoding(name), file)), tmp_path)
    assert in_terms_of_records(as_files) == in_terms_of_records(as_records)
    assert as_files["staged"]
    assert as_files["counts"] == {"SCHEMA": 1, "BATCH": 1}


def test_odd_columns_and_skipped_streams(tmp_path: Path) -> None:
    odd: dict[str, Any] = {'e"\\mail': {"type": "string"}}
    for name in NAMES:
        file = file_of(tmp_path / name, [{"id": 1, 'e"\\mail': email(1)}])
        messages = as_bytes(schema(**odd), message(encoding(name), file))
        found = outcome({"identifier_field": 'e"\\mail'}, messages, tmp_path)
        assert list(found["staged"].values()) == [digests(1, 1)]
        messages = as_bytes(schema(x={}), message(encoding(name), file))
        (books,) = outcome({"on_unmatched_stream": "skip"}, messages, tmp_path)["unmatched"]
        assert (books["read"], books["unmatched"]) == (1, 1)


def test_compression_goes_by_the_name_unless_it_is_said(tmp_path: Path) -> None:
    """Taps of the SDK write gzip even where their `encoding` has no `compression`."""
    text = json.dumps({"id": 1, "email": email(1)}).encode()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", text)
    files: dict[str, tuple[bytes, dict[str, Any]]] = {
        "a.json.gz": (gzip.compress(text), {}),
        "a.jsonl": (text, {}),
        "b.gz": (text, {"compression": "none"}),
    }
    files |= {"a": (gzip.compress(text), {"compression": "gzip"}), "b": (text, {"compression": None})}
    files["a.zip"] = (tmp_path / "a.zip").read_bytes(), {"compression": "zip"}
    for name, (content, compression) in files.items():
        (tmp_path / name).write_bytes(content)
        found = outcome({}, as_bytes(schema(), message({**JSONL, **compression}, tmp_path / name)), tmp_path)
        assert list(found["staged"].values()) == [digests(1, 1)], name


def test_files_of_any_driver_of_fsspec(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for name in NAMES:
        memory.pipe(f"/bucket/{name}", file_of(tmp_path / name, rows_of(people(1, 5))).read_bytes())
        found = outcome({}, as_bytes(schema(), message(encoding(name), f"memory://bucket/{name}")), tmp_path)
        assert list(map(sorted, found["staged"].values())) == [digests(1, 5)]


def test_blank_lines_are_no_rows_and_rejects_name_rows(tmp_path: Path) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.parquet"]
    files[0].write_text(f'\n{{"id": 1, "email": "{email(1)}"}}\n \n{{"id": 2, "email": "{MARKER}"}}\n\n')
    file_of(files[1], [{"id": 3, "email": MARKER}, {"id": 4, "email": email(4)}, {"id": 5, "email": MARKER}])
    messages = [schema(), message(JSONL, files[0], files[0]), message(PARQUET, files[1]), record(6, email=MARKER)]
    rejects = outcome({}, as_bytes(*messages), tmp_path)["rejects"].splitlines()
    places = [(reject["line"], reject.get("row"), reject["key"]["id"]) for reject in map(json.loads, rejects)]
    assert places == [(2, 2, 2), (2, 4, 2), (3, 1, 3), (3, 3, 5), (4, None, 6)]


# Files and messages that cannot be read


def damaged(file: Path, at: float = 0.5) -> Path:
    content = bytearray(file.read_bytes())
    middle = int(len(content) * at)
    content[middle : middle + 20] = bytes(20)
    file.write_bytes(content)
    return file


def cut(file: Path) -> Path:
    file.write_bytes(file.read_bytes()[:-20])
    return file


def in_folder(folder: Path, name: str) -> Path:
    return file_of(folder / name, rows_of(people(1, 500)))


def empty(folder: Path) -> Path:
    (folder / "empty.parquet").write_bytes(b"")
    return folder / "empty.parquet"


def text_of(folder: Path, text: str | bytes) -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def finer(folder: Path) -> Path:
    times = pa.array([1, 2, 3], pa.timestamp("ns"))
    parquet.write_table(pa.table({"id": times, "email": [email(1), email(2), email(3)]}), folder / "a.parquet")
    return folder / "a.parquet"


def no_utf8(folder: Path) -> Path:
    buffers = [None, pa.py_buffer(b"\0\0\0\0\x0e\0\0\0"), pa.py_buffer(MARKER.encode()[:13] + b"\xff")]
    table = pa.table({"id": [1], "email": pa.Array.from_buffers(pa.string(), 1, buffers)})
    parquet.write_table(table, folder / "a.parquet", use_dictionary=False)
    return folder / "a.parquet"


UNREADABLE: dict[str, tuple[dict[str, Any], Callable[[Path], object], list[str]]] = {
    "a file that is not there": (JSONL, lambda f: f / "gone.jsonl", ["file 1 of 1", "`gone.jsonl`", "no such file"]),
    "a name that may be data": (JSONL, lambda f: f / f"{email(1)}.jsonl", ["its name is unusual", "no such file"]),
    "a folder": (JSONL, lambda f: f, ["it is a folder"]),
    "a folder of Parquet": (PARQUET, lambda f: f, ["it is a folder"]),
    "no gzip": ({**JSONL, "compression": "gzip"}, lambda f: in_folder(f, "a.jsonl"), ["no JSON Lines", "BadGzipFile"]),
    "gzip cut short": (JSONL, lambda f: cut(in_folder(f, "a.json.gz")), ["cut short", "compression: by its name"]),
    "damaged gzip": (JSONL, lambda f: damaged(in_folder(f, "a.json.gz")), ["it is damaged"]),
    "gzip that is said to be none": (
        {**JSONL, "compression": "none"},
        lambda f: in_folder(f, "a.json.gz"),
        ["Row 1 of the BATCH in line 2", "is not JSON"],
    ),
    "Parquet that is said to be JSON Lines": (JSONL, lambda f: in_folder(f, "a.parquet"), ["Row 1", "is not JSON"]),
    "JSON Lines that are said to be Parquet": (PARQUET, lambda f: in_folder(f, "a.jsonl"), ["no Parquet"]),
    "Parquet cut short": (PARQUET, lambda f: cut(in_folder(f, "a.parquet")), ["cut short"]),
    "damaged Parquet": (PARQUET, lambda f: damaged(in_folder(f, "a.parquet"), 0.1), ["it is damaged"]),
    "an empty file": (PARQUET, empty, ["no Parquet"]),
    "an unknown protocol": (JSONL, lambda _: f"{MARKER}://x/y.jsonl", ["nothing is known of such an address"]),
    "a driver that is missing": (JSONL, lambda _: "dropbox://x/y.jsonl", ["`y.jsonl`", "nstall"]),
    "credentials in an address": (
        JSONL,
        lambda _: f"dropbox://{MARKER}:{MARKER}@bucket/y.jsonl?sig=/{MARKER}#{MARKER}",
        ["`y.jsonl`", "nstall"],
    ),
    "a NUL in a name": (JSONL, lambda f: f"{f}/a\0{MARKER}", ["its name is unusual", "ValueError"]),
    "a row that is no JSON": (
        JSONL,
        lambda f: text_of(f, f'{{"id": 1}}\n\n{{"id": 2, "email": "{email(1)}\n'),
        ["Row 2 of the BATCH in line 2 of the input of", "is not JSON"],
    ),
    "a row that is no object": (JSONL, lambda f: text_of(f, f'"{email(1)}"\n'), ["Row 1", "no JSON object"]),
    "a row that is no UTF-8": (JSONL, lambda f: text_of(f, b'{"id": 1, "x": "\xff"}\n'), ["Row 1", "UnicodeDecode"]),
    "rows without their key": (
        JSONL,
        lambda f: text_of(f, f'{{"id": 1}}\n{{"email": "{email(1)}"}}\n'),
        ["Row 2 of the BATCH in line 2 of the input: a record of stream customers lacks its key `id`"],
    ),
    "Parquet without the key": (
        PARQUET,
        lambda f: file_of(f / "a.parquet", [{"email": email(1)}]),
        ["Row 1 of the BATCH in line 2 of the input: a record of stream customers lacks its key `id`"],
    ),
    "nesting without end": (JSONL, lambda f: text_of(f, '{"id": ' + "[" * 100_000), ["nested too deeply"]),
    "times that are too fine": (PARQUET, finer, ["column `id`", "timestamp[ns]", "Cast it"]),
    "text in Parquet that is no UTF-8": (PARQUET, no_utf8, ["column `email`", "UnicodeDecodeError"]),
    "no format": ({}, lambda f: f, ["Line 2", "`format`", "jsonl, parquet"]),
    "an unknown format": ({"format": MARKER}, lambda f: f, ["`format`"]),
    "a format that is a list": ({"format": [MARKER]}, lambda f: f, ["`format`"]),
    "an unknown compression": ({**JSONL, "compression": MARKER}, lambda f: f, ["`compression`", "gzip"]),
    "a compression that is a list": ({**JSONL, "compression": []}, lambda f: f, ["`compression`"]),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_ends_with_one_line(name: str, tmp_path: Path) -> None:
    encoding, make, expected = UNREADABLE[name]
    for way in WAYS:
        found = outcome(way, as_bytes(schema(), message(encoding, make(tmp_path))), tmp_path)
        for words in expected:
            assert words in found["told"]
        assert MARKER not in found["told"]
        assert str(tmp_path) not in found["told"]
        assert "nternal error" not in found["told"]


@pytest.mark.parametrize("manifest", [[1], [None], [""], [["a"]], [{"url": "a"}], "a", {}, None])
def test_a_manifest_that_is_none(manifest: object, tmp_path: Path) -> None:
    wrong = {**message(JSONL), "manifest": manifest}
    assert "`manifest`" in outcome({}, as_bytes(schema(), wrong), tmp_path)["told"]


def test_a_batch_before_its_schema(tmp_path: Path) -> None:
    told = outcome({}, as_bytes(schema("others"), message(JSONL, tmp_path / "x")), tmp_path)["told"]
    as_record = outcome({}, as_bytes(schema("others"), record(1)), tmp_path)["told"]
    assert told == as_record
    assert "before a corresponding schema" in told


def test_a_row_without_an_end(tmp_path: Path) -> None:
    with mock.patch.object(json_lines, "LONGEST_LINE", 1000), small(block=300):
        for way in WAYS:
            for end in ("", '"}\n'):
                file = text_of(tmp_path, '{"id": 1}\n{"id": 2, "x": "' + "x" * 2000 + end)
                told = outcome(way, as_bytes(schema(), message(JSONL, file)), tmp_path)["told"]
                assert "Row 2 of the BATCH in line 2 of the input is longer than" in told


def test_access_that_is_denied_and_devices_that_fail(tmp_path: Path) -> None:
    file = file_of(tmp_path / "rows.jsonl", [{"id": 1}])
    for error, expected in ((PermissionError(13, "x"), "access is denied"), (OSError(5, "x"), "Input/output error")):
        with mock.patch.object(fsspec, "open", side_effect=error):
            assert expected in outcome({}, as_bytes(schema(), message(JSONL, file)), tmp_path)["told"]


def test_without_pyarrow_json_lines_are_read_and_parquet_says_what_to_install(tmp_path: Path) -> None:
    with mock.patch.dict(sys.modules, {"pyarrow": None, "pyarrow.parquet": None}):
        file = file_of(tmp_path / "rows.jsonl", rows_of(people(1, 2)))
        assert outcome({}, as_bytes(schema(), message(JSONL, file)), tmp_path)["told"] == ""
        told = outcome({}, as_bytes(schema(), message(PARQUET, file)), tmp_path)["told"]
    assert "extra `parquet`" in told


def test_a_file_without_the_identifier_says_what_it_has(target: Target, tmp_path: Path) -> None:
    rows = [{"id": number, "mail": email(number), email(1): "x"} for number in range(50)]
    ended = target.run([schema(), message(PARQUET, file_of(tmp_path / "a.parquet", rows)), state()])
    assert (ended.exit_code, "All 50 records" in ended.last_line) == (1, True)
    told = "(`a.parquet`) has no column `email`; its columns are id, mail, 1 with unusual names. Set `identifier_field`"
    assert ended.log.count(told) == 1
    deleted = [{"id": number, "_sdc_deleted_at": "2026-01-01"} for number in range(50)]
    ended = target.run([schema(), message(PARQUET, file_of(tmp_path / "b.parquet", deleted)), state()])
    assert "has no column" not in ended.log, "a deleted row needs its key alone"


def test_nothing_is_sent_when_a_file_of_many_fails(target: Target, tiktok: Client, tmp_path: Path) -> None:
    good = file_of(tmp_path / "a.parquet", rows_of(people(1, 2000)))
    bad = cut(file_of(tmp_path / "b.parquet", rows_of(people(2001, 4000))))
    ended = target.run([schema(), message(PARQUET, good, bad), state()])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "file 2 of 2 of the BATCH (`b.parquet`)" in ended.last_line
    assert tiktok.control("audiences").json() == []
    assert "Traceback" not in ended.log


@pytest.mark.parametrize("name", NAMES)
def test_damage_anywhere_is_told_in_one_line_or_does_none(name: str, tmp_path: Path) -> None:
    """Rows may differ, where damage cannot be told from data; else all are read, or one line says why not."""
    good = file_of(tmp_path / name, rows_of(people(1, 300))).read_bytes()
    outcomes = Counter[str]()
    for number in range(3000 if LONG else 120):
        chance = random.Random(number)  # a case is its number
        content = bytearray(good)
        for _ in range(chance.choice([1, 1, 3])):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.3:
            del content[chance.randrange(len(content)) :]
        (tmp_path / name).write_bytes(content)
        with small(block=5000, rows=100):
            told = outcome({}, as_bytes(schema(), message(encoding(name), tmp_path / name)), tmp_path)["told"]
        assert "nternal error" not in told, number
        assert MARKER not in told, number
        assert told.isprintable(), number
        outcomes[told[:3]] += 1
    assert outcomes[""] < sum(outcomes.values()), outcomes


# Whole processes


@pytest.mark.parametrize("name", ["waits.jsonl", "waits.parquet"])
def test_a_signal_stops_a_run_that_waits_for_a_file(name: str, config: str, tiktok: Client, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "target_tiktok_audiences", "--config", config]
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)) as process,
    ):
        assert process.stdin
        assert process.stderr
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/{name}"
        process.stdin.write(written([schema(), message(encoding(name), address), state()]).encode())
        process.stdin.close()
        silent.settimeout(60)
        with silent.accept()[0] as asked:
            assert asked.recv(1 << 16)  # and never gets an answer
            process.terminate()
            assert process.wait(60) == 143
        assert b"Stopped by a signal" in process.stderr.read().splitlines()[-1]
    assert tiktok.control("audiences").json() == []
    assert list(tmp_path.glob("target-*")) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_process_from_files_to_tiktok(name: str, config: str, tiktok: Client, tmp_path: Path) -> None:
    middle = 700
    parts = [people(1, middle), people(middle + 1, 1500)]
    files = [file_of(tmp_path / f"{number}{name}", rows_of(part)) for number, part in enumerate(parts)]
    messages = [schema(), message(encoding(name), *files), state(9)]
    ended = piped("--config", config, folder=tmp_path, given=written(messages))
    assert ended.exit_code == 0, ended.stderr
    (audience,) = tiktok.control("audiences").json()
    assert tiktok.members(audience["audience_id"]) == digests(1, 1500)
    assert json.loads(ended.stdout)["bookmarks"][STREAM]["replication_key_value"] == 9
    assert MARKER not in ended.stderr


PEAK = """
import io, pathlib, sys
from target_tiktok_audiences.target import TargetTikTokAudiences
settings = {"access_token": "x", "advertiser_id": "7", "contract": "EMAIL_SHA256", "ledger_path": ":memory:"}
settings["api_url"] = "http://127.0.0.1:9/open_api/v1.3"  # nobody listens there
with TargetTikTokAudiences(config=settings) as target:
    target.process_lines(io.BytesIO(sys.argv[1].encode()))
    (part,) = target.run._parts.values()
    print(part.books.read, pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is asked of Linux")
@pytest.mark.parametrize("name", NAMES)
def test_memory_does_not_grow_with_a_file(name: str, tmp_path: Path) -> None:
    """Not with a row group, either: the whole file is one."""
    peaks = []
    for rows in (50_000, 800_000):
        file = tmp_path / name
        chance = random.Random(1)
        emails = [f"{chance.getrandbits(128):x}@example.com" for _ in range(rows)]
        if name.endswith("parquet"):
            table = pa.table({"id": range(rows), "email": emails})
            parquet.write_table(table, file, row_group_size=rows, use_dictionary=False, compression="none")
        else:
            with fsspec.open(str(file), "wb", compression="infer") as opened:
                opened.writelines(b'{"id":%d,"email":"%s"}\n' % (n, each.encode()) for n, each in enumerate(emails))
        given = written([schema(), message(encoding(name), file)])
        done = subprocess.run([sys.executable, "-c", PEAK, given], capture_output=True, text=True, check=True)
        read, peak = map(int, done.stdout.split())
        assert read == rows
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 40_000, peaks  # kilobytes; the second file's rows have 50 MB


@pytest.mark.parametrize("way", WAYS)
def test_wide_rows_are_decoded_a_few_at_a_time(way: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"id": n, "email": email(n), "x": f"{n}" * 1_000_000} for n in range(9)]
    file = file_of(tmp_path / "a.parquet", rows * 5)
    sizes = []

    def noting(self: parquet.ParquetFile, size: int, **options: Any) -> Any:
        sizes.append(size)
        return iter_batches(self, size, **options)

    iter_batches = parquet.ParquetFile.iter_batches
    with mock.patch.object(parquet.ParquetFile, "iter_batches", noting):
        found = outcome(way, as_bytes(schema(), message(PARQUET, file)), tmp_path)
    assert found["books"][0]["read"] == 45
    assert 1 <= sizes[0] < 90


# Arrow


def test_a_column_of_arrow_is_digested_as_records_are() -> None:
    values = [*(text for text in ORDINARY if text), None, "", "nobody", HASH.upper()]
    for contract in CONTRACTS.values():
        for hashing in (True, False):
            bulk = contract.bulk_digester(apply_hashing=hashing, default_country="GB")(values)
            for column in (
                pa.array(values),
                pa.chunked_array([values[:3], values[3:]]),
                pa.array(values).dictionary_encode(),
            ):
                hexes, reasons = arrow.digests(column, contract.name, apply_hashing=hashing, default_country="GB")
                assert hexes.type == reasons.type == pa.string()
                pairs = zip(hexes.to_pylist(), reasons.to_pylist(), strict=True)
                assert [bytes.fromhex(digest) if digest else reason for digest, reason in pairs] == bulk
    assert arrow.digests(pa.array([1, None]), "EMAIL_SHA256")[1].to_pylist() == ["not_a_string", None]
