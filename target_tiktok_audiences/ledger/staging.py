"""What streams bring, on disk while they are read; memory does not grow with them."""

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
"""64 hex digits and a line end."""
NO_DIGEST = "-"
"""In a staged line: the record's key is spoken of, and it has no identifier now."""


class NotStaged(UserError):
    """What streams bring cannot be kept: the temporary folder is full, for one."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(
            f"What the streams bring cannot be kept in {folder}: {error.strerror}. {advice(error.errno)}, or set TMPDIR"
            " to another folder, and run again. Nothing of it was sent."
        )


class Binding(msgspec.Struct, frozen=True):
    """What ties a stream to its part of an audience: a change of any of it would mix two kinds of rows."""

    stream: str
    field: str
    apply_hashing: bool
    default_country: str | None
    load_method: str
    keys: tuple[str, ...] = ()
    """The stream's key properties, where the load method needs them."""


class Part:
    """One feed's part of an audience: its digests as they come, and their books."""

    def __init__(self, binding: Binding, path: Path) -> None:
        self.binding = binding
        self.books = RecordCounts(binding.stream)
        self.path = path
        self._said = 0
        try:
            self._lines = path.open("wb")
        except OSError as error:
            raise NotStaged(path.parent, error) from None

    def add(self, digests: Sequence[bytes]) -> None:
        """Stage digests of 32 bytes each. Raises `NotStaged`."""
        if digests:
            self._write(b"".join(digests).hex("\n", 32).encode() + b"\n")

    def add_keyed(self, keys: Sequence[Sequence[object]], digests: Sequence[bytes | None]) -> None:
        """Stage what is said of keys now: a digest, or that there is none; the last word on a key counts.

        A key itself is personal data, perhaps, so only 16 bytes of its digest are written. Raises `NotStaged`.
        """
        first, self._said = self._said, self._said + len(keys)
        said = zip(digests, _names(keys), range(first, self._said), strict=True)
        lines = [f"{digest.hex() if digest else NO_DIGEST},{name},{turn}\n" for digest, name, turn in said]
        self._write("".join(lines).encode())

    def close(self) -> None:
        """Bring what is staged to the disk; nothing can be added after. Raises `NotStaged`."""
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
    """Give what keys are called in the ledger: a digest of each as JSON; all are written as JSON in one go."""
    apart = "], ["
    written = json.dumps([list(key) for key in keys], default=str)[2:-2].split(apart)
    if len(written) != len(keys):  # a key has that in it
        written = [json.dumps(list(key), default=str)[1:-1] for key in keys]
    return [hashlib.blake2b(f"[{key}]".encode(), digest_size=16).hexdigest() for key in written]
