"""From the browser's approval to a token, and what a token sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER, digests, emulated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.emulator_client import Client

APP = {"app_id": "emulator-app", "secret": "emulator-secret"}
REDIRECT = "http://127.0.0.1:9/callback?keep=this"


@pytest.fixture
def tiktok() -> Iterator[Client]:
    with emulated(advertiser_ids=[ADVERTISER, OTHER_ADVERTISER]) as client:
        client.headers = {}
        yield client


def page(tiktok: Client, **query: str) -> requests.Response:
    query = {"app_id": "emulator-app", "state": "s & t", "redirect_uri": REDIRECT, **query}
    return requests.get(f"{tiktok.url}/portal/auth", params=query, timeout=10)


def decide(tiktok: Client, decision: str, **form: str) -> dict[str, list[str]]:
    query = {"app_id": "emulator-app", "state": "s & t", "redirect_uri": REDIRECT}
    answer = requests.post(
        f"{tiktok.url}/portal/auth",
        params=query,
        data={"decision": decision, **form},
        allow_redirects=False,
        timeout=10,
    )
    assert answer.status_code == 303
    target = urlsplit(answer.headers["Location"])
    assert (target.netloc, target.path) == ("127.0.0.1:9", "/callback")
    return parse_qs(target.query)


def exchange(tiktok: Client, code: str, **fields: Any) -> Any:
    return tiktok.post("/oauth2/access_token/", **{**APP, "auth_code": code, **fields})


def test_the_page_asks_in_plain_html(tiktok: Client) -> None:
    answer = page(tiktok)
    assert answer.status_code == 200
    assert '<html lang="en">' in answer.text
    for text in ("emulator-app", ADVERTISER, OTHER_ADVERTISER, ">Approve</button>", ">Deny</button>"):
        assert text in answer.text


@pytest.mark.parametrize(
    "wrong",
    [{"app_id": "other"}, {"redirect_uri": ""}, {"redirect_uri": "javascript:alert(1)"}, {"redirect_uri": "http://["}],
)
def test_the_page_refuses_what_it_cannot_answer(tiktok: Client, wrong: dict[str, str]) -> None:
    answer = page(tiktok, **wrong)
    assert answer.status_code == 400
    assert "button>" not in answer.text


def test_the_page_quotes_names(tiktok: Client) -> None:
    tiktok.control("advertisers", [{"advertiser_id": "3", "name": "<script>"}])
    assert "<script>" not in page(tiktok).text


def test_an_approval_gives_a_code_that_gives_a_token(tiktok: Client) -> None:
    query = decide(tiktok, "approve")
    assert set(query) == {"keep", "state", "auth_code", "code"}
    assert query["state"] == ["s & t"]
    answer = exchange(tiktok, query["auth_code"][0])
    assert answer["code"] == 0
    assert answer["data"]["advertiser_ids"] == [ADVERTISER, OTHER_ADVERTISER]
    assert answer["data"]["scope"] == [3, 30, 31, 32]
    assert answer["data"]["access_token"].startswith("emulator-")
    tiktok.headers = {"Access-Token": answer["data"]["access_token"]}
    assert tiktok.create(digests(1000))


def test_a_denial_gives_no_code(tiktok: Client) -> None:
    assert decide(tiktok, "deny") == {"keep": ["this"], "state": ["s & t"], "error": ["access_denied"]}


def test_a_code_is_valid_once(tiktok: Client) -> None:
    code = decide(tiktok, "approve")["auth_code"][0]
    assert exchange(tiktok, code)["code"] == 0
    answer = exchange(tiktok, code)
    assert (answer["code"], answer["message"]) == (40110, "Auth code is expired or has been used.")


def test_a_code_is_valid_for_an_hour(tiktok: Client) -> None:
    codes = [decide(tiktok, "approve")["auth_code"][0] for _ in range(2)]
    tiktok.advance(0.99)
    assert exchange(tiktok, codes[0])["code"] == 0
    tiktok.advance(0.02)
    assert exchange(tiktok, codes[1])["code"] == 40110


def test_the_other_code_of_the_redirect_is_of_no_use(tiktok: Client) -> None:
    assert exchange(tiktok, decide(tiktok, "approve")["code"][0])["code"] == 40101


@pytest.mark.parametrize("wrong", [{"app_id": "other"}, {"secret": "other"}])
def test_a_wrong_app_gets_no_token_and_spends_no_code(tiktok: Client, wrong: dict[str, str]) -> None:
    code = decide(tiktok, "approve")["auth_code"][0]
    assert exchange(tiktok, code, **wrong)["code"] == 40113
    assert exchange(tiktok, code)["code"] == 0


def test_the_exchange_leaves_out_advertisers_if_asked_to(tiktok: Client) -> None:
    code = decide(tiktok, "approve")["auth_code"][0]
    assert "advertiser_ids" not in exchange(tiktok, code, return_advertiser_ids=False)["data"]


def test_the_exchange_names_missing_fields(tiktok: Client) -> None:
    assert tiktok.post("/oauth2/access_token/")["message"] == "Missing required field(s): app_id, secret, auth_code."


def test_a_revoked_token_is_of_no_use(tiktok: Client) -> None:
    token = exchange(tiktok, decide(tiktok, "approve")["auth_code"][0])["data"]["access_token"]
    assert tiktok.post("/oauth2/revoke_token/", **{**APP, "secret": "x"}, access_token=token)["code"] == 40113
    assert tiktok.post("/oauth2/revoke_token/", **APP, access_token=token)["data"] == {}
    assert tiktok.post("/oauth2/revoke_token/", **APP, access_token=token)["code"] == 40105
    tiktok.headers = {"Access-Token": token}
    assert tiktok.get("/user/info/")["code"] == 40105


def test_a_token_lists_and_describes_its_advertisers_alone(tiktok: Client) -> None:
    tiktok.control("tokens", {"token": "limited", "scopes": [], "advertiser_ids": [OTHER_ADVERTISER]})
    assert tiktok.get("/oauth2/advertiser/get/", **APP)["code"] == 40104
    tiktok.headers = {"Access-Token": "limited"}
    assert tiktok.get("/oauth2/advertiser/get/", **APP)["data"] == {
        "list": [{"advertiser_id": OTHER_ADVERTISER, "advertiser_name": "Emulated advertiser"}]
    }
    assert tiktok.get("/oauth2/advertiser/get/", **{**APP, "secret": "x"})["code"] == 40113
    assert tiktok.get("/advertiser/info/", advertiser_ids=f'["{OTHER_ADVERTISER}"]')["code"] == 0
    assert tiktok.get("/advertiser/info/", advertiser_ids=f'["{ADVERTISER}"]')["code"] == 40001
    assert tiktok.get("/advertiser/info/")["code"] == 40002
    assert set(tiktok.get("/user/info/")["data"]) == {"core_user_id", "display_name", "email", "create_time"}


def test_an_approval_may_grant_less_than_was_asked_for(tiktok: Client) -> None:
    for scopes, granted in {"30": [30], "31": [31], "": []}.items():
        code = decide(tiktok, "approve", scopes=scopes)["auth_code"][0]
        assert exchange(tiktok, code)["data"]["scope"] == granted
    query = {"app_id": "emulator-app", "redirect_uri": REDIRECT}
    form = {"decision": "approve", "scopes": "99"}
    assert requests.post(f"{tiktok.url}/portal/auth", params=query, data=form, timeout=10).status_code == 400


def test_an_answer_may_come_with_another_state(tiktok: Client) -> None:
    query = decide(tiktok, "other_state")
    assert query["state"] != ["s & t"]
    assert exchange(tiktok, query["auth_code"][0])["code"] == 0


def test_the_page_shows_some_of_many_advertisers(tiktok: Client) -> None:
    tiktok.control("advertisers", [{"advertiser_id": str(number)} for number in range(2000)])
    assert page(tiktok).text.count("<li>") == 11
    assert "and 1,992 more" in page(tiktok).text


def test_a_user_without_advertisers(tiktok: Client) -> None:
    tiktok.control("advertisers", method="DELETE")
    answer = exchange(tiktok, decide(tiktok, "approve")["auth_code"][0])
    assert answer["data"]["advertiser_ids"] == []
