"""The file of rejected records."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.ledger.database import describe
from target_tiktok_audiences.runtime.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from target_tiktok_audiences.singer_io.json_lines import InputPosition


class RejectsNotWritten(UserError):
    """The file of rejected records cannot be written."""


class RejectsFile:
    """JSON Lines of rejected records: where they stand and why, never what they hold."""

    def __init__(self, path: Path, *, with_key: bool) -> None:
        self._path = path
        with self._telling():
            self._lines = path.open("w", encoding="utf-8")
        self._with_key = with_key

    def write(self, place: InputPosition, stream: str, contract: str, reason: str, key: dict[str, Any]) -> None:
        """Add one rejected record; `key` are its key values, written only where they were asked for."""
        reject: dict[str, Any] = {"line": place.line} if place.row is None else {"line": place.line, "row": place.row}
        reject |= {"stream": stream, "contract": contract, "reason": reason}
        if self._with_key:
            reject["key"] = key
        with self._telling():
            self._lines.write(json.dumps(reject, default=str) + "\n")

    def close(self) -> None:
        """Bring the lines to the disk."""
        with self._telling():
            self._lines.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = str(self._path)
            raise RejectsNotWritten(f"`rejects_path` cannot be written. {describe(error)} Nothing was sent.") from None
