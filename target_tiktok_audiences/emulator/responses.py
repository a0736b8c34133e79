"""JSON envelope of TikTok's responses; its code, not the HTTP status, indicates success or failure."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


# Request ids start with the time in UTC+8 in every recorded response.
BEIJING = timezone(timedelta(hours=8))


class Code(IntEnum):
    """Return codes that the emulator returns itself; an injected fault can return any other code."""

    OK = 0
    NO_PERMISSION = 40001
    BAD_PARAMETER = 40002
    WRONG_VERSION = 40006
    NOT_FOUND = 40007
    TOO_MANY_IDS = 40011
    NO_UPDATE_NEEDED = 40012
    TOO_FREQUENT = 40100
    BAD_AUTH_CODE = 40101
    TOKEN_EMPTY = 40104
    TOKEN_INCORRECT = 40105
    AUTH_CODE_SPENT = 40110
    WRONG_APP = 40113
    NO_ROUTE = 40400
    WRONG_SIGNATURE = 40900
    FILE_UNKNOWN = 40905
    FILE_EMPTY = 40906
    FILE_TOO_LARGE = 40907
    FILE_SUFFIX = 40908
    CALCULATE_TYPE = 40909
    FILE_EXPIRED = 40910
    FILE_SPECIFICATION = 40915


class Refusal(Exception):
    """Error for a request that TikTok answers with a code other than 0."""

    def __init__(self, code: Code, message: str, http_status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        # TikTok documents HTTP 200 for everything that reaches its API.
        self.http_status = http_status


def envelope(now: datetime, data: Mapping[str, object], code: int = Code.OK, message: str = "OK") -> dict[str, object]:
    """Return the envelope for the data of an endpoint, or for the code and message of an error."""
    return {"code": int(code), "message": message, "request_id": request_id(now), "data": data}


def request_id(now: datetime) -> str:
    """Return a request id in TikTok's format: 14 digits of time in UTC+8 and 20 upper-case hex digits."""
    return f"{now.astimezone(BEIJING):%Y%m%d%H%M%S}{secrets.token_hex(10).upper()}"
