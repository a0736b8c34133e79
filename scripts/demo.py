"""The demo, in ten steps. `scripts/demo` prepares the environment and runs it; `--connect` runs the connect demo."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

import connect_demo
from customers import customers, email_digests, phone_digests
from playground import ROOT, STATE_ID, TARGET, Project, emulator, postgres
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from customers import Customer
    from playground import Database, Emulator

FOLDER = ROOT / ".demo" / "project"
EXPECTED: dict[str, Callable[[Iterable[Customer]], set[str]]] = {
    "Customers by e-mail": email_digests,
    "Customers by phone": phone_digests,
}
"""What each audience must hold for given rows, calculated without the target's code."""

COMMAND = f"meltano run tap-postgres {TARGET}"
RECORDS = ("read", "accepted", "duplicate", "missing", "rejected", "sent")
MEMBERS = ("read", "missing", "deleted", "added", "removed", "waiting")
"""Columns of the two parts: record counts, and member counts."""
out = Console(highlight=False, width=None if sys.stdout.isatty() else 110)


class DemoFailed(Exception):
    """A claim of the demo is false."""


def main() -> int:
    """Run all steps, and stop every process that they started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    if sys.argv[1:] == ["--connect"]:
        return connect_demo.main()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    start = time.monotonic()
    out.print("[bold]Keep two TikTok Custom Audiences in sync with a table of customers[/]")
    out.print("Everything runs on this machine: PostgreSQL, Meltano and a TikTok emulator. All data is made up.")
    try:
        with postgres(FOLDER / "postgres.log") as database, emulator(FOLDER / "emulator.log") as tiktok:
            demo = Demo(database, tiktok)
            demo.fill()
            demo.keep_in_step()
    except (DemoFailed, RuntimeError, subprocess.CalledProcessError) as failure:
        out.print(f"\n[red]✗[/] {escape(str(failure))}\n  See the logs in {FOLDER}.", soft_wrap=True)
        return 1
    except SystemExit:
        out.print("\nInterrupted. All processes are stopped.")
        raise
    out.print(
        f"\nDone in {time.monotonic() - start:.0f} seconds. All processes are stopped. Logs: {FOLDER}",
        soft_wrap=True,
    )
    out.print("To use your own table and audience: examples/postgres-to-tiktok/README.md")
    return 0


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    """Unwind every `with` block, which stops the servers, and ignore a second Ctrl-C meanwhile."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


class Demo:
    """The steps of the demo, in order."""

    def __init__(self, database: Database, tiktok: Emulator) -> None:
        self.database = database
        self.tiktok = tiktok
        self.project = Project(FOLDER, database)
        self.project.connect(tiktok)
        self.acts = 0
        self.report: dict[str, Any] = {}
        """Report of the last run."""

    def fill(self) -> None:
        """Fill the audiences from the table, change the table, and fill them again."""
        self.act("A realistic table")
        seeded = datetime.now(UTC)
        self.database.create_table()
        self.database.write(customers(range(1, 5001), seeded - timedelta(days=90), seeded))
        before = self.database.read()
        forms = "upper case, white space, +tags, Unicode, no country code, hashes, invalid values"
        out.print(
            f"  {len(before):,} customers, with email addresses and phone numbers as people type them:\n  {forms}"
        )

        self.act("The first run", COMMAND)
        with out.status("Meltano installs the tap and the target ..."):
            self.meltano("install")
        first = self.run()
        ids = {entry["audience"]: entry["audience_id"] for entry in first}
        self.check(
            all(2 * figures["read"] == sum(figures[name] for name in RECORDS[:-1]) for figures in map(_figures, first)),
            "every row is accounted for: read = accepted + duplicate + missing + rejected",
        )

        self.act("What TikTok received", "expected values: computed with hashlib and phonenumbers only")
        self.compare(before)

        self.act("Two days later")
        self.tiktok.advance(hours=48)
        states = {audience["is_valid"] for audience in self.tiktok.audiences()}
        self.check(states == {True}, "TikTok has processed both audiences, which takes up to 48 hours")
        now = datetime.now(UTC)
        changed = [*customers(range(5001, 5301), seeded, now), *customers(range(2001, 2201), seeded, now, edition=1)]
        self.database.write(changed)
        out.print("  The table has 300 new customers, and 200 customers have new addresses and numbers")

        self.act("The second run", COMMAND)
        state = self.meltano("state", "get", STATE_ID)
        second = self.run()
        self.check(
            all(audience_id in state for audience_id in ids.values()), "Meltano's state contains the audience IDs"
        )
        created = [call for call in self.tiktok.requests() if call["path"].endswith("/custom_audience/create/")]
        self.check(
            {entry["audience"]: entry["audience_id"] for entry in second} == ids and len(created) == len(ids),
            "so this run found its audiences and created none",
        )
        self.check(
            all(
                entry["sent"] == len(EXPECTED[entry["audience"]](changed) - EXPECTED[entry["audience"]](before))
                for entry in second
            ),
            f"and sent only the new identifiers, not all {len(self.database.read()):,} rows",
        )
        self.compare([*before, *changed])

    def keep_in_step(self) -> None:
        """Show removals, a busy TikTok, a deleted row and a table that lost half of its rows."""
        self.act("Remove outdated identifiers", "load_method: overwrite, with --full-refresh")
        out.print(
            "  So far, members were only added: the old addresses of those 200 are still there.\n"
            "  Sync the whole table once:"
        )
        self.tiktok.advance(hours=48)
        self.run("--full-refresh", columns=MEMBERS, load_method="overwrite")
        self.compare(self.database.read())

        self.act("60 customers withdraw consent", "load_method: upsert, which uses the table's key")
        self.tiktok.advance(hours=48)
        now = datetime.now(UTC)
        self.database.write(
            replace(row, email=None, phone=None, updated_at=now + timedelta(microseconds=place))
            for place, row in enumerate(self.database.read()[100:160])
        )
        out.print("  Their address and number are now null; nothing else changed:")
        self.run(columns=MEMBERS, load_method="upsert")
        self.compare(self.database.read())

        self.act("TikTok is still processing the change", "an hour later")
        self.tiktok.advance(hours=1)
        before = self.database.read()
        self.database.write(customers(range(5301, 5401), now + timedelta(seconds=1), datetime.now(UTC)))
        held = self.run(columns=MEMBERS, load_method="upsert")
        out.print(Padding(f"[dim]{escape(held[0]['message'])}[/]", (0, 2)))
        self.check(
            all(entry["outcome"] == "held" and entry["waiting"] for entry in held),
            "exit code 0: the 100 new customers are pending, and no call was made that TikTok would reject",
        )
        self.check(
            self.report["run"]["state_published"], "they are stored in the ledger, so the tap does not send them again"
        )
        self.compare(before)
        out.print("  Two days later, no row has changed; the tap reads its last row again:")
        self.tiktok.advance(hours=48)
        self.run(columns=MEMBERS, load_method="upsert")
        self.compare(self.database.read())

        self.act("Deletions that contain only the key", f"meltano invoke {TARGET}")
        self.tiktok.advance(hours=48)
        deleted = [row.id for row in self.database.read()[1000:1040]]
        self.database.delete(deleted)
        messages = _deletions(deleted)
        out.print("  40 rows are deleted from the table. Log-based replication reports this, but needs")
        out.print("  wal2json, which this PostgreSQL lacks, so the demo generates the messages, such as")
        out.print(f"  [dim]{json.dumps(json.loads(messages.splitlines()[1])['record'])}[/]")
        self.run(columns=MEMBERS, stdin=messages, load_method="upsert")
        self.compare(self.database.read())

        self.act("Half of the table disappears", "load_method: overwrite, with --full-refresh")
        self.tiktok.advance(hours=48)
        before = self.database.read()
        self.database.delete(row.id for row in before[len(before) // 2 :])
        out.print("  Rows are missing: a failed import, or a crashed tap?")
        guarded = self.run("--full-refresh", columns=MEMBERS, expected=1, load_method="overwrite")
        out.print(Padding(escape(guarded[0]["message"]), (0, 2)))
        self.check(
            all("would be removed" in entry["message"] and not entry["sent"] for entry in guarded),
            "exit code 1: nothing was sent, and no state was emitted",
        )
        self.compare(before)

    def act(self, title: str, aside: str = "") -> None:
        """Start the next step."""
        self.acts += 1
        out.print(f"\n[bold]{self.acts}  {title}[/]" + (f"  [dim]{aside}[/]" if aside else ""))

    def check(self, truth: bool, claim: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Raise DemoFailed unless the claim is true, else print it."""
        if not truth:
            raise DemoFailed(f"Not true: {claim}")
        self.tick(claim)

    def tick(self, truth: str) -> None:
        """Print a confirmed claim."""
        out.print(f"  [green]✓[/] {truth}")

    def meltano(self, *arguments: str, expected: int = 0, stdin: str = "", **settings: str) -> str:
        """Run Meltano, log to a file, and return its standard output; raise DemoFailed on another exit code."""
        settings["report_path"] = str(FOLDER / "report.json")
        done = self.project.meltano(*arguments, stdin=stdin, **settings)
        if done.returncode != expected:
            last = "\n  ".join(done.stderr.strip().splitlines()[-5:])
            raise DemoFailed(f"`meltano {' '.join(arguments)}` ended with exit code {done.returncode}:\n  {last}")
        return done.stdout

    def run(
        self,
        *flags: str,
        columns: tuple[str, ...] = RECORDS,
        expected: int = 0,
        stdin: str = "",
        **settings: str,
    ) -> list[dict[str, Any]]:
        """Run the pipeline, or only the target if `stdin` is set. Print the report and return its audiences."""
        start = time.monotonic()
        command = ("invoke", TARGET) if stdin else ("run", *flags, "tap-postgres", TARGET)
        with out.status("Meltano runs the pipeline ..."):
            self.meltano(*command, expected=expected, stdin=stdin, **settings)
        seconds = time.monotonic() - start
        self.report = json.loads((FOLDER / "report.json").read_text())
        audiences: list[dict[str, Any]] = self.report["audiences"]
        table = Table(box=None, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="dim")
        table.add_column()
        for column in columns:
            table.add_column(column, justify="right")
        table.add_column("by")
        for entry in audiences:
            figures = _figures(entry)
            table.add_row(
                "  " + entry["audience"], *(f"{figures[column]:,}" for column in columns), entry["plan"] or "none"
            )
        out.print(table)
        for entry in audiences if columns is RECORDS else ():
            reasons = (f"{count:,} {reason}" for book in entry["books"] for reason, count in book["rejected"].items())
            out.print(f"  [dim]rejected of {entry['audience']}: {', '.join(reasons)}[/]")
        inside = self.report["run"]["seconds"]
        out.print(f"  [dim]{inside:.1f} s in the target, {seconds:.0f} s with Meltano and the tap[/]")
        return audiences

    def compare(self, rows: list[Customer]) -> None:
        """Compare the emulator's members with a calculation that shares no code with the target."""
        for audience in sorted(self.tiktok.audiences(), key=itemgetter("name")):
            members, expected = self.tiktok.members(audience["audience_id"]), EXPECTED[audience["name"]](rows)
            held = f"{audience['name']} (id {audience['audience_id']}): {len(members):,} members"
            if members != expected:
                raise DemoFailed(
                    f"{held}, and {len(expected):,} expected: {len(expected - members):,} are missing,"
                    f" {len(members - expected):,} are unexpected"
                )
            self.tick(f"{held}, exactly as expected")


def _figures(entry: dict[str, Any]) -> dict[str, int]:
    """Return the summed record counts of an audience's streams, and its member counts."""
    books = entry["books"]
    names = ("read", "accepted", "duplicate", "missing", "deleted")
    figures = {name: sum(book[name] for book in books) for name in names}
    figures["rejected"] = sum(sum(book["rejected"].values()) for book in books)
    return figures | {name: entry[name] for name in ("sent", "added", "removed", "waiting")}


def _deletions(ids: Iterable[int]) -> str:
    """Return the Singer messages of a log-based tap for deleted rows."""
    text = {"type": ["string", "null"]}
    schema = {
        "type": "SCHEMA",
        "stream": "public-customers",
        "schema": {"properties": {"id": {"type": "integer"}, "email": text, "phone": text, "_sdc_deleted_at": text}},
        "key_properties": ["id"],
    }
    now = datetime.now(UTC).isoformat(timespec="seconds")
    records = (
        {"type": "RECORD", "stream": "public-customers", "record": {"id": number, "_sdc_deleted_at": now}}
        for number in ids
    )
    return "".join(f"{json.dumps(message)}\n" for message in (schema, *records))


if __name__ == "__main__":
    sys.exit(main())
