"""What is printed, and written into docs/reference/performance.md."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from measure import ROOT, hardware

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from measure import Measured

PAGE = ROOT / "docs/reference/performance.md"
MEANINGS = {
    "records": "records that the fast ones read",
    "slow": "records that the slow ones read",
    "few": "records of the small audience",
    "many": "records of the large audience",
    "rounds": "how often all is measured",
    "large_rounds": "how often the large audiences are",
    "starts": "how often a start is: it is over soon, and there is much noise in it",
}
STAGES = {
    "read": "start, read, normalise, hash, stage on disk, close",
    "stage": "take what is staged into the ledger",
    "resolve": "find the audience",
    "confirm": "confirm earlier changes",
    "commit": "compare with the ledger, commit who should be in",
    "plan": "count the difference",
    "deliver": "write files, upload, change the audience, note it",
}
SHORT = 10
MINUTE = 60
_LIBRARIES = ("singer-sdk", "msgspec", "duckdb", "phonenumbers", "requests", "jsonschema")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    records: int
    slow: int
    few: int
    many: int
    rounds: int
    large_rounds: int
    starts: int


FULL = Sizes(records=2_000_000, slow=200_000, few=500_000, many=10_000_000, rounds=5, large_rounds=3, starts=20)
QUICK = Sizes(records=100_000, slow=20_000, few=20_000, many=100_000, rounds=1, large_rounds=1, starts=3)


@dataclass(frozen=True)
class Rate:
    """One contender's medians; of fewer records scaled to all of them."""

    title: str
    records: int
    measured: Measured


@dataclass(frozen=True)
class Large:
    """One run on a large audience, and the floor on the same stream."""

    records: int
    measured: Measured
    floor: Measured


@dataclass
class Results:
    """All that was measured."""

    sizes: Sizes
    began: datetime
    load: tuple[float, float, float]
    seconds: float = 0.0
    rates: dict[str, Rate] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    """Packages, and why."""
    packages: set[str] = field(default_factory=set)
    starts: dict[str, tuple[Measured, Measured]] = field(default_factory=dict)
    """Ours and the SDK's."""
    large: dict[str, Large] = field(default_factory=dict)

    def aims(self) -> Iterator[tuple[str, float, bool, str, float]]:
        """Give each aim that was measured: what, the limit, whether that is the least, its unit, and the figure."""
        cpu = {name: rate.measured.cpu for name, rate in self.rates.items()}
        if "email" in cpu:
            yield "CPU for e-mail, to the floor's", 2, False, " x", cpu["email"] / cpu["floor"]
        if {"email", "sdk"} <= cpu.keys():
            yield "CPU of the SDK's defaults, to ours for e-mail", 12, True, " x", cpu["sdk"] / cpu["email"]
        if {"email", "phone"} <= cpu.keys():
            yield "CPU for E.164 phones, to e-mail", 3, False, " x", cpu["phone"] / cpu["email"]
        for what, (us, sdk) in self.starts.items():
            yield f"CPU, {what}, to a bare SDK target's", 1.2, False, " x", us.cpu / sdk.cpu
        if self.large:
            few, many = (self.large[name] for name in ("few", "many"))
            grown = many.measured.peak_mb - few.measured.peak_mb
            yield f"peak of memory, {many.records:,} above {few.records:,} records", 100, False, " MB", grown


def text(results: Results) -> str:
    """Give everything as Markdown."""
    parts = [_machine(results), _aims(results), _rates(results), _starts(results), _large(results), _stages(results)]
    return "\n\n".join("\n".join(lines) for lines in map(list, parts) if lines)


def write(tables: str) -> None:
    """Put the tables between the marks of the page."""
    marks = re.compile(r"(^.*generated: begin.*\n)[\s\S]*?(^.*generated: end.*$)", re.MULTILINE)
    PAGE.write_text(marks.sub(lambda mark: f"{mark[1]}\n{tables}\n\n{mark[2]}", PAGE.read_text()))


def _machine(results: Results) -> Iterator[str]:
    """Say when, on what, and with what."""
    sizes = results.sizes
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    yield (
        f"{results.began:%Y-%m-%d %H:%M} UTC, {hardware()}, {_system()}."
        f" Python {platform.python_version()}, {libraries}."
        f" Load of the machine at the start: {' '.join(f'{load:.1f}' for load in results.load)}."
        f" Rounds, of which the medians are shown: {sizes.rounds}; for large audiences {sizes.large_rounds}, for starts"
        f" {sizes.starts}. It took {_time(results.seconds)}."
    )
    if results.packages:
        yield f"Beside it: {', '.join(sorted(results.packages))}."


def _system() -> str:
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    return f"{system}, kernel {platform.release()}"


def _aims(results: Results) -> Iterator[str]:
    aims = list(results.aims())
    if not aims:
        return
    if any(getattr(results.sizes, name) < getattr(FULL, name) for name in ("records", "few", "many")):
        yield (
            f"The aims are for {FULL.records:,} records, and audiences of {FULL.few:,} and {FULL.many:,}; not all sizes"
            " here are so large, and where they are smaller the start weighs more, and memory may still be growing.\n"
        )
    yield from _head("aim", "limit", "measured", "reached")
    for what, limit, least, unit, figure in aims:
        bound = f"at {'least' if least else 'most'} {limit:g}{unit}"
        reached = figure >= limit if least else figure <= limit
        yield _row(what, bound, f"{figure:,.{0 if unit == ' MB' else 2}f}{unit}", "yes" if reached else "**no**")


def _rates(results: Results) -> Iterator[str]:
    if not results.rates:
        return
    floor = results.rates["floor"].measured
    total = results.sizes.records
    yield from _head(f"{total:,} records", "CPU", "to the floor", "wall clock", "to the floor", "peak of memory")
    for rate in results.rates.values():
        scaled = f" (scaled from {rate.records:,})" if rate.records < total else ""
        yield _row(rate.title + scaled, *_figures(rate.measured, floor), f"{rate.measured.peak_mb:,.0f} MB")
    for package in results.unavailable:
        yield _row(f"`{package}`", "not available", *[""] * 4)
    for package, reason in results.unavailable.items():
        yield from ("", f"`{package}` is not available: {reason}.")


def _starts(results: Results) -> Iterator[str]:
    if results.starts:
        yield from _head("start", "CPU", "to the bare SDK target", "wall clock", "to the bare SDK target")
    for what, (us, sdk) in results.starts.items():
        yield _row(f"**this target**, {what}", *_figures(us, sdk))
        yield _row(f"bare SDK target, {what}", *_figures(sdk, sdk))


def _large(results: Results) -> Iterator[str]:
    if results.large:
        yield from _head("large audiences", "CPU", "to the floor", "wall clock", "to the floor", "peak of memory")
    for name, found in results.large.items():
        peak = f"{found.measured.peak_mb:,.0f} MB, {found.measured.peak_mb / found.floor.peak_mb:.1f} x"
        yield _row(_title(name, results), *_figures(found.measured, found.floor), peak)


def _stages(results: Results) -> Iterator[str]:
    """Show where the time goes, where a run's report tells."""
    shown = {rate.title: rate.measured for name, rate in results.rates.items() if name in {"email", "phone"}}
    shown |= {_title(name, results): one.measured for name, one in results.large.items() if name != "few"}
    if shown:
        yield from _head("share of the wall clock", *shown)
    for stage, label in STAGES.items() if shown else ():
        yield _row(label, *(f"{one.stages[stage] / one.wall:.0%}" for one in shown.values()))


def _title(name: str, results: Results) -> str:
    records, many = results.large[name].records, results.sizes.many
    return {
        "append": f"`append-only` of {records:,} onto {many:,}",
        "overwrite": f"`overwrite` of {records:,}, 1 % changed",
    }.get(name, f"a new audience of {records:,}")


def _figures(one: Measured, base: Measured) -> Iterator[str]:
    for mine, theirs in ((one.cpu, base.cpu), (one.wall, base.wall)):
        yield f"{mine:.{1 if mine >= SHORT else 2}f} s"
        yield f"{mine / theirs:.2f} x"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 2 * MINUTE else f"{seconds / MINUTE:.0f} minutes"


def _head(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield _row("---", *["---:"] * (len(names) - 1))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
