"""Blocks of whole lines, the JSON in them, and where in the input a record stands."""

from __future__ import annotations

import json
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

LONGEST_LINE = 32 * 2**20
"""Bytes of one line, which is held whole: without a limit, a line that never ends would fill the memory.

Twice what a document of MongoDB's may have. At its worst (nothing but empty lists) JSON takes 27 times as much memory
when decoded, so this is also what keeps a hostile line below 1 GB.
"""

BLOCK = 2**18
"""Bytes that are read at once; more take longer, because the system has to find memory for each block."""

LARGEST_BLOCK = 8 * 2**20
"""Bytes of a block that is decoded in one go; a larger one holds a line of unusual size."""

_BEGINNING = 8
"""Bytes: as long as the beginning of a Singer message that any other has, too."""

ABSENT = msgspec.UNSET
"""Stands for the value of a column that a record does not have."""

DELETED_AT = "_sdc_deleted_at"
"""The column by which a tap marks a row as deleted."""

Columns = dict[str, list[Any]]
"""Records, as the values of each column that counts."""

_decode = msgspec.json.Decoder(float_hook=Decimal).decode  # Decimal, so that a STATE goes out as it came


class InputPosition(NamedTuple):
    """Where a record stands in the input; its text begins a sentence."""

    line: int
    row: int | None = None
    """Of the BATCH in that line, from 1."""

    def after(self, records: int) -> InputPosition:
        """Give the place so many records later."""
        return InputPosition(self.line + records) if self.row is None else InputPosition(self.line, self.row + records)

    def __str__(self) -> str:
        line = f"ine {self.line:,} of the input"
        return f"L{line}" if self.row is None else f"Row {self.row:,} of the BATCH in l{line}"


class LineTooLong(Exception):
    """A line is longer than `LONGEST_LINE`."""


def blocks(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Give what `read` gives, piece by piece, in blocks of whole lines. Raises `LineTooLong`."""
    begun: list[bytes] = []  # of a line whose end is still to come
    while piece := read():
        lines, end, rest = piece.rpartition(b"\n")
        if end:
            yield b"".join([*begun, lines, end])
            begun.clear()
        begun.append(rest)
        if sum(map(len, begun)) > LONGEST_LINE:
            raise LineTooLong
    if any(begun):
        yield b"".join(begun)


def decode(line: bytes) -> Any:
    """Decode JSON, also what Python's own json writes and strict JSON forbids: NaN, Infinity, lone surrogates.

    Raises ValueError or ArithmeticError.
    """
    try:
        return _decode(line)
    except (msgspec.DecodeError, ArithmeticError, UnicodeError):
        return json.loads(line, parse_float=Decimal)


def decode_record(line: bytes) -> Any:
    """Decode JSON whose numbers may be beyond Python's limits, for a record need not be passed on as it came."""
    try:
        return decode(line)
    except (ValueError, ArithmeticError):
        return json.loads(line, parse_float=_number, parse_int=_number)


def _number(text: str) -> float | Decimal:
    """Read a number as it is, or else as about what it is."""
    try:
        return int(text) if text.lstrip("-").isdecimal() else Decimal(text)
    except (ValueError, ArithmeticError):
        return float(text)


def decode_objects(block: bytes, decoder: msgspec.json.Decoder[Any]) -> list[Any] | None:
    """Decode a block of whole lines in one go; None if they have to be looked at one by one.

    Every line must begin and end as an object does, and give one: the decoder would take a value that stretches
    over lines, or two in one, and it skips text that is no UTF-8 in columns that nobody needs.
    """
    if len(block) > LARGEST_BLOCK or block[:1] != b"{" or block[-2:] != b"}\n":
        return None
    lines = block.count(b"\n")
    beginnings = block[:_BEGINNING], b"{"  # most lines begin alike, and a longer text is found sooner
    if not any(block.count(b"}\n" + beginning) == lines - 1 for beginning in beginnings):
        return None
    try:
        if not block.isascii():
            block.decode()
        objects = decoder.decode_lines(block)
    except (msgspec.MsgspecError, ArithmeticError, RecursionError, UnicodeError):
        return None
    return objects if len(objects) == lines else None


def needs_escapes(name: str) -> bool:
    """Tell whether JSON must write a name in another way than as it is; a `RecordView` cannot have such columns."""
    return len(msgspec.json.encode(name)) != len(name.encode()) + 2


class RecordView:
    """What a decoder makes of a record: those columns that count, and nothing else."""

    def __init__(self, columns: Iterable[str]) -> None:
        self._fields = {name: f"column_{number}" for number, name in enumerate(dict.fromkeys(columns))}
        self.type = msgspec.defstruct(
            "Row",
            [(field, Any, msgspec.field(name=name, default=ABSENT)) for name, field in self._fields.items()],
            gc=False,
        )

    def columns(self, rows: Sequence[Any], names: Iterable[str]) -> Columns:
        """Give some columns of rows."""
        return {name: list(map(attrgetter(self._fields[name]), rows)) for name in names}


def columns_of(records: Sequence[dict[str, Any]], names: Iterable[str]) -> Columns:
    """Give some columns of records."""
    return {name: [record.get(name, ABSENT) for record in records] for name in names}


def records_of(columns: Columns, count: int) -> Iterator[dict[str, Any]]:
    """Give the records that have those columns."""
    for number in range(count):
        yield {name: value for name, values in columns.items() if (value := values[number]) is not ABSENT}
