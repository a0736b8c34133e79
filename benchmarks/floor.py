"""The least that anybody must do: read blocks, decode the one field, normalise, hash, write.

`floor.py COLUMN FILE < stream`: no Singer, no rejects, no books, no ledger, no upload.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 2 << 20


def blocks(column: str) -> Iterator[list[Any]]:
    """Decode standard input, a block at a time: messages that have a `record`, of which only `value` is decoded."""
    row = msgspec.defstruct("Row", [("value", str | None, None)], rename={"value": column})
    message = msgspec.defstruct("Message", [("record", row | None, None)])
    decode = msgspec.json.Decoder(message).decode_lines
    rest = b""
    while block := sys.stdin.buffer.read(BLOCK):
        end = block.rfind(b"\n") + 1
        yield decode(rest + block[:end])
        rest = block[end:]
    yield decode(rest)


def main() -> None:
    """Write one digest a line."""
    column, file = sys.argv[1:]
    with Path(file).open("w", encoding="ascii") as lines:
        for block in blocks(column):
            lines.writelines(
                [
                    sha256("".join(m.record.value.split()).lower().encode()).hexdigest() + "\n"
                    for m in block
                    if m.record and m.record.value
                ]
            )


if __name__ == "__main__":
    main()
