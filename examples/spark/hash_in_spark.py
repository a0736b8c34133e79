"""Normalise and hash a table inside Spark, and hand the digests to the target as files of a BATCH.

spark-submit hash_in_spark.py TABLE DIGESTS --messages messages.jsonl
target-tiktok-audiences --config config.json < messages.jsonl
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from target_tiktok_audiences.contracts.contract import CONTRACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pyspark.sql import DataFrame


def digesting(
    contract: str, column: str, keys: Sequence[str], country: str | None
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Give the function that Spark's workers apply to their part of the table."""

    def digest(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from target_tiktok_audiences.contracts import arrow  # noqa: PLC0415 - on the worker

        for batch in batches:
            digests, reasons = arrow.digests(batch.column(column), contract, default_country=country)
            columns = [*(batch.column(key) for key in keys), digests, reasons]
            yield pa.RecordBatch.from_arrays(columns, names=[*keys, column, "reason"])

    return digest


def hashed(table: DataFrame, contract: str, column: str, keys: Sequence[str], country: str | None) -> DataFrame:
    """Give the table with digests for identifiers; a row that has none keeps its key, so that `upsert` sees it."""
    fields = [*(table.schema[key] for key in keys), *(StructField(name, StringType()) for name in (column, "reason"))]
    return table.select(*keys, column).mapInArrow(digesting(contract, column, keys, country), StructType(fields))


def messages(stream: str, column: str, keys: Sequence[str], folder: str) -> Iterator[dict[str, object]]:
    """Give what a tap would say of the files."""
    system, path = fsspec.url_to_fs(folder)
    files = [system.unstrip_protocol(file) for file in sorted(system.glob(f"{path}/*.parquet"))]
    properties = {**{key: {} for key in keys}, column: {"type": ["string", "null"]}}
    yield {"type": "SCHEMA", "stream": stream, "schema": {"properties": properties}, "key_properties": list(keys)}
    yield {"type": "BATCH", "stream": stream, "encoding": {"format": "parquet"}, "manifest": files}
    yield {"type": "STATE", "value": {"bookmarks": {stream: {}}}}


def main() -> None:
    """Read, hash, write; then write the messages, and tell how many identifiers were rejected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="Parquet that Spark can read")
    parser.add_argument("digests", help="folder for the files; Spark and the target must both reach it")
    parser.add_argument("--contract", choices=CONTRACTS, default="EMAIL_SHA256")
    parser.add_argument("--column", help="the column with the identifier; default: the contract's")
    parser.add_argument("--key", nargs="*", default=[], help="the table's key, which upsert asks for")
    parser.add_argument("--country", help="of phone numbers without a country code")
    parser.add_argument("--stream", default="customers")
    parser.add_argument("--messages", type=Path, required=True, help="file for the messages; Spark prints among others")
    given = parser.parse_args()
    column = given.column or CONTRACTS[given.contract].field
    spark = SparkSession.builder.appName("digests for TikTok").getOrCreate()
    table = hashed(spark.read.parquet(given.table), given.contract, column, given.key, given.country)
    table.write.mode("overwrite").parquet(given.digests)
    for row in spark.read.parquet(given.digests).where("reason is not null").groupBy("reason").count().collect():
        sys.stderr.write(f"rejected as {row['reason']}: {row['count']:,}\n")
    told = messages(given.stream, column, given.key, given.digests)
    given.messages.write_text("".join(f"{json.dumps(message)}\n" for message in told))
    spark.stop()


if __name__ == "__main__":
    main()
