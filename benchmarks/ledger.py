"""The difference itself: how long, and with how much memory, the ledger finds what has changed in a large table.

`python benchmarks/ledger.py [--rows 10000000]` prints a table; README.md beside this file tells what it means.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
from measure import RSS_UNIT, hardware

from target_tiktok_audiences.ledger.ledger import Ledger
from target_tiktok_audiences.ledger.staging import Binding, Part
from target_tiktok_audiences.sync.delivery import write_files
from target_tiktok_audiences.sync.plan import Action, AudienceStatus, ChangeHistory, Limits, Status, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGED = 100
"""Every so manieth row has a new identifier."""
AIM_ROWS, AIM_SECONDS, AIM_MB = 10_000_000, 30, 1500
MEMORY = "256MB"  # of DuckDB, in the baseline; with the 160 MB of the ledger it gives up
STEPS = {
    "stage": "read the stream",
    "revision": "compare, commit who should be in",
    "counts": "count the difference",
    "files": "write the files to upload",
}


def main() -> None:
    """Run each case in processes of their own, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table (default: 1000000)")
    parser.add_argument("--child", nargs=2, metavar=("STEP", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        step, folder = arguments.child
        sys.stdout.write(json.dumps(CHILDREN[step](Path(folder), arguments.rows)))
        return
    cases = {keys: _case(arguments.rows, keys=keys) for keys in (False, True)}
    print(_table(arguments.rows, cases))
    ours = [case["ledger"] for case in cases.values()]
    met = all(o["total"] < AIM_SECONDS and o["peak_mb"] < AIM_MB for o in ours)
    if arguments.rows == AIM_ROWS:
        print(f"\nUnder {AIM_SECONDS} s and {AIM_MB:,} MB: {'yes' if met else 'no'}")


def _case(rows: int, *, keys: bool) -> dict[str, dict[str, Any]]:
    """Measure the ledger and the baseline on the same staged files.

    A new process for each: the peak of memory is a process's, and one begun by a large parent inherits its peak.
    """
    with TemporaryDirectory(prefix="benchmark-") as folder:
        if keys:
            (Path(folder) / "keys").touch()

        def child(step: str) -> dict[str, Any]:
            print(f"{step}, {rows:,} rows, {'with' if keys else 'no'} keys ...", file=sys.stderr)
            command = [sys.executable, __file__, "--rows", str(rows), "--child", step, folder]
            result: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603
            return result

        child("prepare")
        return {"baseline": child("baseline"), "ledger": child("ledger")}


# Each of these is a process


def _prepare(folder: Path, rows: int) -> dict[str, Any]:
    """Write what the stream brings before and after the change, and a ledger that has delivered the former."""
    database = duckdb.connect()
    database.execute(f"SET memory_limit = '{MEMORY}'")
    tail = ", md5(i::VARCHAR) AS key, i AS turn" if (folder / "keys").exists() else ""
    for name, new in (("before", "''"), ("after", f"CASE i % {CHANGED} WHEN 0 THEN 'new' ELSE '' END")):
        database.execute(
            f"COPY (SELECT sha256({new} || i) AS digest{tail} FROM range(1, {rows} + 1) AS t(i))"
            f" TO '{folder / name}' (FORMAT csv, HEADER false)"
        )
    database.close()
    ledger = Ledger(folder / "ledger.duckdb", folder / "spill")
    part = _part(folder, "before", rows)
    ledger.stage([part])
    with ledger.revision([part.binding], datetime.now(UTC)):
        pass
    ledger.belongs_to("1", "created")
    ledger.take_as_delivered()
    ledger.close()
    return {}


def _baseline(folder: Path, rows: int) -> dict[str, Any]:
    """Read both files, and nothing but the difference: `EXCEPT` both ways, counted, and the sorted file to upload."""
    clock = Clock()
    database = duckdb.connect(str(folder / "baseline.duckdb"))
    for setting in (f"memory_limit = '{MEMORY}'", "preserve_insertion_order = false"):
        database.execute(f"SET {setting}")
    database.execute(f"SET temp_directory = '{folder / 'spill'}'")
    for name in ("before", "after"):
        file = f"read_csv('{folder / name}', header = false, all_varchar = true)"
        database.execute(f"CREATE TABLE {name} AS SELECT unhex(column0) AS digest FROM {file}")
    clock.lap("read")
    found = [
        database.execute(f"SELECT count(*) FROM (FROM {one} EXCEPT FROM {other})").fetchall()[0][0]
        for one, other in (("after", "before"), ("before", "after"))
    ]
    clock.lap("except")
    database.execute(
        f"COPY (SELECT lower(hex(digest)) FROM after ORDER BY digest) TO '{folder / 'sorted'}' (HEADER false)"
    )
    clock.lap("file")
    _check(found == [rows // CHANGED] * 2)
    return clock.result()


def _ledger(folder: Path, rows: int) -> dict[str, Any]:
    """Do what a run does between the end of input and the upload, and what it notes around the call."""
    clock, now = Clock(), datetime.now(UTC)
    ledger = Ledger(folder / "ledger.duckdb", folder / "spill")
    part = _part(folder, "after", rows)
    ledger.stage([part])
    clock.lap("stage")
    with ledger.revision([part.binding], now):
        pass
    clock.lap("revision")
    counts = ledger.counts()
    plan = make_plan("overwrite", counts, AudienceStatus(Status.READY, rows), ChangeHistory(), Limits(1000, 50))
    clock.lap("counts")
    ledger.call_rows(plan.do.value)
    upload = folder / "upload"
    upload.mkdir()
    files = write_files(plan, ledger, upload)
    clock.lap("files")
    result = clock.result()
    _check((plan.do, counts.adds, counts.removals) == (Action.REPLACE, rows // CHANGED, rows // CHANGED))
    _check(sum(file.path.stat().st_size for file in files) == rows * 65)

    change = ledger.intend(plan.do.value, now)
    ledger.accepted(change, plan.do.value, "1", now)
    ledger.close()
    clock.lap("call")
    after = clock.result()
    size = round((folder / "ledger.duckdb").stat().st_size / 1e6)
    return result | {"call": after["call"], "peak_mb_after": after["peak_mb"], "file_mb": size}


CHILDREN: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "prepare": _prepare,
    "baseline": _baseline,
    "ledger": _ledger,
}


class Clock:
    """The seconds of each step, and this process's peak of memory."""

    def __init__(self) -> None:
        self._laps: dict[str, float] = {}
        self._start = self._last = time.monotonic()

    def lap(self, step: str) -> None:
        """End a step."""
        now = time.monotonic()
        self._laps[step], self._last = round(now - self._last, 2), now

    def result(self) -> dict[str, Any]:
        """Give what was measured so far."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            **self._laps,
            "total": round(self._last - self._start, 2),
            "cpu": round(usage.ru_utime + usage.ru_stime, 2),
            "peak_mb": round(usage.ru_maxrss * RSS_UNIT / 1e6),
        }


def _part(folder: Path, name: str, rows: int) -> Part:
    """Give a part as if the stream had just ended."""
    keys = ("id",) if (folder / "keys").exists() else ()
    binding = Binding(
        "customers", "email", apply_hashing=True, default_country=None, load_method="overwrite", keys=keys
    )
    part = Part(binding, folder / "part")
    part.close()
    part.path.unlink()
    part.path.hardlink_to(folder / name)
    part.books.read = rows
    return part


def _check(truth: bool) -> None:  # noqa: FBT001
    if not truth:
        raise SystemExit("The benchmark found something else than it made: its figures mean nothing.")


# What is printed


def _table(rows: int, cases: dict[bool, dict[str, dict[str, Any]]]) -> str:
    ours, plain = ([case[who] for case in cases.values()] for who in ("ledger", "baseline"))
    lines = [
        f"{rows:,} members, {rows // CHANGED:,} rows changed, `overwrite`. {_machine()}",
        "",
        "| | no key | with a key |",
        "| --- | ---: | ---: |",
    ]

    def row(label: str, *values: str) -> None:
        lines.append(f"| {' | '.join((label, *values))} |")

    for step, label in STEPS.items():
        row(label, *(f"{o[step]:.1f} s" for o in ours))
    row("**the difference in all**", *(f"**{o['total']:.1f} s**" for o in ours))
    row("its processor time", *(f"{o['cpu']:.1f} s" for o in ours))
    row("its peak of memory", *(f"**{o['peak_mb']:,} MB**" for o in ours))
    row("plain DuckDB", *(f"{p['total']:.1f} s, {p['peak_mb']:,} MB" for p in plain))
    row("of that: read, `EXCEPT`, file", *(f"{p['read']:.1f} + {p['except']:.1f} + {p['file']:.1f} s" for p in plain))
    row("time to plain DuckDB's", *(f"{o['total'] / p['total']:.1f} x" for o, p in zip(ours, plain, strict=True)))
    row("memory to plain DuckDB's", *(f"{o['peak_mb'] / p['peak_mb']:.1f} x" for o, p in zip(ours, plain, strict=True)))
    row("then: intent, outcome and close", *(f"{o['call']:.1f} s, {o['peak_mb_after']:,} MB" for o in ours))
    row("the ledger's file", *(f"{o['file_mb']:,} MB" for o in ours))
    return "\n".join(lines)


def _machine() -> str:
    """Say what this ran on."""
    return f"{hardware()}, {platform.system()}; Python {platform.python_version()}, DuckDB {duckdb.__version__}."


if __name__ == "__main__":
    main()
