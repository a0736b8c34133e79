"""Endpoints of audiences: create, update, list, get and delete."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from target_tiktok_audiences.emulator import audiences, files, parameters
from target_tiktok_audiences.emulator.audiences import Audience, Change, HistoryEntry
from target_tiktok_audiences.emulator.responses import Code, Refusal
from target_tiktok_audiences.emulator.serializers import get_item, list_item
from target_tiktok_audiences.tiktok.models import CalculateType, UpdateAction

if TYPE_CHECKING:
    from target_tiktok_audiences.emulator.accounts import Advertiser
    from target_tiktok_audiences.emulator.emulator import Emulator
    from target_tiktok_audiences.emulator.parameters import Fields
    from target_tiktok_audiences.emulator.request import Call, Data
    from target_tiktok_audiences.emulator.uploads import Contents

MAX_NAME = 128
MAX_AUDIENCES = 400
SUB_TYPES = ("NORMAL", "REACH_FREQUENCY")
# Upload accepts all types. Create accepts no MAID_* types; mixed device ids are FIRST_* there.
NOT_CREATABLE = {CalculateType.MAID_SHA256, CalculateType.MAID_MD5}


def create(emulator: Emulator, call: Call) -> Data:
    """Create an audience from files. Names are not unique: two audiences with one name were recorded."""
    parameters.require(call.fields, "advertiser_id", "custom_audience_name", "file_paths", "calculate_type")
    advertiser = call.advertiser(emulator)
    name = parameters.text(call.fields, "custom_audience_name", MAX_NAME)
    calculate_type = files.calculate_type(call.fields)
    if calculate_type in NOT_CREATABLE:
        raise Refusal(Code.CALCULATE_TYPE, f"calculate_type: {calculate_type.value} is not supported.")
    retention = parameters.whole(call.fields, "retention_in_days", 1, 365)
    sub_type = _sub_type(call.fields) or "NORMAL"
    enhancement = parameters.boolean(call.fields, "audience_enhancement") or False
    contents = files.contents(emulator, advertiser, calculate_type, call.fields)
    owned = sum(audience.owner_id == advertiser.advertiser_id for audience in emulator.audiences.values())
    if owned >= MAX_AUDIENCES:
        # The limit is documented, its code is not.
        raise Refusal(Code.BAD_PARAMETER, f"The advertiser has {MAX_AUDIENCES} audiences, which is the maximum.")
    now = emulator.now()
    audience = Audience(
        audience_id=emulator.new_audience_id(),
        owner_id=advertiser.advertiser_id,
        name=name,
        create_time=now,
        modify_time=now,
        calculate_type=calculate_type,
        retention_in_days=retention,
        sub_type=sub_type,
        enhancement=enhancement,
    )
    audiences.accept(audience, _change(emulator, UpdateAction.REPLACE, "create", contents, call.fail_later))
    emulator.audiences[audience.audience_id] = audience
    files.mark_used(emulator, call.fields)
    return {"custom_audience_id": audience.audience_id}


def update(emulator: Emulator, call: Call) -> Data:
    """Update an audience with files, rename it, or change its sub-type."""
    parameters.require(call.fields, "advertiser_id", "custom_audience_id")
    advertiser = call.advertiser(emulator)
    audience = _own_audience(emulator, advertiser, parameters.text(call.fields, "custom_audience_id"))
    # TikTok replaces all members if no action is sent.
    action = parameters.choice(call.fields, "action", UpdateAction) or UpdateAction.REPLACE
    enhancement = parameters.boolean(call.fields, "audience_enhancement")
    sub_type = _sub_type(call.fields)
    now = emulator.now()
    if sub_type is not None:
        # All other parameters are then ignored.
        audiences.change_sub_type(audience, sub_type, now)
        return {}
    name = None
    if call.fields.get("custom_audience_name") is not None:
        name = parameters.text(call.fields, "custom_audience_name", MAX_NAME)
    if call.fields.get("file_paths") is not None:
        audiences.refuse_change(audience, action, now, emulator)
        _update_members(emulator, advertiser, audience, action, call)
    elif name is None:
        raise Refusal(Code.BAD_PARAMETER, "Missing required field(s): custom_audience_name or file_paths.")
    if name is not None:
        audiences.rename(audience, name, now)
    if enhancement is not None:
        audience.enhancement = enhancement
    return {}


def list_audiences(emulator: Emulator, call: Call) -> Data:
    """Return a page of the audiences that the advertiser owns or that are shared with it."""
    query = _query(call.fields)
    parameters.require(query, "advertiser_id")
    advertiser = call.advertiser(emulator)
    # Limits and defaults of pages are documented; the response to a page out of bounds is not.
    page = parameters.whole(query, "page", 1, 1_000_000) or 1
    page_size = parameters.whole(query, "page_size", 1, 100) or 10
    audience_ids = (
        parameters.ids(query, "custom_audience_ids") if query.get("custom_audience_ids") is not None else None
    )
    listed_before = emulator.now() - timedelta(seconds=emulator.list_lag_seconds)
    matches = [
        audience
        for audience in emulator.settled()
        if _is_visible(advertiser, audience)
        and audience.create_time <= listed_before
        and (audience_ids is None or audience.audience_id in audience_ids)
    ]
    shown = matches[(page - 1) * page_size : page * page_size]
    return {
        "list": [list_item(emulator, advertiser, audience) for audience in shown],
        "page_info": {
            "page": page,
            "page_size": page_size,
            "total_number": len(matches),
            "total_page": math.ceil(len(matches) / page_size),
        },
    }


def get_audiences(emulator: Emulator, call: Call) -> Data:
    """Return the details of audiences. Audiences that do not exist are omitted; TikTok's behavior is not documented."""
    query = _query(call.fields)
    parameters.require(query, "advertiser_id", "custom_audience_ids")
    advertiser = call.advertiser(emulator)
    audience_ids = parameters.ids(query, "custom_audience_ids")
    history_size = parameters.whole(query, "history_size", 1, 100) or 100
    matches = [emulator.settled_audience(audience_id) for audience_id in dict.fromkeys(audience_ids)]
    return {
        "list": [
            get_item(emulator, advertiser, audience, history_size)
            for audience in matches
            if audience is not None and _is_visible(advertiser, audience)
        ],
    }


def delete(emulator: Emulator, call: Call) -> Data:
    """Delete audiences in any state. If one does not belong to the advertiser, none is deleted."""
    parameters.require(call.fields, "advertiser_id", "custom_audience_ids")
    advertiser = call.advertiser(emulator)
    own_audiences = [
        _own_audience(emulator, advertiser, audience_id)
        for audience_id in dict.fromkeys(parameters.ids(call.fields, "custom_audience_ids"))
    ]
    for audience in own_audiences:
        del emulator.audiences[audience.audience_id]
    return {}


def _update_members(
    emulator: Emulator, advertiser: Advertiser, audience: Audience, action: UpdateAction, call: Call
) -> None:
    # An update does not send a type, so the audience's type is used.
    assert audience.calculate_type is not None  # noqa: S101 - every customer file audience has one
    contents = files.contents(emulator, advertiser, audience.calculate_type, call.fields)
    members = audiences.combine(audiences.expected_members(audience), action, contents.digests)
    if emulator.floor == "sync" and audiences.below_minimum_size(members, emulator):
        raise Refusal(Code.BAD_PARAMETER, audiences.BELOW_MINIMUM_SIZE)
    audiences.accept(audience, _change(emulator, action, action.value.lower(), contents, call.fail_later))
    files.mark_used(emulator, call.fields)


def _change(emulator: Emulator, action: UpdateAction, name: str, contents: Contents, fail_later: str | None) -> Change:
    now = emulator.now()
    return Change(
        action=action,
        digests=contents.digests,
        lines=contents.lines,
        unreadable=contents.unreadable,
        done=emulator.processed_at(now),
        entry=HistoryEntry(name, now),
        fail_later=fail_later,
    )


def _own_audience(emulator: Emulator, advertiser: Advertiser, audience_id: str) -> Audience:
    """Return an audience to change, or raise `Refusal`. The codes for unknown and foreign ones are not documented."""
    audience = emulator.settled_audience(audience_id)
    if audience is None:
        raise Refusal(Code.NOT_FOUND, f"Audience {audience_id} does not exist.")
    if audience.owner_id != advertiser.advertiser_id:
        raise Refusal(Code.NO_PERMISSION, f"No permission to operate audience {audience_id}.")
    return audience


def _is_visible(advertiser: Advertiser, audience: Audience) -> bool:
    return advertiser.advertiser_id == audience.owner_id or advertiser.advertiser_id in audience.shared_with


def _sub_type(request: Fields) -> str | None:
    value = request.get("audience_sub_type")
    if value is not None and value not in SUB_TYPES:
        raise Refusal(Code.BAD_PARAMETER, f"audience_sub_type: must be one of {', '.join(SUB_TYPES)}.")
    return None if value is None else str(value)


def _query(query: Fields) -> Fields:
    return parameters.decode_query(query, lists=["custom_audience_ids"], numbers=["page", "page_size", "history_size"])
