"""Whole processes, from standard input to files accepted by the emulator, beside those that a user could have instead.

`python benchmarks/suite.py [--quick | --only NAME ...] [--rounds N] [--write]`; README.md beside this file explains.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import page
from contenders import CONTENDERS, OURS, SDK_DEFAULT, Unavailable, configured, emulated, ours
from data import Stream, write
from measure import BenchmarkFailed, Fingerprint, Measured, middle, run
from page import FULL, QUICK, Large, Rate, Results, Sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from contenders import Contender

FLOOR = CONTENDERS[0]
LARGE = ("memory", "append", "overwrite")
NAMES = [*(one.name for one in CONTENDERS), "startup", *LARGE]


def main() -> None:
    """Measure what is asked for, and print it."""
    arguments = _parser().parse_args()
    given = {name: value for name, value in vars(arguments).items() if name in vars(FULL) and value is not None}
    sizes = replace(QUICK if arguments.quick else FULL, **given)
    if arguments.write and arguments.only:
        raise SystemExit("`--write` takes no part of the figures: a page is of one run.")
    wanted = set(arguments.only or NAMES)
    contenders = [one for one in CONTENDERS if one.name in wanted]
    results = Results(sizes, datetime.now(UTC), os.getloadavg())
    began = time.monotonic()
    with TemporaryDirectory(prefix="benchmark-") as folder:
        bench = Bench(Path(folder), sizes, results, install=not arguments.no_install)
        if contenders:
            bench.rates(contenders if FLOOR in contenders else [FLOOR, *contenders])
        if "startup" in wanted:
            bench.startup()
        if wanted & set(LARGE):
            bench.large(wanted)
    results.seconds = time.monotonic() - began
    text = page.text(results)
    print(text)
    if arguments.write:
        page.write(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: about a minute")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/reference/performance.md")
    parser.add_argument("--no-install", action="store_true", help="leave out packages that are not installed yet")
    for name, meaning in page.MEANINGS.items():
        default = f"{getattr(FULL, name):,}, with --quick {getattr(QUICK, name):,}"
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=f"{meaning} ({default})")
    return parser


@dataclass
class Bench:
    """One run of the suite: where its files are, and what it found so far."""

    folder: Path
    sizes: Sizes
    results: Results
    install: bool

    def rates(self, contenders: Sequence[Contender]) -> None:
        """Let each contender read its stream; one after the other, so that noise hits all, and then all again."""
        present = [one for one in contenders if self._is_there(one)]
        streams = {one.name: self._stream(one) for one in present}
        expected = {(streams[one.name], one.column): Fingerprint(0, 0) for one in present}
        for stream, column in expected:
            with self._apart() as folder:
                _, expected[stream, column] = replace(FLOOR, column=column).start(stream, folder)
        found: dict[str, list[Measured]] = {one.name: [] for one in present}
        empty: dict[str, list[Measured]] = {one.name: [] for one in present if one.slow}
        for turn in range(1, self.sizes.rounds + 1):
            for one in present:
                _say(f"round {turn}: {one.name}")
                with self._apart() as folder:
                    measured, made = one.start(streams[one.name], folder)
                if made != expected[streams[one.name], one.column]:
                    raise BenchmarkFailed(f"{one.name} made other digests than the floor.")
                found[one.name].append(measured)
                if one.slow:
                    with self._apart() as folder:
                        empty[one.name].append(one.start_empty(folder))
        for one in present:
            measured, records = middle(found[one.name]), streams[one.name].records
            if records < self.sizes.records:
                measured = _scaled(measured, middle(empty[one.name]), self.sizes.records / records)
            self.results.rates[one.name] = Rate(one.title, records, measured)
        for stream in set(streams.values()):
            stream.path.unlink()

    def startup(self) -> None:
        """Ask for the version, and give no input: what anybody waits for who runs it at all."""
        sdk = next(one for one in CONTENDERS if one.name == "sdk")
        found: dict[str, list[tuple[Measured, Measured]]] = {"`--version`": [], "no input": []}
        _say("starts")
        with emulated() as tiktok:
            for _ in range(self.sizes.starts):
                with self._apart() as folder:
                    versions = (run([*program, "--version"], folder) for program in (OURS, SDK_DEFAULT))
                    found["`--version`"].append((next(versions), next(versions)))
                with self._apart() as folder:
                    command = configured(tiktok, folder, "email", "append-only")
                    found["no input"].append((run(command, folder), sdk.start_empty(folder)))
        for what, pairs in found.items():
            us, other = zip(*pairs, strict=True)
            self.results.starts[what] = (middle(us), middle(other))

    def large(self, wanted: set[str]) -> None:
        """Fill large audiences, and change them; the floor reads each stream, too."""
        sizes = self.sizes
        streams = {"few": self._write("few", 1, sizes.few), "many": self._write("many", 1, sizes.many)}
        if "append" in wanted:
            streams["append"] = self._write("append", sizes.many + 1, sizes.many + sizes.many // 10)
        if "overwrite" in wanted:
            streams["overwrite"] = self._write("overwrite", 1, sizes.many, changed=True)
        found: dict[str, list[tuple[Measured, Measured]]] = {}

        def note(name: str, measured: Measured) -> None:
            with self._apart() as folder:
                found.setdefault(name, []).append((measured, FLOOR.start(streams[name], folder)[0]))

        for turn in range(1, sizes.large_rounds + 1):
            _say(f"round {turn}: a new audience of {sizes.few:,}")
            with emulated() as tiktok, self._apart() as folder:
                note("few", ours(tiktok, streams["few"], folder, "email", "append-only", sizes.few))
            _say(f"round {turn}: a new audience of {sizes.many:,}")
            with emulated() as tiktok, self._apart() as folder:
                note("many", ours(tiktok, streams["many"], folder, "email", "append-only", sizes.many))
                if more := streams.get("append"):
                    _say(f"round {turn}: append {more.records:,}")
                    note("append", ours(tiktok, more, folder, "email", "append-only", sizes.many + more.records))
            if changed := streams.get("overwrite"):
                with emulated() as tiktok, self._apart() as folder:
                    _say(f"round {turn}: fill, and overwrite")
                    ours(tiktok, streams["many"], folder, "email", "overwrite", sizes.many)
                    note("overwrite", ours(tiktok, changed, folder, "email", "overwrite", sizes.many))
        for name, pairs in found.items():
            us, floor = zip(*pairs, strict=True)
            self.results.large[name] = Large(streams[name].records, middle(us), middle(floor))

    def _stream(self, one: Contender) -> Stream:
        records = min(self.sizes.slow, self.sizes.records) if one.slow else self.sizes.records
        return self._write(f"{records}{'-narrow' * one.narrow}", 1, records, narrow=one.narrow)

    def _write(self, name: str, first: int, last: int, *, narrow: bool = False, changed: bool = False) -> Stream:
        """Write a stream, if it is not there yet."""
        stream = Stream(self.folder / f"{name}.jsonl", last - first + 1)
        if not stream.path.exists():
            _say(f"writing {stream.records:,} records")
            write(stream.path, first, last, narrow=narrow, changed=changed)
        return stream

    def _is_there(self, one: Contender) -> bool:
        if one.package:
            try:
                one.environment.make(install=self.install)
            except Unavailable as reason:
                self.results.unavailable[one.package] = str(reason)
                return False
            self.results.packages.add(one.environment.versions())
        return True

    @contextmanager
    def _apart(self) -> Iterator[Path]:
        """Give a folder for one process, and remove it."""
        with TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder)


def _scaled(measured: Measured, empty: Measured, factor: float) -> Measured:
    """Scale what the records took, and not the start."""
    cpu, wall = (
        getattr(empty, name) + (getattr(measured, name) - getattr(empty, name)) * factor for name in ("cpu", "wall")
    )
    return replace(measured, cpu=cpu, wall=wall)


def _say(what: str) -> None:
    print(f"{what} ...", file=sys.stderr)


if __name__ == "__main__":
    main()
