"""Authorization: consent page, tokens, and the advertisers and the user of a token."""

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

QUESTION = """<p>This is the TikTok emulator. No real access is granted.</p>
<p>The app <strong>{app_id}</strong> requests the permission <em>Audience Management</em> for these advertisers:</p>
<ul>{advertisers}</ul>
<form method="post">
<label>Permissions to grant
<select name="scopes">{permissions}</select></label>
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button>
<button name="decision" value="other_state">Approve, but return another state</button>
</form>"""

# On TikTok's page the user can deselect permissions.
PERMISSIONS = {
    "3,30,31,32": "Audience Management (all permissions)",
    "30": "Only read custom audiences",
    "31": "Only create and update custom audiences",
    "": "None",
}
SHOWN_ADVERTISERS = 10


def exchange_code(emulator: Emulator, call: Call) -> Data:
    """Exchange an authorization code for a token."""
    parameters.require(call.fields, "app_id", "secret", "auth_code")
    emulator.accounts.check_app(parameters.text(call.fields, "app_id"), parameters.text(call.fields, "secret"))
    with_advertisers = parameters.boolean(call.fields, "return_advertiser_ids")
    token, grant = emulator.accounts.exchange(parameters.text(call.fields, "auth_code"), emulator.now())
    data: Data = {"access_token": token, "scope": list(grant.scopes)}
    if with_advertisers is not False:
        data["advertiser_ids"] = [advertiser.advertiser_id for advertiser in emulator.accounts.visible(grant)]
    return data


def revoke_token(emulator: Emulator, call: Call) -> Data:
    """Revoke a token."""
    parameters.require(call.fields, "app_id", "secret", "access_token")
    emulator.accounts.check_app(parameters.text(call.fields, "app_id"), parameters.text(call.fields, "secret"))
    emulator.accounts.revoke(parameters.text(call.fields, "access_token"))
    return {}


def list_advertisers(emulator: Emulator, call: Call) -> Data:
    """Return the advertisers that the token can access."""
    parameters.require(call.fields, "app_id", "secret")
    emulator.accounts.check_app(parameters.text(call.fields, "app_id"), parameters.text(call.fields, "secret"))
    return {
        "list": [
            {"advertiser_id": advertiser.advertiser_id, "advertiser_name": advertiser.name}
            for advertiser in emulator.accounts.visible(call.grant)
        ],
    }


def advertiser_info(emulator: Emulator, call: Call) -> Data:
    """Return details of advertisers, without the many fields that are null or masked in TikTok's responses."""
    query = parameters.decode_query(call.fields, lists=["advertiser_ids"])
    parameters.require(query, "advertiser_ids")
    advertisers = [
        emulator.accounts.advertiser(call.grant, advertiser_id)
        for advertiser_id in parameters.ids(query, "advertiser_ids")
    ]
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
            for advertiser in advertisers
        ],
    }


def user_info(emulator: Emulator, call: Call) -> Data:
    """Return the user of the token. Clients use this as a cheap check of the token."""
    del emulator, call
    return {
        "core_user_id": "6900000000000000001",
        "display_name": "Emulated user",
        "email": "e***@example.com",
        "create_time": 1779790935,
    }


async def authorization_page(request: Request, emulator: Emulator) -> Response:
    """Show the consent page, and redirect the browser to the app with the decision."""
    query = request.query_params
    redirect_uri = query.get("redirect_uri", "")
    if query.get("app_id") != emulator.app_id:
        return _page("Unknown app", "<p>The app_id in this URL is not the app ID of the emulator.</p>", 400)
    # TikTok accepts only addresses that are registered for the app; the emulator accepts every web address.
    if not _is_web_address(redirect_uri):
        return _page(
            "Wrong redirect_uri", "<p>The redirect_uri in this URL is missing or is not a web address.</p>", 400
        )
    if request.method == "GET":
        return _question(emulator)
    form = await request.form()
    decision, scopes = form.get("decision"), str(form.get("scopes", next(iter(PERMISSIONS))))
    answer = {"state": query["state"]} if "state" in query else {}
    if decision == "other_state":
        answer = {"state": secrets.token_hex(16)}
    if scopes not in PERMISSIONS:
        return _page("Wrong permissions", "<p>These permissions cannot be granted here.</p>", 400)
    if decision in {"approve", "other_state"}:
        auth_code = emulator.accounts.new_auth_code(emulator.now(), tuple(map(int, filter(None, scopes.split(",")))))
        # TikTok also sends an unrelated `code`; it is here to detect clients that use it.
        answer |= {"auth_code": auth_code, "code": secrets.token_hex(20)}
    else:
        # TikTok's redirect after a denial is not documented; this is the usual OAuth response.
        answer |= {"error": "access_denied"}
    return RedirectResponse(_with_query(redirect_uri, answer), 303)


def _question(emulator: Emulator) -> Response:
    advertisers = list(emulator.accounts.advertisers.values())
    lines = [
        f"{escape(advertiser.name)} ({escape(advertiser.advertiser_id)})"
        for advertiser in advertisers[:SHOWN_ADVERTISERS]
    ]
    if len(advertisers) > SHOWN_ADVERTISERS:
        lines.append(f"and {len(advertisers) - SHOWN_ADVERTISERS:,} more")
    question = QUESTION.format(
        app_id=escape(emulator.app_id),
        advertisers="".join(f"<li>{line}</li>" for line in lines),
        permissions="".join(f'<option value="{value}">{text}</option>' for value, text in PERMISSIONS.items()),
    )
    return _page("Authorize this app?", question)


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
