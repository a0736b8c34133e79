"""The express lane: records that nothing transforms, a block of lines at a time.

The SDK takes some 15 microseconds for a record, most of it to prepare what an audience does not need. Where no stream
map, flattening, metadata or validation is asked for, a record's columns are all that counts; so a block of lines is
decoded in one go, into those columns alone, and handed to the sink as lists. Whatever is not plain at first sight (a
block that is no strict JSON, a message of another kind, a value that is missing) goes the SDK's way, line by line, and
meets its messages there. A test holds that both ways stage, count and say the same for any input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec

ABSENT = msgspec.UNSET
"""Stands for the value of a column that a record does not have."""

Columns = dict[str, list[Any]]
Take = Callable[[Columns, int, int], bool]
"""Takes the columns of records, how many these are, and the line of the first; False if they go the SDK's way."""

LARGEST_BLOCK = 8 * 2**20
"""Bytes of a block; a larger one holds a line of a size that only the SDK's way looks at."""


@dataclass(frozen=True)
class Lane:
    """One stream's: the columns that its sink needs, and where they go."""

    columns: tuple[str, ...]
    take: Take


@dataclass(frozen=True)
class Stretch:
    """Messages that follow each other in a block: records of one stream, or one message that is none."""

    stream: str | None
    messages: Sequence[Any]


_STREAM = attrgetter("stream")
_OTHERS = tuple(
    msgspec.defstruct(kind.title(), [], tag=kind, tag_field="type", gc=False)
    for kind in ("SCHEMA", "STATE", "ACTIVATE_VERSION", "BATCH")
)
"""Messages that go the SDK's way; their content is not looked at here."""


def _needs_escapes(name: str) -> bool:
    return len(msgspec.json.encode(name)) != len(name.encode()) + 2


def _stream_of(message: Any) -> str | None:
    return None if isinstance(message, _OTHERS) else message.stream


class Express:
    """The lanes that are open."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._fields: dict[str, str] = {}
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self.changed = False
        """Whether a lane was opened since the last block was decoded."""

    def open(self, stream: str, columns: Sequence[str], take: Take) -> None:
        """Let a stream's records go by here from now on, unless a column has a name that the decoder does not take."""
        self._lanes.pop(stream, None)
        if not any(_needs_escapes(name) for name in columns):
            self._lanes[stream] = Lane(tuple(columns), take)
        self._decoder, self.changed = None, True

    def decode(self, block: bytes) -> Iterator[Stretch] | None:
        """Decode a block of whole lines; None if it has to go the SDK's way.

        Every line must begin and end as an object does, and give one: the decoder would take a value that stretches
        over lines, or two in one, and it skips text that is no UTF-8 in columns that nobody needs.
        """
        self.changed = False
        lines = block.count(b"\n")
        all_objects = block[:1] == b"{" and block[-2:] == b"}\n" and block.count(b"}\n{") == lines - 1
        if not (self._lanes and all_objects and len(block) <= LARGEST_BLOCK):
            return None
        try:
            if not block.isascii():
                block.decode()
            messages = (self._decoder or self._new_decoder()).decode_lines(block)
        except (msgspec.MsgspecError, ArithmeticError, RecursionError, UnicodeError):
            return None
        if len(messages) != lines:
            return None
        if not any(map(_OTHERS.__contains__, set(map(type, messages)))):
            streams = set(map(_STREAM, messages))
            if len(streams) == 1:
                return iter([Stretch(streams.pop(), messages)])
        return (Stretch(stream, list(each)) for stream, each in groupby(messages, _stream_of))

    def take(self, stretch: Stretch, line: int) -> bool:
        """Hand records to their sink, if it has a lane; `line` is that of the first."""
        lane = self._lanes.get(stretch.stream or "")
        if lane is None:
            return False
        records = [message.record for message in stretch.messages]
        columns = {name: list(map(attrgetter(self._fields[name]), records)) for name in lane.columns}
        return lane.take(columns, len(records), line)

    def _new_decoder(self) -> msgspec.json.Decoder[Any]:
        names = dict.fromkeys(name for lane in self._lanes.values() for name in lane.columns)
        self._fields = {name: f"column_{number}" for number, name in enumerate(names)}
        row = msgspec.defstruct(
            "Row",
            [(field, Any, msgspec.field(name=name, default=ABSENT)) for name, field in self._fields.items()],
            gc=False,
        )
        record = msgspec.defstruct(
            "Record", [("stream", str), ("record", row)], tag_field="type", tag="RECORD", gc=False
        )
        kinds: Any = record
        for other in _OTHERS:
            kinds |= other
        self._decoder = msgspec.json.Decoder(kinds, float_hook=Decimal)
        return self._decoder
