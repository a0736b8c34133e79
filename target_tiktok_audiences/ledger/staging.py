"""Stage the digests of streams on disk while they are read, so that memory use does not grow with the input."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec

from target_tiktok_audiences.ledger.record_counts import RecordCounts
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.os_errors import advice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BYTES_PER_LINE = 65
"""64 hex digits and a line feed."""
NO_DIGEST = "-"
"""Placeholder in a staged line for a key whose record has no identifier now."""


class NotStaged(UserError):
    """Digests cannot be staged, for example because the temporary folder is full."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(
            f"The streams' identifiers cannot be staged in {folder}: {error.strerror}. {advice(error.errno)}, or set"
            " TMPDIR to another folder, and run again. Nothing of them was sent."
        )


class Binding(msgspec.Struct, frozen=True):
    """How a stream feeds its part of an audience; a change of any field would mix two kinds of rows."""

    stream: str
    field: str
    apply_hashing: bool
    default_country: str | None
    load_method: str
    keys: tuple[str, ...] = ()
    """The stream's key properties if the load method needs them."""


class Part:
    """The staged digests of one feed's part of an audience, and its record counts."""

    def __init__(self, binding: Binding, path: Path) -> None:
        self.binding = binding
        self.books = RecordCounts(binding.stream)
        self.path = path
        self._keyed_rows = 0
        try:
            self._lines = path.open("wb")
        except OSError as error:
            raise NotStaged(path.parent, error) from None

    def add(self, digests: Sequence[bytes]) -> None:
        """Stage digests of 32 bytes each. Raises `NotStaged`."""
        if digests:
            self._write(b"".join(digests).hex("\n", 32).encode() + b"\n")

    def add_keyed(self, keys: Sequence[Sequence[object]], digests: Sequence[bytes | None]) -> None:
        """Stage the current digest of each key, or None if its record has no identifier; the last row of a key counts.

        A key may be personal data, so only a digest of 16 bytes is written for it. Raises `NotStaged`.
        """
        first, self._keyed_rows = self._keyed_rows, self._keyed_rows + len(keys)
        rows = zip(digests, _names(keys), range(first, self._keyed_rows), strict=True)
        lines = [f"{digest.hex() if digest else NO_DIGEST},{name},{turn}\n" for digest, name, turn in rows]
        self._write("".join(lines).encode())

    def close(self) -> None:
        """Write all staged lines to the file, and close it. Raises `NotStaged`."""
        try:
            self._lines.close()
        except OSError as error:
            raise NotStaged(self.path.parent, error) from None

    def _write(self, lines: bytes) -> None:
        try:
            self._lines.write(lines)
        except OSError as error:
            raise NotStaged(self.path.parent, error) from None


def _names(keys: Sequence[Sequence[object]]) -> list[str]:
    """Return the hex digest of each key's JSON; all keys are encoded in one call, which is faster."""
    separator = "], ["
    encoded = json.dumps([list(key) for key in keys], default=str)[2:-2].split(separator)
    if len(encoded) != len(keys):  # a key contains the separator
        encoded = [json.dumps(list(key), default=str)[1:-1] for key in keys]
    return [hashlib.blake2b(f"[{key}]".encode(), digest_size=16).hexdigest() for key in encoded]
