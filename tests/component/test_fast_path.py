"""The express lane and the SDK's way stage, count and say the same, for any input, however it is cut into blocks."""

from __future__ import annotations

import io
import json
import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from support.fast_path_runs import outcome
from support.fuzzing import cases, no_ledgers
from support.singer import email, record, schema, state

from target_tiktok_audiences.singer_io.fast_path import FastPath

if TYPE_CHECKING:
    from pathlib import Path

    from support.mutations import Corpus

BLOCK = 500
BLOCKS = range(200 if os.environ.get("TEST_LONG") else 4)


class Cut(io.BytesIO):
    """Gives its bytes in pieces of any size."""

    def __init__(self, data: bytes, chance: random.Random) -> None:
        super().__init__(data)
        self._chance = chance

    def read1(self, _size: int | None = -1, /) -> bytes:
        return super().read1(self._chance.choice([1, 40, 300, 5000, 1 << 20]))


def both_ways(config: dict[str, Any], data: bytes, folder: Path, chance: random.Random) -> tuple[dict[str, Any], int]:
    """Read an input both ways and compare; gives what came of it, and how many records went by the express lane."""
    by_express = 0

    def counting(self: FastPath, *arguments: Any) -> bool:
        nonlocal by_express
        taken = take(self, *arguments)
        by_express += len(arguments[0].messages) if taken else 0
        return taken

    take = FastPath.take
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FastPath, "take", counting)
        express = outcome(config, Cut(data, chance), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FastPath, "open", lambda *_: None)
        plain = outcome(config, io.BytesIO(data), folder)
    assert express == plain
    return plain, by_express


@pytest.mark.usefixtures("_in_memory", "log")
@pytest.mark.parametrize("block", BLOCKS)
def test_both_ways_are_equal(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_express, corpus = 0, None
    with no_ledgers(monkeypatch):
        for number, corpus, data in cases(10_000 + block, BLOCK):
            try:
                by_express += both_ways(settings_of(corpus), data, tmp_path, random.Random(number))[1]
            except BaseException as error:
                raise AssertionError(f"FUZZ_CASE={number}: {error}") from error
    assert by_express > 300


def settings_of(corpus: Corpus) -> dict[str, Any]:
    return {"contract": corpus.contract, **corpus.config}


def lines(*messages: Any) -> bytes:
    return "".join(m if isinstance(m, str) else f"{json.dumps(m)}\n" for m in messages).encode("utf-8", "surrogatepass")


RECORD = '{"type":"RECORD","stream":"customers","record":{"id":1,"email":"a@example.com"%s}}\n'
ODD_COLUMN: dict[str, Any] = {'e"\\mail': {"type": "string"}}
MARKS: list[Any] = [None, "", False, 0, "x", [], 1]
KEYS: list[Any] = [1, "1", 1.0, True, None, 1e400, "é", [1], {"a": 1.5}]
TEXT: Any = {"type": "string"}
HUGE = ("1e999", "1e" + "9" * 20, "9" * 5000)
KEYED = {"load_method": "upsert"}
MANY = [record(n, email=email(n)) for n in range(50)]
BY_HAND: dict[str, tuple[dict[str, Any], bytes]] = {
    "text that is no UTF-8, in a column that nobody needs": (
        {},
        lines(schema(), RECORD % "") + (RECORD % ',"x":"\udcff"').encode("utf-8", "surrogateescape"),
    ),
    "half a surrogate pair": ({}, lines(schema(), RECORD % ',"x":"\\ud800"', RECORD % ',"email":"\\ud800b@c.de"')),
    "NaN": ({}, lines(schema(), RECORD % ',"x":NaN', RECORD % ',"email":NaN')),
    "numbers beyond measure": (
        KEYED,
        lines(
            schema(),
            *(RECORD % f',"{column}":{number}' for column in ("x", "email", "id") for number in HUGE),
            record(2, email="b@example.com"),
        ),
    ),
    "two values in a line": ({}, lines(schema(), (RECORD % "").strip() + RECORD % "")),
    "a value over two lines": ({}, lines(schema(), (RECORD % "").replace("{", "{\n", 1))),
    "values that stretch and share lines": (
        {},
        lines(schema(), (RECORD % "").replace(",", ",\n", 1).strip() + " " + RECORD % ""),
    ),
    "blank lines": ({}, lines(schema(), "\n", RECORD % "", " \n", RECORD % "", "\n")),
    "carriage returns": ({}, lines(schema(), RECORD % "", RECORD % "").replace(b"\n", b"\r\n")),
    "no line end at the end": ({}, lines(schema(), RECORD % "").rstrip()),
    "a name written in escapes": ({}, lines(schema(), (RECORD % "").replace("email", "em\\u0061il"))),
    "the same key twice": ({}, lines(schema(), RECORD % ',"email":"b@example.com"', RECORD % ',"id":2')),
    "the same type twice": ({}, lines(schema(), (RECORD % "").replace('"stream"', '"type":"STATE","stream"', 1))),
    "a key that is missing": ({}, lines(schema(), *MANY, RECORD.replace('"id":1,', "") % "")),
    "values of other types": ({}, lines(schema(), *(record(n, email=v) for n, v in enumerate([1, [], {}, True, 1.5])))),
    "nothing that can be used": (
        {},
        lines(schema(), *(record(n, email=v) for n, v in enumerate([None, "", " ", "x"]))),
    ),
    "absent and null, by key": (
        KEYED,
        lines(schema(), record(1), record(2, email=None), record(3, email="x"), record(4, email="a@b.cd"), record(1)),
    ),
    "marks of deletion": (
        KEYED,
        lines(
            schema(),
            *(record(n, email=email(n), _sdc_deleted_at=mark) for n, mark in enumerate(MARKS)),
            record(8, _sdc_deleted_at="2026-01-01"),
        ),
    ),
    "keys of all kinds": (
        KEYED,
        lines(schema(), *(record(key, email=email(1)) for key in KEYS)),
    ),
    "states between": ({}, lines(schema(), *MANY, state(1), *MANY, state(2), record(99, email="z@example.com"))),
    "a second schema in the middle": (
        {},
        lines(
            schema(), *MANY, schema(email={"type": "string"}), *MANY, schema("b"), record(1, "b", email="b@b.bb"), *MANY
        ),
    ),
    "a stream that comes before its schema": ({}, lines(schema(), *MANY, record(1, "b", email="b@b.bb"))),
    "a stream that feeds two": (
        {"audiences": [{"audience_name": "A"}, {"audience_name": "B", "contract": "PHONE_SHA256"}]},
        lines(schema(), *(record(n, email=email(n), phone=p) for n, p in enumerate(["+16577770000", None, "x"] * 9))),
    ),
    "a stream that is skipped": (
        {"on_unmatched_stream": "skip"},
        lines(schema("b", x={"type": "string"}), record(1, "b", x=1), schema(), *MANY, record(1, "b", x=1)),
    ),
    "an odd column": (
        {"identifier_field": 'e"\\mail'},
        lines(schema(**ODD_COLUMN), record(1, **{'e"\\mail': "a@b.cd"})),
    ),
    "a column that becomes odd": (
        {"identifier_field": "email"},
        lines(schema(), *MANY, {**schema(**{"email": TEXT, 'i"d': TEXT}), "key_properties": ['i"d']}, *MANY),
    ),
    "an unknown kind of message": ({}, lines(schema(), *MANY, {"type": "HELLO"})),
    "nothing at all": ({}, b""),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_both_ways_are_equal_by_hand(name: str, tmp_path: Path) -> None:
    config, data = BY_HAND[name]
    for seed in range(5):
        both_ways(config, data, tmp_path, random.Random(seed))


def test_records_do_go_by_the_express_lane(tmp_path: Path) -> None:
    data = lines(schema(), *MANY, state(1), *MANY)
    assert both_ways({}, data, tmp_path, random.Random(3))[1] == 100
    assert both_ways({"stream_maps": {}}, data, tmp_path, random.Random(3))[1] == 100


@pytest.mark.parametrize(
    "config",
    [
        {"stream_maps": {"customers": {"x": "id"}}},
        {"flattening_enabled": True, "flattening_max_depth": 1},
        {"add_record_metadata": True},
        {"validate_records": True},
    ],
)
def test_what_transforms_records_keeps_the_lane_closed(config: dict[str, Any], tmp_path: Path) -> None:
    assert both_ways(config, lines(schema(), *MANY), tmp_path, random.Random(3))[1] == 0
