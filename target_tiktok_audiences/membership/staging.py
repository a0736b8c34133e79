"""Digests on disk while streams are read; memory does not grow with them."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from target_tiktok_audiences.membership.books import Books

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES_PER_LINE = 65
"""64 hex digits and a line end."""

_ROWS_AT_ONCE = 100_000
_MEMORY = "1GB"  # past it DuckDB goes on on disk


class PrivateFolder:
    """A temporary folder that only this user may enter; `close`, or the end of the process, removes it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="target-tiktok-audiences-"))
        self.close = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class Part:
    """One feed's part of an audience: its digests as they come, and their books."""

    def __init__(self, stream: str, path: Path) -> None:
        self.books = Books(stream)
        self.path = path
        self._lines = path.open("wb")

    def add(self, digest: bytes) -> None:
        """Stage one digest of 32 bytes."""
        self._lines.write(b"%s\n" % digest.hex().encode())

    def close(self) -> None:
        """Bring what is staged to the disk; nothing can be added after."""
        self._lines.close()


class Staging:
    """All that the streams of one run bring for one audience."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self._database: duckdb.DuckDBPyConnection | None = None
        self.parts: list[Part] = []

    def part(self, stream: str) -> Part:
        """Begin the part of one more feed."""
        part = Part(stream, self.folder / f"part-{len(self.parts)}.csv")
        self.parts.append(part)
        return part

    def settle(self) -> int:
        """Count what was staged into the books, check them, and give the number of distinct digests.

        Raises `BooksDoNotBalance`.
        """
        database = self._database = duckdb.connect(str(self.folder / "staged.duckdb"))
        database.execute(f"SET memory_limit = '{_MEMORY}'")
        database.execute("SET temp_directory = ?", [str(self.folder / "spill")])
        database.execute("CREATE TABLE staged (part INTEGER, digest BLOB)")
        for number, part in enumerate(self.parts):
            part.close()
            database.execute(
                "INSERT INTO staged SELECT ?, unhex(digest) FROM read_csv(?, header = false, auto_detect = false,"
                " columns = {'digest': 'VARCHAR'})",
                [number, str(part.path)],
            )
            part.path.unlink()
            part.books.accepted, part.books.duplicate = self._one(
                "SELECT count(*), coalesce(sum(times - 1), 0)::BIGINT"
                " FROM (SELECT count(*) AS times FROM staged WHERE part = ? GROUP BY digest)",
                [number],
            )
            part.books.check()
        return self._one("SELECT count(DISTINCT digest) FROM staged")[0]

    def sorted_lines(self, border: int) -> Iterator[bytes]:
        """Give each distinct digest once, sorted, as lower-case hex lines in blocks that end at every `border` rows.

        Sorted, so that equal sets make equal files.
        """
        if self._database is None:
            raise RuntimeError("settle first")
        rows = self._database.execute(
            "SELECT lower(hex(digest)) FROM (SELECT DISTINCT digest FROM staged ORDER BY digest)"
        )
        left = border
        while block := rows.fetchmany(min(left, _ROWS_AT_ONCE)):
            left = left - len(block) or border
            yield "".join(f"{digest}\n" for (digest,) in block).encode()

    def close(self) -> None:
        """Let go of the files; who owns the folder removes them."""
        for part in self.parts:
            part.close()
        if self._database is not None:
            self._database.close()

    def _one(self, query: str, parameters: list[object] | None = None) -> tuple[int, ...]:
        if self._database is None:
            raise RuntimeError("settle first")
        row = self._database.execute(query, parameters or []).fetchone()
        return row or ()
