"""Read the parameters of a request, and refuse missing parameters and wrong types.

The code 40002 and the text for a missing parameter are documented; the other texts are the emulator's choice.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from target_tiktok_audiences.emulator.responses import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Fields = Mapping[str, object]

Choice = TypeVar("Choice", bound=Enum)


def require(fields: Fields, *names: str) -> None:
    """Raise `Refusal` with the names of all missing fields, if there are any."""
    missing = [name for name in names if fields.get(name) is None]
    if missing:
        raise Refusal(Code.BAD_PARAMETER, f"Missing required field(s): {', '.join(missing)}.")


def decode_query(query: Fields, *, lists: Sequence[str] = (), numbers: Sequence[str] = ()) -> Fields:
    """Return the parameters of a GET with the types of a JSON body. A list is sent as one JSON-encoded string."""
    fields = dict(query)
    for name in lists:
        if name in query:
            try:
                fields[name] = json.loads(str(query[name]))
            except (ValueError, RecursionError):
                raise _wrong(name, "must be one JSON-encoded array") from None
    for name in numbers:
        if name in query:
            try:
                fields[name] = int(str(query[name]))
            except ValueError:
                raise _wrong(name, "must be an integer") from None
    return fields


def text(fields: Fields, name: str, longest: int | None = None) -> str:
    """Return a string that is not empty; ids are strings, too."""
    value = fields[name]
    if not isinstance(value, str):
        raise _wrong(name, "must be a string")
    if not value or (longest is not None and len(value) > longest):
        raise _wrong(name, f"must have 1 to {longest} characters" if longest else "must not be empty")
    return value


def texts(fields: Fields, name: str, most: int, too_many: Code = Code.BAD_PARAMETER) -> list[str]:
    """Return an array of at least one string."""
    values = fields[name]
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise _wrong(name, "must be an array of strings")
    if not values:
        raise _wrong(name, "must not be empty")
    if len(values) > most:
        raise _wrong(name, f"must have at most {most} items", too_many)
    return values


def ids(fields: Fields, name: str) -> list[str]:
    """Return up to 100 ids. More are refused; the code for too many ids is a guess."""
    return texts(fields, name, 100, Code.TOO_MANY_IDS)


def whole(fields: Fields, name: str, least: int, most: int) -> int | None:
    """Return an integer within bounds, or None if it is missing."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "must be an integer")
    if not least <= value <= most:
        raise _wrong(name, f"must be from {least} to {most}")
    return value


def boolean(fields: Fields, name: str) -> bool | None:
    """Return a boolean, or None if it is missing."""
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong(name, "must be a boolean")
    return value


def choice(fields: Fields, name: str, choices: type[Choice]) -> Choice | None:
    """Return a member of an enum, or None if it is missing."""
    value = fields.get(name)
    if value is None:
        return None
    try:
        return choices(value)
    except ValueError:
        raise _wrong(name, f"must be one of {', '.join(str(member.value) for member in choices)}") from None


def _wrong(name: str, why: str, code: Code = Code.BAD_PARAMETER) -> Refusal:
    return Refusal(code, f"{name}: {why}.")
