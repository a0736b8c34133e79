"""Fast path: decode untransformed records in blocks, bypassing the SDK's per-record pipeline.

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
from typing import Any, Literal

import msgspec

from target_tiktok_audiences.singer_io.json_lines import (
    Columns,
    InputPosition,
    RecordView,
    decode_objects,
    needs_escapes,
)

Take = Callable[[Columns, int, InputPosition], bool]
"""Takes the columns of records, how many these are, and the place of the first; False if they go the SDK's way."""


@dataclass(frozen=True)
class Route:
    """One stream's: the columns that its sink needs, and where they go."""

    columns: tuple[str, ...]
    take: Take


@dataclass(frozen=True)
class MessageRun:
    """Messages that follow each other in a block: records of one stream, or one message that is none."""

    stream: str | None
    messages: Sequence[Any]


_STREAM = attrgetter("stream")
_OTHERS = tuple(
    msgspec.defstruct(kind.title(), [], tag=kind, tag_field="type", gc=False)
    for kind in ("SCHEMA", "STATE", "ACTIVATE_VERSION", "BATCH")
)
"""Messages that go the SDK's way; their content is not looked at here."""


def _stream_of(message: Any) -> str | None:
    return None if isinstance(message, _OTHERS) else message.stream


class FastPath:
    """The lanes that are open."""

    def __init__(self) -> None:
        self._lanes: dict[str, Route] = {}
        self._row = RecordView(())
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self.changed = False
        """Whether a lane was opened since the last block was decoded."""

    def open(self, stream: str, columns: Sequence[str], take: Take) -> None:
        """Let a stream's records go by here from now on, unless a column has a name that the decoder does not take."""
        self._lanes.pop(stream, None)
        if not any(map(needs_escapes, columns)):
            self._lanes[stream] = Route(tuple(columns), take)
        self._decoder, self.changed = None, True

    def lane(self, stream: str | None) -> Route | None:
        """Give a stream's lane, if it is open."""
        return self._lanes.get(stream or "")

    def decode(self, block: bytes) -> Iterator[MessageRun] | None:
        """Decode a block of whole lines; None if it has to go the SDK's way."""
        self.changed = False
        if not self._lanes:
            return None
        messages = decode_objects(block, self._decoder or self._new_decoder())
        if messages is None:
            return None
        if not any(map(_OTHERS.__contains__, set(map(type, messages)))):
            streams = set(map(_STREAM, messages))
            if len(streams) == 1:
                return iter([MessageRun(streams.pop(), messages)])
        return (MessageRun(stream, list(each)) for stream, each in groupby(messages, _stream_of))

    def take(self, stretch: MessageRun, place: InputPosition) -> bool:
        """Hand records to their sink, if it has a lane; `place` is that of the first."""
        lane = self.lane(stretch.stream)
        if lane is None:
            return False
        records = [message.record for message in stretch.messages]
        return lane.take(self._row.columns(records, lane.columns), len(records), place)

    def _new_decoder(self) -> msgspec.json.Decoder[Any]:
        self._row = RecordView(name for lane in self._lanes.values() for name in lane.columns)
        record = msgspec.defstruct(
            "Record",
            [("stream", Literal[tuple(self._lanes)]), ("record", self._row.type)],
            tag_field="type",
            tag="RECORD",
            gc=False,
        )
        kinds: Any = record
        for other in _OTHERS:
            kinds |= other
        self._decoder = msgspec.json.Decoder(kinds, float_hook=Decimal)
        return self._decoder
