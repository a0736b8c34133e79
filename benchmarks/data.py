"""Made-up customers as a tap writes them: the same ones for the same numbers, fast, and in little memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

STREAM = "customers"
CHANGED = 100
"""Every so manieth customer has another e-mail address in a changed table."""
LINES = 5_000  # at once; the process that starts others must stay small, for they inherit its peak of memory

_SEED = 2_654_435_761
_FIRST = ("Ada", "Amir", "Chloe", "Dilan", "Elena", "Femi", "Grace", "Ines", "Jan", "Maya", "Mei", "Noor", "Zoe")
_LAST = ("Berg", "Costa", "Dubois", "Eze", "Fischer", "Garcia", "Ito", "Jones", "Kaya", "Khan", "Novak", "Park")
_DOMAINS = ("example.com", "example.net", "example.org", "mail.example.com", "shop.example.net")
_PHONES = (("US", "+1", 10, 2_010_000_000), ("GB", "+447", 9, 0), ("DE", "+4915", 9, 0), ("FR", "+336", 8, 0))
"""Country, what its numbers here begin with, digits after that, and what is added to the customer's number."""
_TIMES = [
    f"2026-{month:02}-{day:02}T{hour:02}:17:42" for month in range(1, 13) for day in (3, 14) for hour in range(24)
]


@dataclass(frozen=True)
class Stream:
    """A file for standard input: SCHEMA, records, STATE."""

    path: Path
    records: int


def write(path: Path, first: int, last: int, *, narrow: bool = False, changed: bool = False) -> Stream:
    """Write the customers `first` to `last`. Every one has an address and a number that no other has."""
    record = _narrow if narrow else _wide
    with path.open("w", encoding="utf-8") as lines:
        lines.write(f"{json.dumps(schema(narrow=narrow))}\n")
        for start in range(first, last + 1, LINES):
            numbers = range(start, min(start + LINES, last + 1))
            lines.write("".join([record(number, changed=changed) for number in numbers]))
        lines.write(f"{json.dumps(_state(last))}\n")
    return Stream(path, last - first + 1)


def rows(first: int, last: int) -> list[dict[str, Any]]:
    """Give the wide records of some customers, for files of rows."""
    return [json.loads(_wide(number, changed=False))["record"] for number in range(first, last + 1)]


def _wide(number: int, *, changed: bool) -> str:
    """Give eight columns, in the spelling of the SDK's taps; one address in twenty is spelt untidily."""
    mixed = number * _SEED & 0xFFFFFFFF
    first, last = _FIRST[mixed % 13], _LAST[mixed // 13 % 12]
    country, prefix, digits, shift = _PHONES[mixed % 4]
    time = _TIMES[mixed % 576]
    return (
        f'{{"type":"RECORD","stream":"{STREAM}","record":{{"id":{number},"email":"{_email(number, mixed, changed)}",'
        f'"phone":"{prefix}{number + shift:0{digits}}","gaid":"{mixed:08x}-{mixed >> 16:04x}-4{mixed & 0xFFF:03x}-9c4d-'
        f'{number:012x}","name":"{first} {last}","country":"{country}","updated_at":"{time}+00:00",'
        f'"subscribed":{"true" if mixed & 64 else "false"}}},"time_extracted":"2026-11-22T13:28:25.123456+00:00"}}\n'
    )


def _narrow(number: int, *, changed: bool) -> str:
    mixed = number * _SEED & 0xFFFFFFFF
    email = _email(number, mixed, changed)
    return f'{{"type":"RECORD","stream":"{STREAM}","record":{{"id":{number},"email":"{email}"}}}}\n'


def _email(number: int, mixed: int, changed: bool) -> str:  # noqa: FBT001
    user = f"{_FIRST[mixed % 13]}.{_LAST[mixed // 13 % 12]}{number}{'.new' if changed and not number % CHANGED else ''}"
    address = f"{user}@{_DOMAINS[mixed % 5]}"
    if mixed % 40:
        return address.lower() if mixed % 20 else address
    return f" {address}"


def schema(*, narrow: bool) -> dict[str, Any]:
    """Give the SCHEMA of wide records, or of those with two columns."""
    text: dict[str, Any] = {"type": ["string", "null"]}
    columns: dict[str, Any] = {"id": {"type": "integer"}, "email": text}
    if not narrow:
        columns |= dict.fromkeys(("phone", "gaid", "name", "country"), text)
        columns["updated_at"] = {"type": ["string", "null"], "format": "date-time"}
        columns["subscribed"] = {"type": ["boolean", "null"]}
    schema = {"type": "object", "properties": columns}
    return {"type": "SCHEMA", "stream": STREAM, "schema": schema, "key_properties": ["id"]}


def _state(last: int) -> dict[str, Any]:
    bookmark = {"replication_key": "id", "replication_key_value": last}
    return {"type": "STATE", "value": {"bookmarks": {STREAM: bookmark}}}
