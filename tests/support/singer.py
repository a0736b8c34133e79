"""Singer messages for tests."""

from __future__ import annotations

import hashlib
from typing import Any

from support.target import MARKER

STREAM = "customers"


def schema(stream: str = STREAM, **columns: Any) -> dict[str, Any]:
    """Give a SCHEMA with a key, an e-mail address and a phone number, unless columns are named."""
    text = {"type": ["string", "null"]}
    properties = {"id": {"type": "integer"}, **(columns or {"email": text, "phone": text})}
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties},
        "key_properties": ["id"],
    }


def record(number: int, stream: str = STREAM, **values: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": {"id": number, **values}}


def email(number: int) -> str:
    return f"{MARKER}{number}@example.com"


def people(first: int, last: int, stream: str = STREAM) -> list[dict[str, Any]]:
    """Give records of distinct people, of whom each has an e-mail address."""
    return [record(number, stream, email=email(number)) for number in range(first, last + 1)]


def digests(first: int, last: int) -> list[str]:
    """Give what an audience of those people holds, sorted."""
    return sorted(hashlib.sha256(email(number).encode()).hexdigest() for number in range(first, last + 1))


def state(bookmark: Any = 1, stream: str = STREAM) -> dict[str, Any]:
    bookmarks = {stream: {"replication_key": "id", "replication_key_value": bookmark}}
    return {"type": "STATE", "value": {"bookmarks": bookmarks}}


def stream_of(first: int, last: int, name: str = STREAM) -> list[dict[str, Any]]:
    """Give a whole stream: SCHEMA, people, STATE."""
    return [schema(name), *people(first, last, name), state(last, name)]
