"""The example for Spark, run for real in its local mode: the same people as by records."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.singer import email, record, schema
from support.target import MARKER
from support.values import HOSTILE

from docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from support.emulator_client import Client
    from support.target import Outcome, Target

pytestmark = [
    pytest.mark.xdist_group("spark"),  # which is started once
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None,
        reason="SPARK IS NOT TESTED: pyspark is not installed (pip install --group spark)",
    ),
    pytest.mark.skipif(shutil.which("java") is None, reason="SPARK IS NOT TESTED: this machine has no Java"),
]
ROWS = 3000
ODD = [*(value for value in HOSTILE if not re.search("[\ud800-\udfff]", value)), None, " ", "Ä@ö.example"]


@pytest.fixture(scope="module")
def hashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], str]:
    """Run the example on a table; give its folder, the messages that it printed, and its standard error."""
    folder = tmp_path_factory.mktemp("spark")
    emails = [email(n) if n % 3 else f" {email(n).upper()}" for n in range(ROWS)] + ODD
    table = pa.table({"id": range(len(emails)), "name": ["x"] * len(emails), "email": emails})
    parquet.write_table(table, folder / "table.parquet", row_group_size=700)
    command = [
        sys.executable,
        str(ROOT / "examples/spark/hash_in_spark.py"),
        "table.parquet",
        f"file://{folder}/digests",
    ]
    spark = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--key", "id", "--messages", "messages.jsonl"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **spark, "TMPDIR": str(folder)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = (folder / "messages.jsonl").read_text().splitlines()
    return folder, [json.loads(line) for line in lines], done.stdout + done.stderr


@pytest.mark.parametrize("load_method", ["append-only", "upsert", "overwrite"])
def test_spark_makes_the_digests_that_records_make(
    load_method: str, hashed: tuple[Path, list[dict[str, Any]], str], target: Target, tiktok: Client
) -> None:
    folder, messages, told = hashed
    assert [message["type"] for message in messages] == ["SCHEMA", "BATCH", "STATE"]
    rows = parquet.read_table(folder / "table.parquet", columns=["id", "email"]).to_pylist()
    records = [schema(), *(record(row["id"], email=row["email"]) for row in rows)]

    def run(name: str, messages: list[dict[str, Any]], **config: Any) -> Outcome:
        ledger = str(target.folder / name)
        return target.run(messages, audience_name=name, load_method=load_method, ledger_path=ledger, **config)

    by_records, by_batch = run("A", records), run("B", messages, apply_hashing=False)
    assert (by_records.exit_code, by_batch.exit_code) == (0, 0), by_records.log + by_batch.log
    of_records, of_batch = (tiktok.members(ended.audience["audience_id"]) for ended in (by_records, by_batch))
    assert len(of_records) > ROWS
    assert of_batch == of_records
    (books, others) = (ended.audience["books"][0] for ended in (by_records, by_batch))
    rejected = sum(books["rejected"].values())
    assert rejected
    assert others["missing"] == books["missing"] + rejected
    assert (others["accepted"], others["duplicate"]) == (books["accepted"], books["duplicate"])
    for reason, count in books["rejected"].items():
        assert f"rejected as {reason}: {count:,}\n" in told


def test_no_identifier_leaves_spark(hashed: tuple[Path, list[dict[str, Any]], str]) -> None:
    folder, messages, told = hashed
    assert MARKER not in json.dumps(messages) + told
    written = b"".join(path.read_bytes() for path in (folder / "digests").iterdir())
    columns = parquet.read_schema(next((folder / "digests").glob("*.parquet"))).names
    assert columns == ["id", "email", "reason"]
    assert MARKER.encode() not in written
    values = parquet.read_table(folder / "digests", columns=["email"])["email"].to_pylist()
    assert all(value is None or re.fullmatch("[0-9a-f]{64}", value) for value in values)
