"""`connect` without a browser: every state of the page by HTTP, the terminal by a pseudo-terminal, and what is kept."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from support.connecting import (
    APP,
    COMMAND,
    SECRET,
    TOKEN_LINE,
    approve,
    code_in,
    configuration,
    connecting,
    environment,
)
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER, emulated
from support.terminal import on_terminal

from target_tiktok_audiences.cli.connect import page
from target_tiktok_audiences.cli.connect.env_file import EnvFile, with_variables
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.tiktok.advertisers import status_in_words
from target_tiktok_audiences.tiktok.client import TikTok
from target_tiktok_audiences.tiktok.errors import TikTokError
from target_tiktok_audiences.tiktok.models import Advertiser
from target_tiktok_audiences.tiktok.oauth import (
    ConsentDenied,
    Token,
    WrongState,
    authorization_url,
    code_of,
    exchange,
    granted_advertisers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.connecting import Running
    from support.emulator_client import Client
    from support.terminal import Terminal

DEMO = Path(__file__).parents[2] / "scripts/demo.py"


@pytest.fixture
def tiktok() -> Iterator[Client]:
    with emulated(**APP) as client:
        client.control("advertisers", [{"advertiser_id": ADVERTISER, "name": "Main & <Shop>"}])
        client.control(
            "advertisers",
            [{"advertiser_id": OTHER_ADVERTISER, "name": "Zoo", "country": "DE", "status": "STATUS_PENDING_CONFIRM"}],
        )
        yield client


@pytest.fixture
def config(tiktok: Client, tmp_path: Path) -> str:
    return configuration(tiktok, tmp_path)


def secrets_in(folder: Path, *, but: str = ".env") -> str:
    """Give all that stands in the files of a test, but for the configuration and the file that was chosen."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in {"app.json", but})
    return "".join(path.read_text(errors="replace") for path in files)


# --- The page, by HTTP ---


class Form(HTMLParser):
    """The fields of a page's form, and the ad accounts that it offers."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.token = ""
        self.offers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden":
            self.token = given["value"] or ""
        if tag == "option":
            self.offers.append(given["value"] or "")


class Browser:
    """Follows TikTok's redirect, and looks again while the page is busy, as its script does."""

    def __init__(self, redirect: str) -> None:
        self.answer = requests.get(redirect, timeout=10)
        while "TikTok has responded" in self.answer.text:
            self.answer = requests.get(self.answer.url, timeout=10)

    @property
    def title(self) -> str:
        found = re.search("<h1>(.*)</h1>", self.answer.text)
        assert found
        return found[1]

    def choose(self, advertiser_id: str, **changed: str) -> requests.Response:
        form = {"token": Form(self.answer.text).token, "advertiser_id": advertiser_id, **changed}
        self.answer = requests.post(self.answer.url, data=form, timeout=10)
        return self.answer


def test_the_whole_way(config: str, tiktok: Client, tmp_path: Path) -> None:
    other = tmp_path / ".env"
    other.write_text("# mine\nTAP_PASSWORD='x y'\n")
    other.chmod(0o644)
    with connecting(tmp_path, config, "--save", "env", TARGET_TIKTOK_AUDIENCES_LOGLEVEL="DEBUG") as running:
        url = running.url()
        redirect = approve(url)
        browser = Browser(redirect)
        assert browser.title == "Choose the ad account"
        assert Form(browser.answer.text).offers == [ADVERTISER, OTHER_ADVERTISER]
        assert "Main &amp; &lt;Shop&gt;" in browser.answer.text
        assert f"Zoo · {OTHER_ADVERTISER} · DE · not active: under review" in browser.answer.text
        browser.choose(OTHER_ADVERTISER)
        assert browser.title == "Connected"
        assert running.ended() == 0, running.stderr
    kept = other.read_text()
    assert kept.startswith("# mine\nTAP_PASSWORD='x y'\nTARGET_TIKTOK_AUDIENCES_ACCESS_TOKEN=emulator-")
    assert kept.endswith(f"\nTARGET_TIKTOK_AUDIENCES_ADVERTISER_ID={OTHER_ADVERTISER}\n")
    assert other.stat().st_mode & 0o777 == 0o600
    token = kept.split(TOKEN_LINE)[1].split()[0]
    tiktok.headers = {"Access-Token": token}
    assert tiktok.get("/user/info/")["code"] == 0
    assert f'Connected: "Zoo", advertiser {OTHER_ADVERTISER}, not active: under review.' in running.stderr
    assert running.last_line.endswith(f"stored in {other}, which only you can read.")
    assert "Permissions granted: Audience Management (3).\n" in running.stderr
    everything = running.stdout + running.stderr + browser.answer.text + secrets_in(tmp_path) + "".join(running.seen)
    assert running.seen
    for secret in (token, SECRET, code_in(redirect)):
        assert secret not in everything
    assert running.stdout == ""
    with pytest.raises(requests.ConnectionError):
        requests.get(browser.answer.url, timeout=10)


def test_the_token_is_printed_once_and_alone(config: str, tmp_path: Path) -> None:
    with connecting(tmp_path, config, "--print") as running:
        Browser(approve(running.url())).choose(ADVERTISER)
        assert running.ended() == 0
    assert re.fullmatch(r"emulator-[0-9a-f]{32}\n", running.stdout)
    assert running.stdout.strip() not in running.stderr + secrets_in(tmp_path)
    assert not (tmp_path / ".env").exists()


def test_a_meltano_project_keeps_it(config: str, tmp_path: Path) -> None:
    inside = tmp_path / "project" / "inside"
    inside.mkdir(parents=True)
    (tmp_path / "project" / "meltano.yml").write_text("")
    with connecting(inside, config, "--save", "meltano") as running:
        Browser(approve(running.url())).choose(ADVERTISER)
        assert running.ended() == 0
    assert TOKEN_LINE in (tmp_path / "project" / ".env").read_text()


def test_settings_from_the_environment(tmp_path: Path) -> None:
    with emulated(app_id="7123456789012345678", **APP) as tiktok:
        variables = {
            "TARGET_TIKTOK_AUDIENCES_APP_ID": "7123456789012345678",
            "TARGET_TIKTOK_AUDIENCES_APP_SECRET": SECRET,
            "TARGET_TIKTOK_AUDIENCES_API_URL": tiktok.base,
        }
        with connecting(tmp_path, "ENV", "--save", "env:token", **variables) as running:
            Browser(approve(running.url())).choose(ADVERTISER)
            assert running.ended() == 0
    assert TOKEN_LINE in (tmp_path / "token").read_text()


def failing(running: Running, redirect: str) -> Browser:
    browser = Browser(redirect)
    assert running.ended() == 1
    assert "Traceback" not in running.stderr
    assert "Nothing was stored." in browser.answer.text
    assert running.last_line.startswith("Error: ")
    assert running.last_line.endswith("Nothing was stored.")
    assert running.stdout == ""
    return browser


def test_consent_denied(config: str, tmp_path: Path) -> None:
    with connecting(tmp_path, config, "--save", "env") as running:
        assert failing(running, approve(running.url(), "deny")).title == "Not approved"
    assert "was not approved" in running.last_line
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize("spent", [True, False])
def test_a_code_that_is_not_good_any_more(config: str, tiktok: Client, tmp_path: Path, *, spent: bool) -> None:
    with connecting(tmp_path, config, "--save", "env") as running:
        redirect = approve(running.url())
        if spent:
            fields = {"app_id": "emulator-app", "secret": SECRET, "auth_code": code_in(redirect)}
            assert tiktok.post("/oauth2/access_token/", **fields)["code"] == 0
        else:
            tiktok.advance(1.1)
        assert failing(running, redirect).title == "The code has expired or was used"
    assert re.search(r"code 40110, request \w{34}", running.last_line)
    assert "Run the command again" in running.last_line
    calls = [call for call in tiktok.requests() if call["path"].startswith("/oauth2/access_token")]
    assert len(calls) == 1 + spent, "a code is never tried twice"


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        ("30", "create and update custom audiences (31)"),
        ("31", "read custom audiences (30)"),
        ("", "read custom audiences (30), create and update custom audiences (31)"),
    ],
)
def test_a_permission_is_missing(config: str, tmp_path: Path, scopes: str, missing: str) -> None:
    with connecting(tmp_path, config, "--save", "env") as running:
        browser = failing(running, approve(running.url(), scopes=scopes))
    assert browser.title == "A permission is missing"
    assert f"Missing: {missing}." in browser.answer.text
    assert f"Missing: {missing}." in running.last_line


def test_no_ad_account(config: str, tiktok: Client, tmp_path: Path) -> None:
    tiktok.control("advertisers", method="DELETE")
    with connecting(tmp_path, config, "--save", "env") as running:
        assert failing(running, approve(running.url())).title == "No ad account"


def test_two_thousand_ad_accounts(config: str, tiktok: Client, tmp_path: Path) -> None:
    many = [{"advertiser_id": str(7100000000000000000 + n), "name": f"Branch {n:04}"} for n in range(1998)]
    tiktok.control("advertisers", many)
    with connecting(tmp_path, config, "--save", "env") as running:
        browser = Browser(approve(running.url()))
        offers = Form(browser.answer.text).offers
        assert (len(offers), len(set(offers))) == (2000, 2000)
        browser.choose(many[-1]["advertiser_id"])
        assert running.ended() == 0
    assert many[-1]["advertiser_id"] in (tmp_path / ".env").read_text()


def test_tiktok_is_at_fault(config: str, tiktok: Client, tmp_path: Path) -> None:
    tiktok.fault(path="/oauth2/access_token/", code=50000, message=f"System error at {SECRET}.")
    with connecting(tmp_path, config, "--save", "env") as running:
        browser = failing(running, approve(running.url()))
    assert browser.title == "TikTok returned an unexpected response"
    assert "code 50000" in running.last_line
    assert SECRET not in running.stderr + browser.answer.text


def test_country_and_status_need_a_permission_that_the_app_may_lack(
    config: str, tiktok: Client, tmp_path: Path
) -> None:
    tiktok.fault(path="/advertiser/info/", code=40001, message="Permission error.")
    with connecting(tmp_path, config, "--save", "env") as running:
        browser = Browser(approve(running.url()))
        assert f"Zoo · {OTHER_ADVERTISER} · country unknown · status unknown" in browser.answer.text
        browser.choose(ADVERTISER)
        assert running.ended() == 0


def test_a_token_that_cannot_be_stored(config: str, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    with connecting(tmp_path, config, "--save", "env:keys/.env") as running:
        browser = Browser(approve(running.url()))
        folder.rmdir()
        assert "could not be stored" in browser.choose(ADVERTISER).text
        assert running.ended() == 1
    assert "No such file or directory" in running.last_line


# --- Who may do what on the page ---


def test_an_answer_with_a_wrong_state_is_ignored(config: str, tmp_path: Path) -> None:
    with connecting(tmp_path, config, "--save", "env") as running:
        url = running.url()
        for redirect in (approve(url, "other_state"), approve(url).replace("state=", "state=x")):
            stray = requests.get(redirect, timeout=10)
            assert (stray.status_code, stray.history) == (400, [])
            assert "not for this command" in stray.text
        browser = Browser(approve(url))
        browser.choose(ADVERTISER)
        assert running.ended() == 0
    assert running.stderr.count("invalid `state`") == 1


def test_other_pages_of_the_browser_get_nowhere(config: str, tmp_path: Path) -> None:
    with connecting(tmp_path, config, "--save", "env") as running:
        redirect = approve(running.url())
        home = urljoin(redirect, "/")
        assert "Waiting for TikTok" in requests.get(home, timeout=10).text
        assert requests.get(home + "nowhere", timeout=10).status_code == 404
        assert requests.get(home, headers={"Host": "evil.example"}, timeout=10).status_code == 403
        assert requests.get(redirect, headers={"Host": "evil.example"}, timeout=10).status_code == 403
        browser = Browser(redirect)
        address, token = browser.answer.url, Form(browser.answer.text).token
        good = {"token": token, "advertiser_id": ADVERTISER}
        for where, form, headers in (
            (home, good, {}),
            (address, {**good, "token": "x"}, {}),
            (address, good, {"Sec-Fetch-Site": "cross-site"}),
            (address, good, {"Host": "evil.example"}),
            (address, {**good, "token": token + "x" * 10_000}, {}),
        ):
            assert requests.post(where, data=form, headers=headers, timeout=10).status_code == 403
        for advertiser_id in ("", "7999"):
            assert Form(browser.choose(advertiser_id).text).offers == [ADVERTISER, OTHER_ADVERTISER]
        assert not (tmp_path / ".env").exists()
        assert requests.get(redirect, timeout=10).url == address, "a reload of the redirect does no harm"
        browser.choose(ADVERTISER)
        assert running.ended() == 0


def test_the_page_needs_nothing_from_elsewhere(config: str, tmp_path: Path) -> None:
    with connecting(tmp_path, config, "--save", "env") as running:
        browser = Browser(approve(running.url()))
        headers = browser.answer.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'sha256-")
        assert "Python" not in headers["Server"]
        assert "auth_code" not in browser.answer.url
        assert not re.search(r'(?:src|href)="(?!data:,)|url\(|@import| on\w+=|style=', browser.answer.text)
        running.signal(signal.SIGTERM)
        assert running.ended() == 128 + signal.SIGTERM


def test_a_tunnel_may_lead_to_the_page(config: str, tmp_path: Path) -> None:
    with connecting(tmp_path, config, "--save", "env", "--redirect-uri", "https://t.example/a/back") as running:
        redirect = urlsplit(approve(running.url()))
        assert (redirect.scheme, redirect.netloc, redirect.path) == ("https", "t.example", "/a/back")
        running.signal(signal.SIGTERM)
        assert running.ended() == 128 + signal.SIGTERM


# --- Endings ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_closes_the_page(config: str, tmp_path: Path, number: signal.Signals) -> None:
    with connecting(tmp_path, config, "--save", "env") as running:
        browser = Browser(approve(running.url()))
        running.signal(number)
        assert running.ended() == 128 + number
    assert running.last_line == f"Stopped by a signal (exit {128 + number}): nothing was stored."
    assert "Traceback" not in running.stderr
    with pytest.raises(requests.ConnectionError):
        requests.get(browser.answer.url, timeout=10)


def test_nobody_answers(config: str, tmp_path: Path) -> None:
    with connecting(tmp_path, config, "--save", "env", "--timeout", "0.01") as running:
        assert running.ended() == 1
    assert "No response within 0.01 minutes" in running.last_line


def test_what_is_wrong_is_told_before_anything_is_asked(config: str, tiktok: Client, tmp_path: Path) -> None:
    (tmp_path / "token.json").write_text(json.dumps({"access_token": "x", "api_url": tiktok.base}))
    (tmp_path / "http.json").write_text('{"app_id": "1", "app_secret": "s", "api_url": "http://tiktok.example/"}')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for arguments, exit_code, words in (
            (["--config", config], 1, "No destination for the token. Add --save env"),
            (["--config", config, "--save", "vault"], 1, "--save accepts env, env:PATH or meltano."),
            (["--config", config, "--save", "env:no/where"], 1, "cannot be written"),
            (["--config", config, "--save", "env:."], 1, "cannot be written"),
            (["--config", config, "--save", "meltano"], 1, "No meltano.yml found in this folder or its parents"),
            (["--config", config, "--save", "env", "--no-browser"], 1, "--no-browser needs a terminal"),
            (["--config", config, "--print", "--port", str(taken.getsockname()[1])], 1, "Address already in use"),
            (["--config", str(tmp_path / "token.json"), "--print"], 2, "`app_id` is missing"),
            (["--config", str(tmp_path / "token.json"), "--print"], 2, "`app_secret` is missing"),
            (["--config", str(tmp_path / "http.json"), "--print"], 2, "`api_url` must be https"),
            (["--config", config, "--print", "--timeout", "0"], 2, "--timeout"),
        ):
            ended = subprocess.run(
                [*COMMAND, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                cwd=tmp_path,
                env=environment(tmp_path),
                timeout=30,
            )
            assert (ended.returncode, words in " ".join(ended.stderr.split())) == (exit_code, True), ended.stderr
            assert "Traceback" not in ended.stderr
            assert SECRET not in ended.stdout + ended.stderr
    assert tiktok.requests() == []


def test_the_demo_plays_the_user_and_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the group `demo` is not installed")
    ended = subprocess.run(
        [sys.executable, str(DEMO), "--connect"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path),
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for words in ("[Approve]", "not active: disabled", "Connected", "mode 600", "TikTok accepts the token"):
        assert words in ended.stdout
    assert not re.search("emulator-[0-9a-f]{32}", ended.stdout + ended.stderr)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("connect-")] == []


# --- The terminal ---


@contextmanager
def terminal(folder: Path, config: str, *arguments: str) -> Iterator[Terminal]:
    inherited = environment(folder)
    variables = {name: value for name, value in inherited.items() if name not in {"COLUMNS", "LINES"}}
    with on_terminal(*COMMAND, "--config", config, *arguments, folder=folder, environment=variables) as user:
        yield user


def portal(user: Terminal) -> str:
    """Read until the address of TikTok's page."""
    found = re.search(r"(http\S+/portal/auth\S+)", user.expect("must be registered").replace("\r", ""))
    assert found
    return found[1]


def test_all_in_the_terminal(config: str, tmp_path: Path) -> None:
    with terminal(tmp_path, config, "--no-browser") as user:
        user.expect("Number [1]:")
        user.type("9")
        user.expect("Number [1]:")
        user.type("")
        url = portal(user)
        user.expect("then shows:")
        user.type("http://localhost:8766/?nothing")
        user.expect("`state` is missing or invalid")
        user.expect("then shows:")
        redirect = approve(url)
        user.type(redirect)
        shown = user.expect("search words:")
        assert "not active: under" in shown
        tables = [line for line in shown.replace("\r", "").splitlines() if line[:1] in "┏┃┡│└"]
        assert len(tables) > 4
        assert max(map(len, tables)) <= 80
        user.type("nothing like that")
        user.expect("No match.")
        user.expect("search words:")
        user.type("zoo")
        assert ADVERTISER not in user.expect("search words:")
        user.type("2")
        assert user.ended() == 0, user.screen
    kept = (tmp_path / ".env").read_text()
    assert f"ADVERTISER_ID={OTHER_ADVERTISER}\n" in kept
    assert kept.split(TOKEN_LINE)[1].split()[0] not in user.screen
    assert SECRET not in user.screen
    assert user.screen.count(code_in(redirect)) == 1, "the terminal echoes what is pasted, and nothing else shows it"


def test_two_thousand_in_the_terminal(config: str, tiktok: Client, tmp_path: Path) -> None:
    many = [{"advertiser_id": str(7100000000000000000 + n), "name": f"Branch {n:04}"} for n in range(1998)]
    tiktok.control("advertisers", many)
    with terminal(tmp_path, config, "--no-browser", "--print") as user:
        user.type(approve(portal(user)))
        user.expect("... and 1,980 more of 2,000")
        user.expect("search words:")
        user.type("branch 1234")
        assert "1,235" in user.expect("search words:")
        user.type("1235")
        assert user.ended() == 0
    assert f'Connected: "Branch 1234", advertiser {many[1234]["advertiser_id"]}' in user.screen
    assert re.search(r"^emulator-[0-9a-f]{32}\r$", user.screen, re.MULTILINE)


def test_denied_and_interrupted_in_the_terminal(config: str, tmp_path: Path) -> None:
    with terminal(tmp_path, config, "--no-browser", "--save", "env") as user:
        user.type(approve(portal(user), "deny"))
        assert user.ended() == 1
        assert "Error: TikTok sent no code" in user.screen
    with terminal(tmp_path, config, "--no-browser", "--save", "env") as user:
        user.expect("then shows:")
        user.process.send_signal(signal.SIGINT)
        assert user.ended() == 130
        assert "Stopped by a signal (exit 130): nothing was stored." in user.screen
    with terminal(tmp_path, config, "--no-browser", "--save", "env", "--timeout", "0.01") as user:
        assert user.ended() == 1
        assert "No response within" in user.screen
    with terminal(tmp_path, config, "--no-browser", "--save", "env") as user:
        user.expect("then shows:")
        os.write(user.keyboard, b"\x04")
        assert user.ended() == 1
        assert "Input ended before a response" in user.screen
    assert "Traceback" not in user.screen


def test_a_place_is_asked_for_where_there_is_a_terminal(config: str, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "meltano.yml").write_text("")
    with terminal(tmp_path / "project", config, "--port", "0") as user:
        user.expect("2: do not store it, print it once")
        user.type("2")
        user.expect("/portal/auth?")
        user.process.send_signal(signal.SIGINT)
        assert user.ended() == 130
    with terminal(tmp_path, config, "--port", "0") as user:
        user.expect(f"1: {tmp_path / '.env'}")
        user.process.send_signal(signal.SIGTERM)
        assert user.ended() == 143


# --- The file ---


def test_variables_are_set_where_they_stood() -> None:
    before = "A=1\r\nexport TOKEN = 'old'\r\n# TOKEN=not this\r\nTOKEN=twice\r\nTOKENS=other\r\nB=2"
    after = "A=1\r\nexport TOKEN=new\r\n# TOKEN=not this\r\nTOKENS=other\r\nB=2\nID='a b'\n"
    assert with_variables(before, {"TOKEN": "new", "ID": "a b"}) == after
    assert with_variables(after, {"TOKEN": "new", "ID": "a b"}) == after
    assert with_variables("", {"A": "1"}) == "A=1\n"
    assert with_variables("A=0", {"A": "1"}) == "A=1\n"


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / ".env"
    real.write_bytes(b"\xff=1\n")
    link.symlink_to(real)
    file = EnvFile.meant_by(f"env:{link}")
    file.set({"A": "1"})
    assert link.is_symlink()
    assert real.read_bytes() == b"\xff=1\nA=1\n"
    assert real.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [".env", "real"]


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("A=0\n")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        EnvFile.meant_by(f"env:{tmp_path / 'a'}").set({"A": "1"})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir() if path.is_file()] == [("a", "A=0\n")]


def test_the_meltano_project_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    with pytest.raises(UserError, match=r"meltano\.yml"):
        EnvFile.meant_by("meltano")
    (tmp_path / "meltano.yml").touch()
    assert EnvFile.meant_by("meltano").path == tmp_path / ".env"


# --- The calls ---


def test_the_page_that_asks_is_where_the_api_is() -> None:
    for api_url, expected in {
        "https://business-api.tiktok.com/open_api/v1.3": "https://business-api.tiktok.com/portal/auth?",
        "https://sandbox-ads.tiktok.com/open_api/v1.3/": "https://business-api.tiktok.com/portal/auth?",
        "http://127.0.0.1:8765/open_api/v1.3": "http://127.0.0.1:8765/portal/auth?",
    }.items():
        url = authorization_url(api_url, "7", "s&t", "http://localhost:1/?a=b")
        assert url == f"{expected}app_id=7&state=s%26t&redirect_uri=http%3A%2F%2Flocalhost%3A1%2F%3Fa%3Db"


def test_the_code_of_a_redirect() -> None:
    assert code_of("http://localhost/?state=s&code=wrong-one&auth_code=right-one", "s") == "right-one"
    for redirect in (
        "",
        "?state=",
        "?state=t&auth_code=right-one",
        "?auth_code=right-one",
        "http://[",
        "?state=\udc80",
    ):
        with pytest.raises(WrongState):
            code_of(redirect, "s")
    for redirect in ("?state=s", "?state=s&error=access_denied", "?state=s&code=wrong-one", "?state=s&auth_code=a%0Ab"):
        with pytest.raises(ConsentDenied):
            code_of(redirect, "s")


def test_a_lost_answer_to_the_exchange_is_not_asked_for_again(tiktok: Client) -> None:
    url = authorization_url(tiktok.base, "emulator-app", "state", "http://localhost:1/")
    code = code_in(approve(url))
    tiktok.fault(path="/oauth2/access_token/", code=40100, message="App reaches the QPS limit 10")
    tiktok.fault(path="/oauth2/access_token/", drop="after")
    pauses: list[float] = []
    client = TikTok("", tiktok.base, sleep=pauses.append, secrets=[SECRET, code])
    with pytest.raises(TikTokError, match="no valid response") as raised:
        exchange(client, "emulator-app", SECRET, code)
    assert len(pauses) == 1, "what TikTok surely did not do is tried again"
    assert [call["path"] for call in tiktok.requests()] == ["/oauth2/access_token/"] * 2
    assert code not in str(raised.value)


def test_ad_accounts_are_listed_once_each_the_active_ones_first(tiktok: Client) -> None:
    added = [
        {"advertiser_id": str(n), "name": f"b{n}", "status": "STATUS_LIMIT" if n % 2 else "STATUS_ENABLE"}
        for n in range(250)
    ]
    tiktok.control("advertisers", added)
    tiktok.control("tokens", {"token": "of-some-user", "advertiser_ids": [each["advertiser_id"] for each in added]})
    found = granted_advertisers(TikTok("of-some-user", tiktok.base), "emulator-app", SECRET)
    assert len(found) == len({each.advertiser_id for each in found}) == 250
    assert [status_in_words(each) for each in found] == ["active"] * 125 + ["not active: restricted"] * 125
    asked = [call["path"] for call in tiktok.requests()]
    assert asked == ["/oauth2/advertiser/get/", *["/advertiser/info/"] * 3]


def test_words_and_permissions() -> None:
    assert status_in_words(Advertiser("1", status="STATUS_NEW_ONE")) == "not active: new one"
    assert Token("t", [3]).missing_scopes == []
    assert Token("t", ["30", 31]).missing_scopes == []
    assert Token("t", [4]).missing_scopes == [30, 31]
    assert "secret" not in repr(Token("secret", [4]))
    assert "unknown" in page.choose([Advertiser("1")], [3], "t").content
