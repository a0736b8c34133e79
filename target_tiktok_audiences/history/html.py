"""One page of HTML that holds all it needs: no script, no request, for a phone, a printer or a screen reader."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from target_tiktok_audiences.history.funnel import headline, why_smaller
from target_tiktok_audiences.history.plots import draw_changes, draw_sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_tiktok_audiences.history.funnel import Step
    from target_tiktok_audiences.history.journal import History, JournalEntry

MOST_RUNS = 400
"""Runs that are drawn and listed; earlier ones are only counted."""

STYLE = Path(__file__).with_name("html.css")
SIGNS = {"total": "", "less": "\u2212", "more": "+"}
NOTHING = "\u2013"


def write_page(histories: Sequence[History], made_at: str) -> str:
    """Write the page about some audiences."""
    contents = "".join(
        f'<li><a href="#audience-{number}">{escape(history.audience)}</a></li>'
        for number, history in enumerate(histories)
    )
    navigation = f'<nav aria-label="Audiences"><ul>{contents}</ul></nav>' if len(histories) > 1 else ""
    articles = "".join(_article(number, history) for number, history in enumerate(histories))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>TikTok audiences: how they went on</title>
<style>{STYLE.read_text()}</style>
</head>
<body>
<header><h1>TikTok audiences: how they went on</h1>
<p class="soft">As the ledgers had it on {escape(_day(made_at))} (UTC). No personal data is on this page.</p>
{navigation}</header>
<main>{articles}</main>
<footer><p>Made by target-tiktok-audiences. TikTok never says who is in an audience, or which records it has
matched; the figures before that are this program's own count of every record.</p></footer>
</body>
</html>
"""


def _article(number: int, history: History) -> str:
    facts = [history.contract, history.load_method, f"advertiser {history.advertiser_id}"]
    facts += [f"audience {history.audience_id}"] if history.audience_id else ["not created"]
    facts += [f"{history.erased:,} erased for good"] if history.erased else []
    runs = history.runs[-MOST_RUNS:]
    inside = f"{_way(why_smaller(history))}{_plots(number, runs)}{_runs(runs, len(history.runs))}" if runs else ""
    return (
        f'<article id="audience-{number}" aria-labelledby="name-{number}">'
        f'<h2 id="name-{number}">{escape(history.audience)}</h2><p class="soft">{escape(" · ".join(facts))}</p>'
        f'<p class="lead">{escape(headline(history))}</p>{inside}</article>'
    )


def _way(steps: Sequence[Step]) -> str:
    """Draw the way from the table to the audience as a table that is its own plot."""
    if not steps:
        return ""
    largest = max(step.count for step in steps if step.kind == "total") or 1
    rows, level = [], 0
    for step in steps:
        start = {"total": 0, "less": max(level - step.count, 0), "more": level}[step.kind]
        level = step.count if step.kind == "total" else start if step.kind == "less" else level + step.count
        largest = max(largest, level)
        rows.append((step, start))
    lines = "".join(
        f'<tr class="{step.kind}"><th scope="row">{escape(step.label)}'
        f'<br><span class="soft">{escape(step.words)}</span></th>'
        f'<td class="number">{SIGNS[step.kind]}{step.count:,}</td>'
        f'<td class="bar" aria-hidden="true"><span style="margin-left:{start * 100 / largest:.2f}%;'
        f'width:{min(step.count, largest - start) * 100 / largest:.2f}%"></span></td></tr>'
        for step, start in rows
    )
    return (
        '<h3>Why is it smaller than the table?</h3><table class="way"><caption>From the records of the last run that'
        " brought any to the people whom TikTok shows.</caption><thead><tr><th>Step</th><th class=number>Count</th>"
        f'<th aria-hidden="true"></th></tr></thead><tbody>{lines}</tbody></table>'
    )


def _plots(number: int, runs: Sequence[JournalEntry]) -> str:
    times = [run.at for run in runs]
    given, sizes = [run.delivered for run in runs], [run.size for run in runs]
    added, removed = [run.added for run in runs], [run.removed for run in runs]
    read = [run.books["read"] for run in runs]
    lost = [run.books["missing"] + sum(run.rejected.values()) for run in runs]
    return "".join(
        [
            '<h3>From run to run</h3><div class="plots">',
            _figure(
                draw_sizes(f"size-{number}", "People given to TikTok, and its size", times, [given, sizes]),
                "People <b>given to TikTok</b>, and <i>its own size</i>",
                _table(("Run", "Given", "TikTok's size"), zip(map(_day, times), given, sizes, strict=True)),
            ),
            _figure(
                draw_changes(f"change-{number}", "People added and removed by each run", times, added, removed),
                "People <b>added</b> and <i>removed</i> by each run",
                _table(("Run", "Added", "Removed"), zip(map(_day, times), added, removed, strict=True)),
            ),
            _figure(
                draw_changes(f"read-{number}", "Records read, and those without a use", times, read, lost),
                "Records <b>read</b>, and of them <i>without a usable identifier</i>",
                _table(("Run", "Read", "Missing or rejected"), zip(map(_day, times), read, lost, strict=True)),
            ),
            "</div>",
        ]
    )


def _figure(svg: str, caption: str, table: str) -> str:
    return (
        f"<figure><figcaption>{caption}</figcaption>{svg}"
        f"<details><summary>The same as a table</summary>{table}</details></figure>"
    )


def _runs(runs: Sequence[JournalEntry], count: int) -> str:
    lines = "".join(map(_run, reversed(runs)))
    headings = "".join(f"<th>{name}</th>" for name in ("Run (UTC)", "Outcome"))
    headings += "".join(f'<th class="number">{name}</th>' for name in NUMBERS)
    shown = f"The last {len(runs):,} of {count:,} runs" if len(runs) < count else f"All {count:,} runs"
    return (
        '<h3>The runs</h3><div class="scroll" role="region" aria-label="The runs" tabindex="0"><table>'
        f"<caption>{shown}, the newest first.</caption><thead><tr>{headings}</tr></thead>"
        f"<tbody>{lines}</tbody></table></div>"
    )


def _run(run: JournalEntry) -> str:
    outcome = escape(run.outcome)
    said = f'<tr class="said"><td></td><td colspan="{len(NUMBERS) + 1}">{escape(run.message)}</td></tr>'
    return (
        f'<tr><td>{escape(_day(run.at))}</td><td><span class="outcome {outcome}">{outcome}</span>'
        f" {escape((run.plan or '').lower())}</td>{_numbers(run)}</tr>{said if run.message else ''}"
    )


NUMBERS = ("Read", "Rejected", "Should be in", "Given", "Added", "Removed", "Waiting", "TikTok's size")


def _numbers(run: JournalEntry) -> str:
    counts = (
        run.books["read"],
        sum(run.rejected.values()),
        run.desired,
        run.delivered,
        run.added,
        run.removed,
        run.waiting,
        run.size,
    )
    return "".join(map(_number, counts))


def _table(headings: Sequence[str], rows: Iterable[tuple[str, int | None, int | None]]) -> str:
    first, *others = headings
    heads = f"<th>{first}</th>" + "".join(f'<th class="number">{name}</th>' for name in others)
    lines = "".join(f"<tr><td>{escape(day)}</td>{''.join(map(_number, counts))}</tr>" for day, *counts in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _number(count: int | None) -> str:
    return f'<td class="number">{NOTHING if count is None else f"{count:,}"}</td>'


def _day(at: str) -> str:
    return at[:16].replace("T", " ")
