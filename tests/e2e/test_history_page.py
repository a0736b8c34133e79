"""The page of `history --html` in a real browser: it asks nobody for anything, and can be read everywhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from support.chromium import picture
from support.history_runs import run_history
from support.target import MARKER

if TYPE_CHECKING:
    from pathlib import Path

    from support.target import Target

pytestmark = pytest.mark.xdist_group("chromium")  # which is started once

MOST_BYTES = 2_000_000

pytest.importorskip("matplotlib", reason="NO PAGE IS TESTED: install the extra `history`")


class Ids(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, _tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.ids += filter(None, [found.get("id")])
        self.links += [value for name in ("href", "src", "xlink:href", "srcset") if (value := found.get(name))]


@pytest.fixture
def page(filled: Target) -> Path:
    path = filled.folder / "page.html"
    result = run_history(filled, "--html", str(path))
    assert result.exit_code == 0, result.output
    return path


def look(browser: Any, page: Path, **options: Any) -> tuple[Any, list[str]]:
    asked: list[str] = []
    opened = browser.new_context(**options).new_page()
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: asked.append(message.text))
    opened.goto(page.as_uri())
    opened.wait_for_load_state("networkidle")
    return opened, [each for each in asked if each != page.as_uri()]


def test_it_is_one_small_file_of_its_own(page: Path) -> None:
    text = page.read_text()
    found = Ids(text)
    assert len(text) < MOST_BYTES
    assert MARKER not in text
    assert len(found.ids) == len(set(found.ids)), "ids are unique"
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links), found.links
    assert "<script" not in text
    assert not re.search(r"url\((?!#)", text)
    assert "Win back &lt;b&gt;" in text, "names are text"


def test_it_asks_nobody(page: Path, browser: Any) -> None:
    _, asked = look(browser, page)
    assert asked == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_can_be_read(page: Path, browser: Any, width: int, scheme: str) -> None:
    opened, _ = look(browser, page, viewport={"width": width, "height": 800}, color_scheme=scheme)
    picture(opened, f"history-{width}-{scheme}")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width, "nothing is wider than the screen"
    cut = "[...document.querySelectorAll('.scroll')].some(table => table.scrollWidth > table.clientWidth)"
    assert width < 1200 or not opened.evaluate(cut), "on a desk no table is cut"
    background = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert (lightness > 128) == (scheme == "light")
    ink = opened.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill")
    ink_lightness = sum(map(int, re.findall(r"\d+", ink)[:3])) / 3
    assert abs(ink_lightness - lightness) > 128, "the plots have the page's colours"
    smallest = opened.evaluate(
        "Math.min(...[...document.querySelectorAll('figure svg')].map(svg =>"
        " 11 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))"
    )
    assert smallest >= 9.5, "the text of the plots"


def test_each_plot_has_a_name_and_a_table(page: Path, browser: Any) -> None:
    opened, _ = look(browser, page)
    figures = opened.locator("figure")
    assert figures.count() == 6
    for number in range(figures.count()):
        figure = figures.nth(number)
        assert figure.locator("svg[role=img]").get_attribute("aria-label")
        figure.locator("summary").click()
        assert figure.locator("table tbody tr").first.is_visible()
    assert opened.get_by_role("heading", level=1).count() == 1
    assert opened.get_by_role("article").count() == 2
    assert opened.locator("html").get_attribute("lang") == "en"


def test_it_can_be_printed(page: Path, browser: Any) -> None:
    opened, _ = look(browser, page)
    printed = opened.pdf()
    assert printed.startswith(b"%PDF")
    opened.emulate_media(media="print")
    assert opened.locator("figure table").first.is_visible(), "on paper the tables are open"
