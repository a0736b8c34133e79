"""Authorisation and what a token can see: tokens, advertisers, the user; and the page that a browser is sent to."""

from __future__ import annotations

import secrets
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.responses import HTMLResponse, RedirectResponse

from target_tiktok_audiences.emulator import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from target_tiktok_audiences.emulator.emulator import Emulator
    from target_tiktok_audiences.emulator.request import Call, Data


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ font: 1.1rem/1.5 sans-serif; margin: 2rem auto; max-width: 36rem; padding: 0 1rem }}
label {{ display: block; margin: 1rem 0 }}
button, select {{ font: inherit; padding: .5rem 1.5rem; margin: 0 1rem .5rem 0; max-width: 100% }}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""

QUESTION = """<p>This is the TikTok emulator: nothing real is authorised here.</p>
<p>The app <strong>{app_id}</strong> asks for the permission <em>Audience Management</em> on these advertisers:</p>
<ul>{advertisers}</ul>
<form method="post">
<label>Permissions to grant
<select name="scopes">{permissions}</select></label>
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button>
<button name="decision" value="other_state">Approve, but come back with another state</button>
</form>"""

# TikTok lets whoever approves leave some out.
PERMISSIONS = {
    "3,30,31,32": "Audience Management: all of it",
    "30": "Read custom audiences alone",
    "31": "Create and update custom audiences alone",
    "": "None of these",
}
SHOWN_ADVERTISERS = 10


def exchange_code(emulator: Emulator, call: Call) -> Data:
    """Give a token for an authorisation code."""
    parameters.require(call.fields, "app_id", "secret", "auth_code")
    emulator.accounts.check_app(parameters.text(call.fields, "app_id"), parameters.text(call.fields, "secret"))
    with_advertisers = parameters.boolean(call.fields, "return_advertiser_ids")
    token, grant = emulator.accounts.exchange(parameters.text(call.fields, "auth_code"), emulator.now())
    data: Data = {"access_token": token, "scope": list(grant.scopes)}
    if with_advertisers is not False:
        data["advertiser_ids"] = [advertiser.advertiser_id for advertiser in emulator.accounts.visible(grant)]
    return data


def revoke_token(emulator: Emulator, call: Call) -> Data:
    """End a token's life."""
    parameters.require(call.fields, "app_id", "secret", "access_token")
    emulator.accounts.check_app(parameters.text(call.fields, "app_id"), parameters.text(call.fields, "secret"))
    emulator.accounts.revoke(parameters.text(call.fields, "access_token"))
    return {}


def list_advertisers(emulator: Emulator, call: Call) -> Data:
    """List the advertisers that the token may act for."""
    parameters.require(call.fields, "app_id", "secret")
    emulator.accounts.check_app(parameters.text(call.fields, "app_id"), parameters.text(call.fields, "secret"))
    return {
        "list": [
            {"advertiser_id": advertiser.advertiser_id, "advertiser_name": advertiser.name}
            for advertiser in emulator.accounts.visible(call.grant)
        ],
    }


def advertiser_info(emulator: Emulator, call: Call) -> Data:
    """Describe advertisers. Of TikTok's many fields, most of them null or masked, those that say something."""
    query = parameters.decode_query(call.fields, lists=["advertiser_ids"])
    parameters.require(query, "advertiser_ids")
    found = [emulator.accounts.advertiser(call.grant, each) for each in parameters.ids(query, "advertiser_ids")]
    return {
        "list": [
            {
                "advertiser_id": advertiser.advertiser_id,
                "name": advertiser.name,
                "company": advertiser.name,
                "status": advertiser.status,
                "role": "ROLE_ADVERTISER",
                "timezone": advertiser.timezone,
                "display_timezone": advertiser.timezone,
                "currency": advertiser.currency,
                "country": advertiser.country,
                "balance": 0,
                "create_time": 1779790935,
                "advertiser_account_type": "AUCTION",
            }
            for advertiser in found
        ],
    }


def user_info(emulator: Emulator, call: Call) -> Data:
    """Describe the user who gave the token: a cheap way to check it."""
    del emulator, call
    return {
        "core_user_id": "6900000000000000001",
        "display_name": "Emulated user",
        "email": "e***@example.com",
        "create_time": 1779790935,
    }


async def authorisation_page(request: Request, emulator: Emulator) -> Response:
    """Ask whether an app may act for the advertisers, and send the browser back with the answer."""
    query = request.query_params
    redirect_uri = query.get("redirect_uri", "")
    if query.get("app_id") != emulator.app_id:
        return _page("Unknown app", "<p>The app_id of this address is not that of the emulator.</p>", 400)
    # TikTok takes only addresses that were registered for the app; here every web address is.
    if not _is_web_address(redirect_uri):
        return _page("Wrong address", "<p>The redirect_uri of this address is missing or no web address.</p>", 400)
    if request.method == "GET":
        return _question(emulator)
    form = await request.form()
    decision, scopes = form.get("decision"), str(form.get("scopes", next(iter(PERMISSIONS))))
    answer = {"state": query["state"]} if "state" in query else {}
    if decision == "other_state":
        answer = {"state": secrets.token_hex(16)}
    if scopes not in PERMISSIONS:
        return _page("Wrong permissions", "<p>No such permissions can be granted here.</p>", 400)
    if decision in {"approve", "other_state"}:
        auth_code = emulator.accounts.new_auth_code(emulator.now(), tuple(map(int, filter(None, scopes.split(",")))))
        # The other code that TikTok sends along is of no use, and is here to catch a client that takes it.
        answer |= {"auth_code": auth_code, "code": secrets.token_hex(20)}
    else:
        # What TikTok sends after a refusal is not documented; this is the usual OAuth answer.
        answer |= {"error": "access_denied"}
    return RedirectResponse(_with_query(redirect_uri, answer), 303)


def _question(emulator: Emulator) -> Response:
    advertisers = list(emulator.accounts.advertisers.values())
    lines = [f"{escape(each.name)} ({escape(each.advertiser_id)})" for each in advertisers[:SHOWN_ADVERTISERS]]
    if len(advertisers) > SHOWN_ADVERTISERS:
        lines.append(f"and {len(advertisers) - SHOWN_ADVERTISERS:,} more")
    question = QUESTION.format(
        app_id=escape(emulator.app_id),
        advertisers="".join(f"<li>{line}</li>" for line in lines),
        permissions="".join(f'<option value="{value}">{text}</option>' for value, text in PERMISSIONS.items()),
    )
    return _page("Authorise this app?", question)


def _page(title: str, content: str, status: int = 200) -> Response:
    return HTMLResponse(PAGE.format(title=title, content=content), status)


def _is_web_address(address: str) -> bool:
    try:
        return urlsplit(address).scheme in {"http", "https"}
    except ValueError:
        return False


def _with_query(address: str, added: Mapping[str, str]) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *added.items()])))
