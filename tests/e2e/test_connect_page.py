"""`connect` in a real browser: the system's Chromium, driven by Playwright, without the network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from support.chromium import picture
from support.connecting import APP, TOKEN_LINE, approve, configuration, connecting
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER, emulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from support.connecting import Running
    from support.emulator_client import Client

pytestmark = pytest.mark.xdist_group("chromium")  # which is started once

PHONE = {"width": 360, "height": 740}
MANY = [
    {"advertiser_id": str(7100000000000000000 + n), "name": f"Branch {n:04}", "country": "DE" if n % 2 else "FR"}
    for n in range(2000)
]
SOME = [
    {"advertiser_id": ADVERTISER, "name": "Harbour Books", "country": "GB"},
    {"advertiser_id": OTHER_ADVERTISER, "name": "Harbour Books Deutschland", "country": "DE"},
    {"advertiser_id": "7000000000000000003", "name": "Lighthouse Toys", "country": "US"},
    {"advertiser_id": "7000000000000000004", "name": "Old Pier Records", "country": "FR", "status": "STATUS_DISABLE"},
    {
        "advertiser_id": "7000000000000000005",
        "name": "Tidal Coffee",
        "country": "PT",
        "status": "STATUS_PENDING_CONFIRM",
    },
]
CONTRAST = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const found = channels(getComputedStyle(each).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const shows = (element) => element.getClientRects().length && hasText(element);
  return [...document.querySelectorAll("body *")].filter(shows).map((element) => {
    const [one, other] = [luminance(channels(getComputedStyle(element).color)), luminance(ground(element))];
    return [element.tagName, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)];
  });
}"""
"""The contrast of every text that shows with what is behind it, by the formula of WCAG."""

SEARCH_TOOK_MS = """() => {
  const [search, began] = [document.querySelector("#search"), performance.now()];
  search.value = "fr 12";
  search.dispatchEvent(new Event("input"));
  document.querySelector("#advertiser").getBoundingClientRect();
  return performance.now() - began;
}"""


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """Open a page that reaches this machine alone, and fails the test if it wants more or complains."""
    context = browser.new_context(viewport={"width": 1000, "height": 760})
    context.set_default_timeout(15_000)
    elsewhere: list[str] = []
    complaints: list[str] = []

    def only_here(route: Any) -> None:
        if re.match(r"http://(127\.0\.0\.1|localhost):\d+/", route.request.url):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    context.route("**/*", only_here)
    tab = context.new_page()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda said: complaints.append(said.text) if "Security Policy" in said.text else None)
    yield tab
    context.close()
    assert (elsewhere, complaints) == ([], [])


@pytest.fixture
def tiktok() -> Iterator[Client]:
    with emulated(**APP) as client:
        client.control("advertisers", SOME)
        yield client


@pytest.fixture
def running(tiktok: Client, tmp_path: Path) -> Iterator[Running]:
    with connecting(tmp_path, configuration(tiktok, tmp_path), "--save", "env") as running:
        yield running


def check_accessibility(tab: Page) -> None:
    """Labels, one heading, a language, nothing wider than the screen, and contrast in both colour schemes."""
    assert tab.locator("html").get_attribute("lang") == "en"
    assert tab.locator("main h1").count() == tab.locator("h1").count() == 1
    for field in tab.locator("input:not([type=hidden]), select").all():
        assert field.evaluate("field => field.labels.length") == 1
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for scheme in ("dark", "light"):
        tab.emulate_media(color_scheme=scheme)
        found = tab.evaluate(CONTRAST)
        assert len(found) > 3
        for name, contrast in found:
            assert contrast >= 4.5, (scheme, name, contrast)


def test_the_whole_way(tab: Page, running: Running, tmp_path: Path) -> None:
    tab.goto(running.url())
    tab.get_by_role("button", name="Approve", exact=True).click()
    tab.get_by_role("heading", name="Choose the ad account").wait_for()
    assert "auth_code" not in tab.url
    check_accessibility(tab)
    options = tab.get_by_label("Ad account").locator("option").all_text_contents()
    assert options[0] == f"Harbour Books · {ADVERTISER} · GB · active"
    assert options[-1].endswith("PT · not active: under review")
    assert len(options) == 5
    tab.get_by_label("Ad account").select_option(OTHER_ADVERTISER)
    assert "Chosen: Harbour Books Deutschland" in tab.locator("#chosen").inner_text()
    picture(tab, "choose")
    tab.emulate_media(color_scheme="dark")
    picture(tab, "choose-dark")
    tab.get_by_role("button", name="Use this ad account").click()
    tab.get_by_role("heading", name="Connected").wait_for()
    check_accessibility(tab)
    picture(tab, "done")
    assert running.ended() == 0, running.stderr
    assert f"ADVERTISER_ID={OTHER_ADVERTISER}" in (tmp_path / ".env").read_text()
    token = (tmp_path / ".env").read_text().split(TOKEN_LINE)[1].split()[0]
    assert token not in tab.content()


def test_two_thousand_by_keyboard_on_a_phone(tab: Page, running: Running, tiktok: Client, tmp_path: Path) -> None:
    tiktok.control("advertisers", method="DELETE")
    tiktok.control("advertisers", MANY)
    tab.set_viewport_size(PHONE)  # type: ignore[arg-type]
    tab.goto(running.url())
    tab.get_by_role("button", name="Approve", exact=True).click()
    tab.get_by_role("heading", name="Choose the ad account").wait_for()
    assert tab.locator("#count").inner_text() == "2,000 of 2,000 shown"
    check_accessibility(tab)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "search"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert tab.evaluate(SEARCH_TOOK_MS) < 250
    tab.keyboard.press("Control+A")
    tab.keyboard.type("nothing like this")
    assert "No match" in tab.locator("#count").inner_text()
    tab.keyboard.press("Control+A")
    tab.keyboard.type("branch de 123")
    assert tab.locator("#count").inner_text() == "7 of 2,000 shown"
    picture(tab, "phone")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    chosen = tab.locator("#advertiser").input_value()
    assert f"{chosen} · DE" in tab.locator("#chosen").inner_text()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Connected").wait_for()
    check_accessibility(tab)
    assert running.ended() == 0
    assert f"ADVERTISER_ID={chosen}" in (tmp_path / ".env").read_text()


def test_one_ad_account_is_chosen_already(tab: Page, running: Running, tiktok: Client, tmp_path: Path) -> None:
    tiktok.control("advertisers", method="DELETE")
    tiktok.control("advertisers", SOME[:1])
    tab.goto(running.url())
    tab.get_by_role("button", name="Approve", exact=True).click()
    tab.get_by_text("Chosen: Harbour Books").wait_for()
    tab.get_by_role("button", name="Use this ad account").click()
    tab.get_by_role("heading", name="Connected").wait_for()
    assert running.ended() == 0
    assert ADVERTISER in (tmp_path / ".env").read_text()


def test_nothing_is_sent_before_a_choice(tab: Page, running: Running, tmp_path: Path) -> None:
    tab.goto(running.url())
    tab.get_by_role("button", name="Approve", exact=True).click()
    tab.get_by_role("button", name="Use this ad account").click()
    assert tab.locator("select:invalid").count() == 1
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("denied", "Not approved"),
        ("expired", "The code has expired or was used"),
        ("scope", "A permission is missing"),
        ("none", "No ad account"),
    ],
)
def test_what_ends_without_a_token(
    tab: Page, running: Running, tiktok: Client, tmp_path: Path, name: str, heading: str
) -> None:
    tab.set_viewport_size(PHONE)  # type: ignore[arg-type]
    url = running.url()
    if name == "none":
        tiktok.control("advertisers", method="DELETE")
    if name == "expired":
        redirect = approve(url)
        tiktok.advance(1.1)
        tab.goto(redirect)
    else:
        tab.goto(url)
        if name == "scope":
            tab.get_by_label("Permissions to grant").select_option("30")
        tab.get_by_role("button", name="Deny" if name == "denied" else "Approve", exact=True).click()
    tab.get_by_role("heading", name=heading).wait_for()
    check_accessibility(tab)
    picture(tab, name)
    assert running.ended() == 1
    assert running.last_line.endswith("Nothing was stored.")
    assert not (tmp_path / ".env").exists()


def test_a_wrong_state_does_not_end_it(tab: Page, running: Running) -> None:
    url = running.url()
    tab.goto(url)
    tab.get_by_role("button", name="another state").click()
    tab.get_by_role("heading", name="This response is not for this command").wait_for()
    check_accessibility(tab)
    picture(tab, "state")
    tab.goto(url)
    tab.get_by_role("button", name="Approve", exact=True).click()
    tab.get_by_role("heading", name="Choose the ad account").wait_for()


def test_the_page_says_when_the_command_has_ended(tab: Page, running: Running) -> None:
    tab.goto(running.url())
    tab.get_by_role("button", name="Approve", exact=True).click()
    tab.get_by_role("heading", name="Choose the ad account").wait_for()
    running.process.terminate()
    assert running.ended() == 143
    tab.get_by_text("The command in the terminal has ended.").wait_for()
    assert tab.get_by_role("button").is_disabled()
    check_accessibility(tab)


def test_without_scripts(browser: Browser, running: Running, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(15_000)
    tab = context.new_page()
    tab.goto(running.url())
    tab.get_by_role("button", name="Approve", exact=True).click()
    tab.get_by_role("heading", name="Choose the ad account").wait_for()
    assert not tab.get_by_label("Search").is_visible()
    tab.get_by_label("Ad account").select_option(ADVERTISER)
    tab.get_by_role("button", name="Use this ad account").click()
    tab.get_by_role("heading", name="Connected").wait_for()
    assert running.ended() == 0
    assert ADVERTISER in (tmp_path / ".env").read_text()
    context.close()
