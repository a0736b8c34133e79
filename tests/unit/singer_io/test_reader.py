"""The reader: any bytes end as messages or as an error that quotes nothing."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.exceptions import InvalidInputLine
from support.singer import email, stream_of
from support.target import MARKER

from target_tiktok_audiences.singer_io.reader import MessageReader

TYPES = ("SCHEMA", "RECORD", "STATE", "ACTIVATE_VERSION", "BATCH")


def read(text: bytes) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    MessageReader().process_lines(io.BytesIO(text), dict.fromkeys(TYPES, messages.append))
    return messages


def test_bytes_and_text_and_blank_lines() -> None:
    lines = "\n\n".join(json.dumps(message) for message in stream_of(1, 3)) + "\n \n"
    assert read(lines.encode()) == stream_of(1, 3)
    messages: list[dict[str, Any]] = []
    reader = MessageReader()
    reader.process_lines(io.StringIO(lines), dict.fromkeys(TYPES, messages.append))  # type: ignore[arg-type]
    assert messages == stream_of(1, 3)
    assert reader.line_number == 10


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1.10", Decimal("1.10")),
        ("NaN", None),
        ('"\\ud800"', "\ud800"),
        (str(2**80), 2**80),
        ('"\\u0000"', "\0"),
    ],
)
def test_what_pythons_json_writes_is_read(written: str, value: object) -> None:
    (message,) = read(f'{{"type": "RECORD", "stream": "s", "record": {{"x": {written}}}}}'.encode())
    found = message["record"]["x"]
    assert found == value or (value is None and found != found)  # noqa: PLR0124 - NaN


LINE = json.dumps({"type": "RECORD", "stream": "s", "record": {"email": email(1), "n": [1, {"a": None}]}}).encode()


@given(st.lists(st.tuples(st.integers(0, len(LINE)), st.integers(0, 3), st.binary(max_size=4)), max_size=6))
def test_a_mutated_line_is_read_or_refused_without_a_quote(edits: list[tuple[int, int, bytes]]) -> None:
    line = LINE
    for at, cut, put in edits:
        line = line[:at] + put + line[at + cut :]
    told = ""
    try:
        messages = read(line)
    except InvalidInputLine as error:
        told, messages = str(error), []
    assert MARKER not in told
    assert told == "" or "Line " in told
    assert all(isinstance(message["record"], dict) for message in messages if message["type"] == "RECORD")


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(InvalidInputLine, match="is nested too deeply"):
        read(b'{"type": "RECORD", "stream": "s", "record": ' + b"[" * 100_000)
