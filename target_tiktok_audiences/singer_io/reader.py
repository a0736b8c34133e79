"""Bytes in, Singer messages out. No error ever quotes a line: lines hold personal data."""

from __future__ import annotations

import io
import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from singer_sdk.exceptions import InvalidInputLine
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from target_tiktok_audiences.runtime.sanitize import LONGEST_NAME, is_name
from target_tiktok_audiences.singer_io import json_lines
from target_tiktok_audiences.singer_io.fast_path import FastPath
from target_tiktok_audiences.singer_io.json_lines import InputPosition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SHAPES: dict[str, dict[str, type]] = {
    "SCHEMA": {"stream": str, "schema": dict},
    "RECORD": {"stream": str, "record": dict},
    "STATE": {"value": dict},
    "ACTIVATE_VERSION": {"stream": str},
    "BATCH": {"stream": str, "encoding": dict, "manifest": list},
}


class MessageReader(GenericSingerReader[bytes]):
    """Reads one JSON message a line, from bytes or text; blank lines are passed over."""

    line_number = 0
    """Line of the input at which the reader stands, from 1."""
    row: int | None = None
    """Row at which it stands, from 1, while a BATCH is read."""

    def __init__(self) -> None:
        super().__init__()
        self.fast_path = FastPath()

    @property
    def place(self) -> InputPosition:
        """Where in the input the reader stands."""
        return InputPosition(self.line_number, self.row)

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input, undecoded."""
        return sys.stdin.buffer

    def process_lines(
        self, file_input: IO[bytes] | None, callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        """Hand each message to the callback of its type; raises `InvalidInputLine`.

        Decoders, and the SDK behind the callbacks, go into nested values by recursion, each to a depth of its own.
        """
        counts: Counter[str] = Counter()
        try:
            for block in json_lines.blocks(partial(_read, file_input or self.default_input)):
                rest = block
                while rest:
                    rest = self._take(rest, callbacks, counts)
        except json_lines.LineTooLong:
            self.line_number += 1
            raise self._too_long() from None
        except RecursionError:
            raise self._invalid("is nested too deeply") from None
        return counts

    def _take(
        self, block: bytes, callbacks: dict[str, Callable[[dict[str, Any]], None]], counts: Counter[str]
    ) -> bytes:
        """Take the lines of a block, by the express lane where it is open for them, else by the SDK's way.

        Gives what is left when a SCHEMA has opened a lane: it is to be looked at anew.
        """
        stretches = self.fast_path.decode(block)
        if stretches is None:
            rest = io.BytesIO(block)
            counts.update(super().process_lines(self._lines(rest), callbacks))  # type: ignore[arg-type]
            return rest.read()
        rest, passed = io.BytesIO(block), 0
        for stretch in stretches:
            count = len(stretch.messages)
            if self.fast_path.take(stretch, InputPosition(self.line_number + 1)):
                self.line_number += count
                counts["RECORD"] += count
                passed += count
                continue
            next(islice(rest, passed, passed), None)
            passed = 0
            counts.update(super().process_lines(self._lines(islice(rest, count)), callbacks))  # type: ignore[arg-type]
            if self.fast_path.changed:
                return rest.read()
        return b""

    def _lines(self, given: Iterable[bytes]) -> Iterator[bytes]:
        """Give lines that are not blank, until a SCHEMA among them opens a lane."""
        for line in given:
            self.line_number += 1
            if len(line) > json_lines.LONGEST_LINE:
                raise self._too_long()
            if not line.isspace():
                yield line
            if self.fast_path.changed:
                return

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Decode a line and check that it is a message, so that nobody after this meets a surprise."""
        try:
            message = json_lines.decode(line)
        except (ValueError, ArithmeticError) as error:
            message = self._decode_record(line, error)
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise self._invalid("is no Singer message: it has no `type`")
        for key, kind in _SHAPES.get(message["type"], {}).items():
            if not isinstance(message.get(key), kind):
                raise self._invalid(f"is a {message['type']} message without a proper `{key}`")
        if message["type"] == "SCHEMA":
            self._check_schema(message)
        return message

    def _check_schema(self, message: dict[str, Any]) -> None:
        if not is_name(message["stream"]):
            raise self._invalid(
                "is a SCHEMA message whose `stream` is empty, has more than"
                f" {LONGEST_NAME:,} characters, or holds control characters"
            )
        keys = message.get("key_properties")
        if not isinstance(message["schema"].get("properties"), dict):
            raise self._invalid("is a SCHEMA message without proper `properties`")
        if keys is not None and not (isinstance(keys, list) and all(map(is_name, keys))):
            raise self._invalid("is a SCHEMA message without proper `key_properties`")

    def _decode_record(self, line: bytes, error: Exception) -> object:
        """Decode a RECORD with numbers beyond measure; every other message goes out as it came, or not at all."""
        with suppress(ValueError, ArithmeticError):
            message = json_lines.decode_record(line)
            if isinstance(message, dict) and message.get("type") == "RECORD":
                return message
        raise self._invalid(f"of {len(line):,} bytes is not JSON ({type(error).__name__})")

    def assert_line_requires(self, line_dict: dict[str, Any], requires: set[str]) -> None:  # type: ignore[override]
        """Check for keys; the SDK's own version quotes the message."""
        if missing := requires - line_dict.keys():
            raise self._invalid(f"lacks {', '.join(f'`{key}`' for key in sorted(missing))}")

    def _process_unknown_message(self, message_dict: dict[str, Any]) -> None:  # noqa: ARG002
        raise self._invalid(f"has an unknown message type; known are {', '.join(_SHAPES)}")

    def _too_long(self) -> InvalidInputLine:
        return InvalidInputLine(
            f"Line {self.line_number:,} of the input is longer than {json_lines.LONGEST_LINE // 2**20} MiB. Deselect"
            " the stream's large columns in the tap; an audience needs its identifier and its key."
        )

    def _invalid(self, what: str) -> InvalidInputLine:
        return InvalidInputLine(f"{self.place} {what}. Check the tap's output.")


def _read(given: IO[bytes]) -> bytes:
    """Read what is there, up to a block; text, which only tests give, as the bytes that it stands for."""
    piece: bytes | str = (
        given.read1(json_lines.BLOCK) if isinstance(given, io.BufferedIOBase) else given.read(json_lines.BLOCK)
    )
    return piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece
