"""The plots of a history, as SVG that is part of a page: its colours are the page's, its text is text.

Matplotlib draws them: no script, no font and no request is needed to look at one, on paper neither, and a page of ten
audiences stays far below a megabyte.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime
from io import StringIO
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

WIDTH, HEIGHT, DOTS = 320, 200, 72
"""Units of the drawing; a phone is about as wide, so there text has the size that it has here."""
COLOURS = {"ink": "#010101", "faint": "#020202", "first": "#030303", "second": "#040404"}
"""Stand-ins, which the page's own colours replace: it knows whether it is dark."""
_STYLE: dict[str, Any] = {"svg.fonttype": "none", "font.size": 11, "axes.spines.top": False, "axes.spines.right": False}
_MANY = 24
"""Points that are still told from each other."""

logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its fonts, which are not used


def draw_sizes(name: str, title: str, times: Sequence[str], lines: Sequence[Sequence[int | None]]) -> str:
    """Draw how two figures went on from run to run; the second is dashed, for whom colours are one."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure, axes = _axes()
        days = [datetime.fromisoformat(at) for at in times]
        for counts, colour, dashes in zip(lines, ("first", "second"), ("-", "--"), strict=True):
            known = [(day, count) for day, count in zip(days, counts, strict=True) if count is not None]
            if known:
                marker = "o" if len(known) <= _MANY else ""
                found, sizes = zip(*known, strict=True)
                axes.plot(found, sizes, dashes, color=COLOURS[colour], linewidth=2, marker=marker, markersize=4)
        axes.set_ylim(bottom=0)
        _by_day(axes)
        return _svg(figure, name, title)


def draw_changes(name: str, title: str, times: Sequence[str], up: Sequence[int], down: Sequence[int]) -> str:
    """Draw what each run brought upwards, and what it took downwards, run beside run."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure, axes = _axes()
        runs = range(len(times))
        axes.bar(runs, up, color=COLOURS["first"], width=0.8)
        axes.bar(runs, [-count for count in down], color=COLOURS["second"], width=0.8)
        axes.axhline(0, color=COLOURS["ink"], linewidth=0.8)
        every = max(len(times) // 4, 1)
        axes.set_xticks(list(runs)[::every], [datetime.fromisoformat(at).strftime("%d %b") for at in times[::every]])
        return _svg(figure, name, title)


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH / DOTS, HEIGHT / DOTS), dpi=DOTS, layout="constrained")
    axes = figure.subplots()
    for spine in axes.spines.values():
        spine.set_color(COLOURS["faint"])
    axes.tick_params(colors=COLOURS["ink"], length=3)
    axes.grid(axis="y", color=COLOURS["faint"], linewidth=0.6)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{abs(count):,.0f}"))
    return figure, axes


def _by_day(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=2, maxticks=5)
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)
    formatter.offset_formats = [""] * 6
    axes.xaxis.set_major_formatter(formatter)


def _svg(figure: Figure, name: str, title: str) -> str:
    """Give the drawing as an element of a page: named, with ids that no other has, and in the page's colours."""
    written = StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    svg = re.sub(r"font: ([0-9.]+px)[^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    named = rf'<svg viewBox="\1" role="img" aria-label="{title}">'
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', named, svg, count=1)
    for colour, stand_in in COLOURS.items():
        svg = svg.replace(stand_in, f"var(--{colour})")
    return svg
