"""Valid Singer streams, and random changes of them: of their bytes, and of their JSON."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.singer import STREAM, email, record, schema, state
from target_tiktok_audiences.sync.state import KEY

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

PHONE = "+1657555900"
"""Phone numbers of the streams begin so; with a digit more they must be in nothing that a run writes."""
ROW_KEY = "marker/key/"
TEXT = {"type": ["string", "null"]}


@dataclass(frozen=True)
class Corpus:
    """A valid stream, with the settings that it is for."""

    messages: list[dict[str, Any]]
    config: dict[str, Any] = field(default_factory=dict)
    contract: str = "EMAIL_SHA256"


def keyed(number: int, stream: str = STREAM, **values: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": {"id": f"{ROW_KEY}{number}", **values}}


def version(stream: str = STREAM) -> dict[str, Any]:
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": 1}


def ours(name: str) -> dict[str, Any]:
    audience = {"audience_id": None, "origin": None, "ledger": None, "parts": {STREAM: 5}, "desired": 5}
    entry = {"audiences": {f"7000000000000000001/{name}": audience}, "last_replication_method": "FULL_TABLE"}
    return {"type": "STATE", "value": {"bookmarks": {KEY: entry, STREAM: {"v": 1.5}}}}


TITLED = schema()
TITLED["schema"]["title"] = "Customers"
NESTED = schema(
    person={"type": "object", "properties": {"email": TEXT, "tags": {"type": "array", "items": TEXT}}}, id=TEXT
)
BATCH = {"type": "BATCH", "stream": STREAM, "encoding": {"format": "jsonl"}, "manifest": ["file:///etc/passwd"]}

CORPORA = {
    "plain": Corpus(
        [
            state(0),
            schema(),
            version(),
            *(record(n, email=email(n)) for n in range(4)),
            state(1),
            record(4, email=email(4), phone=None),
            record(5, email=None),
            record(6, email="nobody"),
            state(2),
        ]
    ),
    "two streams, keys and deletions": Corpus(
        [
            schema(id=TEXT, phone=TEXT),
            schema("orders", id=TEXT, phone=TEXT),
            *(keyed(n, phone=f"{PHONE}{n}") for n in range(3)),
            keyed(7, "orders", phone=f"{PHONE}7"),
            state(1, "orders"),
            keyed(1, _sdc_deleted_at="2026-01-01T00:00:00Z"),
            keyed(0, phone=f"{PHONE}8"),
            keyed(8, "orders", phone=f"{PHONE}8"),
            state(2),
        ],
        {"load_method": "upsert", "audience_name": "Both"},
        "PHONE_SHA256",
    ),
    "stream maps": Corpus(
        [schema(mail=TEXT, age={"type": "integer"}), *(record(n, mail=email(n), age=n) for n in range(5)), state()],
        {"stream_maps": {STREAM: {"email": "mail", "mail": None, "__filter__": "age < 4"}}},
    ),
    "flattening": Corpus(
        [NESTED, *(keyed(n, person={"email": email(n), "tags": ["a"]}) for n in range(4)), state()],
        {"flattening_enabled": True, "flattening_max_depth": 3, "identifier_field": "person__email"},
    ),
    "validated": Corpus(
        [schema(email=TEXT, n={"type": "number", "minimum": 0}), *(record(n, email=email(n), n=n) for n in range(5))],
        {"validate_records": True, "add_record_metadata": True},
    ),
    "a title, our entry, overwrite": Corpus(
        [ours("Customers"), TITLED, *(record(n, email=email(n)) for n in range(4)), ours("Customers"), state(3)],
        {"load_method": "overwrite", "max_removal_percent": 100},
    ),
    "batches, skipped streams, two feeds": Corpus(
        [
            schema(),
            *(record(n, email=email(n), phone=f"{PHONE}{n}") for n in range(3)),
            schema("others", name=TEXT),
            record(1, "others", name="x"),
            state(),
        ],
        {
            "audiences": [{"audience_name": "A"}, {"audience_name": "B", "contract": "PHONE_SHA256"}],
            "on_unmatched_stream": "skip",
        },
    ),
}

NAMES = [
    *("type", "stream", "record", "schema", "value", "properties", "key_properties", "bookmarks", "title", "$ref"),
    *("anyOf", "email", "phone", "id", "person", "_sdc_deleted_at", "a.b", "", "\ud800", "../../x", "*", KEY),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 5, 2**64, 10**400, 1.5, -0.0, 1e308, float("nan"), float("-inf")),
    *("", " ", "\0", "\ud800", "x\n2026-01-01 ERROR forged", "\x1b[31m", "\u202e", "a" * 5000, "." * 900),
    *("../../etc/passwd", "'; DROP TABLE part; --", "%s%n{0}", "[/markup]", '",\n', "null", "2026-01-01T00:00:00Z"),
    *("RECORD", "SCHEMA", "STATE", STREAM, "orders", "string", "integer", "object", "customers.x", "é@ö.de"),
    *(email(77), f"{PHONE}5", f"{ROW_KEY}1", "0" * 64, [], {}, [[]], [{}], {"": {}}, ["string"], {"type": "string"}),
    *([email(78)], {"email": email(79)}, {"$ref": "#"}, {"$ref": "file:///etc/passwd"}, {"pattern": "("}),
]
DEEP: Any = None
for _ in range(150):
    DEEP = [DEEP]
VALUES.append(DEEP)
LINES = [
    *(b"", b" ", b"\0", b"{}", b"[]", b"null", b'"x"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 2000, b'{"a":' * 2000),
    *(
        b'{"type": "RECORD", "type": "STATE", "value": {}}',
        b'{"type": "STATE", "value": {"x": 1e99999999999999999999}}',
    ),
    b'{"type": "STATE", "value": ' + b"1" * 5000 + b"}",
    b'{"type": "STATE", "value": {"bookmarks": ' + b"[" * 600 + b"]" * 600 + b"}}",
    b'{"type": "RECORD", "stream": "customers", "record": {"id": ' + b"[" * 600 + b"]" * 600 + b"}}",
    b'{"type": "SCHEMA", "stream": "customers", "schema": {"properties": ' + b'{"a":' * 600 + b"1" + b"}" * 601 + b"}",
]

Messages = list[Any]


def _containers(value: Any) -> list[Any]:
    """Give every object and list inside a value, itself first."""
    found, waiting = [], [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, (dict, list)):
            found.append(inner)
            waiting += inner.values() if isinstance(inner, dict) else inner
    return found


def _place(chance: random.Random, messages: Messages) -> Any:
    return chance.choice(_containers(chance.choice(messages)) or [{}])


def _replace(chance: random.Random, messages: Messages) -> None:
    place = _place(chance, messages)
    if place:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        place[key] = copy.deepcopy(chance.choice(VALUES))


def _drop_inside(chance: random.Random, messages: Messages) -> None:
    place = _place(chance, messages)
    if place:
        del place[chance.choice(list(place) if isinstance(place, dict) else range(len(place)))]


def _add_inside(chance: random.Random, messages: Messages) -> None:
    place = _place(chance, messages)
    if isinstance(place, dict):
        place[chance.choice(NAMES)] = copy.deepcopy(chance.choice(VALUES))
    else:
        place.append(copy.deepcopy(chance.choice(VALUES)))


def _rename(chance: random.Random, messages: Messages) -> None:
    place = _place(chance, messages)
    if place and isinstance(place, dict):
        place[chance.choice(NAMES)] = place.pop(chance.choice(list(place)))


def _swap(chance: random.Random, messages: Messages) -> None:
    one, other = (chance.randrange(len(messages)) for _ in range(2))
    messages[one], messages[other] = messages[other], messages[one]


def _repeat(chance: random.Random, messages: Messages) -> None:
    messages.insert(chance.randrange(len(messages)), copy.deepcopy(chance.choice(messages)))


def _drop(chance: random.Random, messages: Messages) -> None:
    if len(messages) > 1:
        del messages[chance.randrange(len(messages))]


def _shuffle(chance: random.Random, messages: Messages) -> None:
    chance.shuffle(messages)


def _truncate(chance: random.Random, messages: Messages) -> None:
    del messages[chance.randrange(1, len(messages) + 1) :]


def _take_from_another(chance: random.Random, messages: Messages) -> None:
    other = chance.choice(list(CORPORA.values())).messages
    messages.insert(chance.randrange(len(messages)), copy.deepcopy(chance.choice([*other, BATCH])))


OF_JSON: list[Callable[[random.Random, Messages], None]] = [
    *[_replace] * 6,
    *[_add_inside] * 3,
    *[_rename, _drop_inside] * 2,
    *(_swap, _repeat, _drop, _shuffle, _truncate, _take_from_another),
]


def _flip(chance: random.Random, data: bytearray) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _insert(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data))
    data[at:at] = chance.choice([b"\0", b"\n", b"\r", b"\\", b'"', b"{", b"]", b",", b"\xff", chance.randbytes(4)])


def _delete(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.choice([1, 2, 5, 50])]


def _duplicate(chance: random.Random, data: bytearray) -> None:
    at, to = (chance.randrange(len(data)) for _ in range(2))
    data[to:to] = data[at : at + chance.choice([1, 10, 100])]


def _end(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(1, len(data) + 1) :]


def _insert_line(chance: random.Random, data: bytearray) -> None:
    at = data.find(b"\n", chance.randrange(len(data))) + 1
    data[at:at] = chance.choice(LINES) + b"\n"


OF_BYTES: list[Callable[[random.Random, bytearray], None]] = [
    *(_flip, _insert, _delete, _duplicate, _end, _insert_line)
]


def mutate(chance: random.Random, corpus: Corpus) -> bytes:
    """Change a stream in some ways: most often its JSON, else its bytes, sometimes both."""
    messages = copy.deepcopy(corpus.messages)
    kind = chance.random()
    if kind < 0.75:
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            chance.choice(OF_JSON)(chance, messages)
    data = bytearray("".join(f"{json.dumps(m)}\n" for m in messages), "ascii")
    if kind > 0.65:
        for _ in range(chance.choice([1, 1, 2])):
            if data:
                chance.choice(OF_BYTES)(chance, data)
    return bytes(data)
