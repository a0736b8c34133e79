"""E-mail from files of a BATCH to staged digests: rows a second, seconds of processor, and the peak of memory.

`python benchmarks/batch.py [--rows N] [--format parquet|jsonl]`. Ledger, upload and tap are not in it; `suite.py` has
whole runs. A file has a million customers, of eight columns, as a tap of the SDK writes them.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from data import LINES, STREAM, rows, schema
from measure import BenchmarkFailed, hardware, run

from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS_PER_FILE = 1_000_000


def main() -> None:
    """Write the files in one process and read them in another, so that each has its own peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows in all")
    parser.add_argument("--format", choices=("parquet", "jsonl"), default="parquet", help="jsonl is gzipped")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write, arguments.rows, arguments.format)
    elif arguments.read:
        read(arguments.read)
    else:
        with TemporaryDirectory(prefix="benchmark-") as folder:
            measure(Path(folder), arguments.rows, arguments.format)


def measure(folder: Path, wanted: int, kind: str) -> None:
    """Print one line of figures."""
    program: Sequence[str | Path] = (sys.executable, __file__, "--rows", str(wanted), "--format", kind)
    files = folder / "files"
    files.mkdir()
    run([*program, "--write", files], folder)
    whole = run([*program, "--read", files], folder)
    found = json.loads((folder / "stdout").read_text())
    if found["rows"] != wanted:
        raise BenchmarkFailed(f"{found['rows']:,} rows were read, and {wanted:,} were written.")
    print(hardware())
    print(
        f"{wanted:,} rows of {kind}: {wanted / found['wall']:,.0f} rows/s, {found['cpu'] / wanted * 1e6:.2f} s of"
        f" processor a million; peak of memory {whole.peak_mb:,.0f} MB; with the start {whole.wall:.1f} s"
    )


def write(folder: Path, wanted: int, kind: str) -> None:
    """Write the customers, a million a file."""
    for first in range(1, wanted + 1, ROWS_PER_FILE):
        last = min(first + ROWS_PER_FILE - 1, wanted)
        blocks = (rows(start, min(start + LINES - 1, last)) for start in range(first, last + 1, LINES))
        if kind == "jsonl":
            with gzip.open(folder / f"{first:09}.jsonl.gz", "wt", compresslevel=6) as lines:
                lines.writelines(f"{json.dumps(row, separators=(',', ':'))}\n" for block in blocks for row in block)
        else:
            write_parquet(folder / f"{first:09}.parquet", blocks)


def write_parquet(path: Path, blocks: Any) -> None:
    """Write rows with what a writer does who sets nothing."""
    import pyarrow as pa  # noqa: PLC0415 - JSON Lines need none of it
    from pyarrow import parquet  # noqa: PLC0415

    table = pa.concat_tables(pa.Table.from_pylist(block) for block in blocks)
    parquet.write_table(table, path)


def read(folder: Path) -> None:
    """Read the files as far as the staged digests, and print what that took."""
    files = sorted(folder.iterdir())
    kind = "parquet" if files[0].suffix == ".parquet" else "jsonl"
    batch = {"type": "BATCH", "stream": STREAM, "encoding": {"format": kind}, "manifest": list(map(str, files))}
    given = "".join(f"{json.dumps(message)}\n" for message in (schema(narrow=False), batch))
    settings = {
        "access_token": "emulator-token",
        "advertiser_id": "7000000000000000001",
        "contract": "EMAIL_SHA256",
        "ledger_path": ":memory:",
    }
    with TargetTikTokAudiences(config=settings) as target:
        wall, cpu = time.monotonic(), _cpu()
        target.process_lines(io.StringIO(given))
        wall, cpu = time.monotonic() - wall, _cpu() - cpu
        (audience,) = target.run.report.audiences
    print(json.dumps({"rows": sum(books.read for books in audience.books), "wall": wall, "cpu": cpu}))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
