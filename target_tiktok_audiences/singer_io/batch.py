"""BATCH: records in files that a message names, read in blocks, column by column where nothing transforms them.

Each row is what the same row would be as a RECORD: a test holds that both stage, count and say the same. No error
quotes a file, nor its whole address, which may hold credentials.
"""

from __future__ import annotations

import io
import logging
import os
import re
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import fsspec
import msgspec
from fsspec.registry import known_implementations
from fsspec.utils import get_protocol
from singer_sdk.exceptions import InvalidInputLine

from target_tiktok_audiences.singer_io import json_lines
from target_tiktok_audiences.singer_io.json_lines import (
    ABSENT,
    DELETED_AT,
    InputPosition,
    RecordView,
    columns_of,
    records_of,
)
from target_tiktok_audiences.singer_io.schema_checks import quoted, shown_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from target_tiktok_audiences.singer_io.json_lines import Columns

log = logging.getLogger(__name__)

ROWS = 16_384
"""Rows of Parquet that are decoded at once, where they are not wide."""

WIDTH = 16 * 2**20
"""Bytes of the rows that are decoded at once, by what the file says of itself."""

BUFFER = 2**20
"""Bytes of a column that are read at once; without a limit it is all that a row group has of it."""

FORMATS = ("jsonl", "parquet")
COMPRESSIONS = ("none", "gzip", "bz2", "lzma", "xz", "zip")
_FILE_NAME = re.compile(r"[A-Za-z0-9_.=-]{1,150}")
"""Names of files as taps and Spark make them, which surely are neither credentials nor a person's data."""


class Batch:
    """The files of one message. Everything raises `InvalidInputLine` where they cannot be read."""

    def __init__(self, message: dict[str, Any], line: int) -> None:
        self._line = line
        self._row = 1
        encoding = message["encoding"]
        self._format, self._compression = encoding.get("format"), encoding.get("compression")
        self._manifest = message["manifest"]
        if self._format not in FORMATS:
            raise self._wrong(f"has no proper `format` in its `encoding`; known are {', '.join(FORMATS)}")
        if self._format == "jsonl" and self._compression not in (None, *COMPRESSIONS):
            raise self._wrong(f"has no proper `compression` in its `encoding`; known are {', '.join(COMPRESSIONS)}")
        if not all(isinstance(url, str) and url for url in self._manifest):
            raise self._wrong("has a `manifest` that is no list of files' addresses")

    @property
    def place(self) -> InputPosition:
        """That of the next row."""
        return InputPosition(self._line, self._row)

    def columns(self, names: Sequence[str]) -> Iterator[tuple[Columns, int]]:
        """Give some columns of all rows, block by block, and how many rows these are."""
        read = self._columns_of_parquet if self._format == "parquet" else self._columns_of_jsonl
        for number, url in enumerate(self._manifest):
            for columns, rows in self._telling(number, read(url, names)):
                yield columns, rows
                self._row += rows

    def records(self) -> Iterator[dict[str, Any]]:
        """Give all rows, whole, one by one."""
        read = self._records_of_parquet if self._format == "parquet" else self._records_of_jsonl
        for number, url in enumerate(self._manifest):
            for record in self._telling(number, read(url)):
                yield record
                self._row += 1

    def _columns_of_jsonl(self, url: str, names: Sequence[str]) -> Iterator[tuple[Columns, int]]:
        row = RecordView(names)
        decoder = msgspec.json.Decoder(row.type, float_hook=Decimal)
        for block in self._blocks(url):
            rows = json_lines.decode_objects(block, decoder)
            if rows is None:
                yield from ((columns_of([record], names), 1) for record in self._each(block))
            else:
                yield row.columns(rows, names), len(rows)

    def _records_of_jsonl(self, url: str) -> Iterator[dict[str, Any]]:
        for block in self._blocks(url):
            yield from self._each(block)

    def _blocks(self, url: str) -> Iterator[bytes]:
        """Give a file's lines. Taps of the SDK compress whatever they say, so without a word the name tells."""
        compression = {None: "infer", "none": None}.get(self._compression, self._compression)
        with fsspec.open(url, "rb", compression=compression) as file:
            yield from json_lines.blocks(partial(file.read, json_lines.BLOCK))

    def _each(self, block: bytes) -> Iterator[dict[str, Any]]:
        """Give the rows of a block one by one; blank lines are passed over."""
        for line in io.BytesIO(block):
            if line.isspace():
                continue
            if len(line) > json_lines.LONGEST_LINE:
                raise json_lines.LineTooLong
            try:
                record = json_lines.decode_record(line)
            except (ValueError, ArithmeticError) as error:
                raise self._invalid_row(f"of {len(line):,} bytes is not JSON ({type(error).__name__})") from None
            if not isinstance(record, dict):
                raise self._invalid_row("is no record: it is no JSON object")
            yield record

    def _columns_of_parquet(self, url: str, names: Sequence[str]) -> Iterator[tuple[Columns, int]]:
        for batch in self._batches(url, names):
            there = {name: self._values(batch, name) for name in names if name in batch.schema.names}
            yield {name: there.get(name) or [ABSENT] * batch.num_rows for name in names}, batch.num_rows

    def _records_of_parquet(self, url: str) -> Iterator[dict[str, Any]]:
        for batch in self._batches(url, None):
            columns = {name: self._values(batch, name) for name in batch.schema.names}
            yield from records_of(columns, batch.num_rows)

    def _batches(self, url: str, names: Sequence[str] | None) -> Iterator[Any]:
        """Give blocks of a file's rows, with those of its columns that count."""
        try:
            from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - it is an extra, and takes its time
        except ImportError:
            raise self._wrong(
                "names Parquet files, and pyarrow, which reads them, is not installed. Install the target with its"
                " extra `parquet`, or let the tap write `format: jsonl`"
            ) from None
        options = {"buffer_size": BUFFER, "pre_buffer": False, "coerce_int96_timestamp_unit": "us"}  # as Spark has them
        with fsspec.open(url, "rb") as file, ParquetFile(file, **options) as parquet:
            self._warn_of_missing(url, names or (), parquet.schema_arrow.names)
            yield from parquet.iter_batches(_rows_at_once(parquet.metadata), columns=names)

    def _warn_of_missing(self, url: str, names: Sequence[str], there: Sequence[str]) -> None:
        """Tell of columns that count and that a file lacks, unless it marks rows as deleted: those need only a key."""
        missing = [quoted(name) for name in names if name not in there and name != DELETED_AT]
        if missing and DELETED_AT not in there:
            log.warning(
                "%s: a file of the BATCH (%s) has no column %s; its columns are %s. Set `identifier_field` to the one"
                " that holds the identifier.",
                InputPosition(self._line),
                _shown(url),
                ", ".join(missing),
                shown_names(there),
            )

    def _values(self, batch: Any, name: str) -> list[Any]:
        """Give the values of a column; of two with one name the last, as of two keys in JSON."""
        from target_tiktok_audiences.contracts import arrow  # noqa: PLC0415 - it needs pyarrow

        column = batch.column(batch.schema.get_all_field_indices(name)[-1])
        try:
            return arrow.values(column)
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001 - pyarrow's, and those of numbers, times and text; some quote values
            raise InvalidInputLine(
                f"{self.place} or a later one: column {quoted(name)} ({_kind(column.type)}) holds a value that no"
                f" record can hold ({type(error).__name__}). Cast it where the files are written."
            ) from None

    def _telling(self, number: int, blocks: Iterable[Any]) -> Iterator[Any]:
        """Give what is read of a file, and tell in one line why it cannot be."""
        blocks = iter(blocks)
        while True:
            try:
                block = next(blocks)
            except StopIteration:
                return
            except (InvalidInputLine, RecursionError):
                raise
            except json_lines.LineTooLong:
                raise self._invalid_row(
                    f"is longer than {json_lines.LONGEST_LINE // 2**20} MiB. Deselect the stream's large columns"
                ) from None
            except Exception as error:  # noqa: BLE001 - every driver has its own, and they quote addresses
                raise self._unreadable(number, error) from None
            yield block

    def _unreadable(self, number: int, error: Exception) -> InvalidInputLine:
        url = self._manifest[number]
        return InvalidInputLine(
            f"{InputPosition(self._line)}: file {number + 1:,} of {len(self._manifest):,} of the BATCH ({_shown(url)})"
            f" cannot be read: {self._reason(url, error)}."
        )

    def _reason(self, url: str, error: Exception) -> str:
        """Say why a file cannot be read, and what to do, without the error's text."""
        protocol = get_protocol(url)
        if protocol not in known_implementations and protocol not in fsspec.available_protocols():
            return "nothing is known of such an address. The manifest must name paths, or URLs that fsspec can open"
        if isinstance(error, ImportError):
            return f"{known_implementations.get(protocol, {}).get('err') or 'its driver is not installed'}"
        for kind, reason in _REASONS.items():
            if isinstance(error, kind):
                return reason
        if isinstance(error, OSError) and error.errno:
            return f"{os.strerror(error.errno)}. Run again when that is mended"
        compressed = f"JSON Lines (compression: {self._compression or 'by its name'})"
        what = "Parquet" if self._format == "parquet" else compressed
        return f"it is damaged, cut short or no {what} ({type(error).__name__}). Check the tap's `batch_config`"

    def _invalid_row(self, what: str) -> InvalidInputLine:
        return InvalidInputLine(f"{self.place} {what}. Check the tap's output.")

    def _wrong(self, what: str) -> InvalidInputLine:
        return InvalidInputLine(f"{InputPosition(self._line)} is a BATCH message that {what}.")


_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "there is no such file. Let the target see the tap's files, and keep them until it has run",
    PermissionError: "access is denied. Give the target's user, or its credentials, the right to read it",
    IsADirectoryError: "it is a folder. The manifest must name the files in it, one by one",
}


def _rows_at_once(metadata: Any) -> int:
    """Tell how many rows are decoded at once: whole documents in some column must not fill the memory."""
    size: int = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    narrow: int = WIDTH * metadata.num_rows // max(size, 1)
    return max(1, min(ROWS, narrow))


def _kind(type_of_column: object) -> str:
    """Name a column's type without the names of columns inside it, which may be data."""
    named = re.match(r"\w+(?:\[\w+\])?", str(type_of_column))
    return named[0] if named else "of an unknown type"


def _shown(url: str) -> str:
    """Give what of a file's address can be shown: the end of its path, where that is surely no secret."""
    path = re.split("[?#]", url, maxsplit=1)[0].rpartition("::")[2]
    path = path.partition("://")[2].partition("/")[2] if "://" in path else path
    name = path.rpartition("/")[2]
    return f"`{name}`" if _FILE_NAME.fullmatch(name) else "its name is unusual"
