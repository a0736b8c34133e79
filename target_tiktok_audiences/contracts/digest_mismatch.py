"""How somebody else may have made a digest of the same identifier: what their normalisation does differently."""

from __future__ import annotations

import hashlib
from itertools import product
from typing import TYPE_CHECKING

from target_tiktok_audiences.contracts import sha256
from target_tiktok_audiences.contracts.phone import normalize
from target_tiktok_audiences.contracts.rejection import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


if TYPE_CHECKING:
    Rule = tuple[str, Callable[[str], str]]
    """What it does, in words, and how; without words it is what this target does."""
    Text = tuple[tuple[str, ...], str]
    """What was done differently, and what comes out."""


def _local(text: str, change: Callable[[str], str]) -> str:
    local, at, domain = text.partition("@")
    return change(local) + at + domain


def _without_tag(local: str) -> str:
    return local.partition("+")[0]


def _without_dots(text: str) -> str:
    return text.replace(".", "")


_KEPT: Callable[[str], str] = str
_SPACES: tuple[Rule, ...] = (
    ("", lambda text: "".join(text.split())),
    ("white space was only trimmed", str.strip),
    ("white space was kept", _KEPT),
)
_ENDS: tuple[Rule, ...] = (("", str.strip), ("white space was kept", _KEPT))
_CASE: tuple[Rule, ...] = (
    ("", str.lower),
    ("upper and lower case were kept", _KEPT),
    ("letters were made upper case", str.upper),
)
_TAGS: tuple[Rule, ...] = (("", _KEPT), ("the +tag before the @ was dropped", lambda text: _local(text, _without_tag)))
_DOTS: tuple[Rule, ...] = (
    ("", _KEPT),
    ("dots before the @ were removed", lambda text: _local(text, _without_dots)),
    ("all dots were removed, those after the @ too", _without_dots),
)
_DASHES: tuple[Rule, ...] = (("", _KEPT), ("dashes were removed", lambda text: text.replace("-", "")))

_EMAIL = (_SPACES, _CASE, _TAGS, _DOTS)
_DEVICE_ID = (_ENDS, _CASE, _DASHES)
_HASHED = (_ENDS, (("", _KEPT), ("its hex digits were made lower case", str.lower), _CASE[2]))

_ALGORITHMS = {
    32: ("md5", "MD5 was used, not SHA-256"),
    40: ("sha1", "SHA-1 was used, not SHA-256"),
    64: ("sha256", ""),
}
"""By the number of hex digits."""
ALREADY_HASHED = "it was hashed already, and was hashed once more"


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest in hex, of an algorithm that people use for this."""
    return len(text) in _ALGORITHMS and set(text.lower()) <= set("0123456789abcdef")


def find_difference(contract: str, value: str, digest: str, country: str | None) -> tuple[str, ...] | None:
    """Give what was done differently where a digest (`is_digest`) was made of a value; () is nothing, None not found.

    Of several explanations it is the shortest.
    """
    name, other_algorithm = _ALGORITHMS[len(digest)]
    wanted = bytes.fromhex(digest)
    ways = [
        (*steps, *told, *filter(None, [other_algorithm]))
        for steps, text in _texts(contract, value, country)
        for told, found in _hashings(text.encode(errors="surrogatepass"), name)
        if found == wanted
    ]
    return min(ways, key=len, default=None)


def _texts(contract: str, value: str, country: str | None) -> Iterator[Text]:
    if sha256.looks_hashed(value):
        for steps, text in _combinations(value, _HASHED):
            yield (ALREADY_HASHED, *steps), text
    elif contract == "EMAIL_SHA256":
        yield from _combinations(value, _EMAIL)
    elif contract == "PHONE_SHA256":
        yield from _phones(value, country)
    else:
        yield from _combinations(value, _DEVICE_ID)


def _combinations(value: str, dimensions: Sequence[Sequence[Rule]]) -> Iterator[Text]:
    for rules in product(*dimensions):
        text = value
        for _, apply in rules:
            text = apply(text)
        yield tuple(words for words, _ in rules if words), text


def _phones(value: str, country: str | None) -> Iterator[Text]:
    digits = "".join(character for character in value if character in "0123456789")
    if (ours := _e164(value, country)) is not None:
        yield from _spellings(ours, ())
    yield ("the number was taken exactly as it is written",), value
    yield ("the number was only trimmed",), value.strip()
    yield ("all but its digits was removed, and nothing else was done",), digits
    yield ("all but its digits was removed, and a plus sign put before them",), f"+{digits}"
    yield ("all but its digits was removed, and leading zeros dropped",), digits.lstrip("0")
    for region, number in _numbers_of_regions(value):
        if number != ours:
            yield from _spellings(number, (f"the country code of {region} was added",))


def _numbers_of_regions(value: str) -> Iterator[tuple[str, str]]:
    """Read a number as if it were dialled in each country; of those that share a calling code, in the main one."""
    import phonenumbers  # noqa: PLC0415 - 30 ms that only phones need to pay

    for _, regions in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()):
        if regions[0] in phonenumbers.SUPPORTED_REGIONS and (number := _e164(value, regions[0])):
            yield regions[0], number


def _e164(value: str, country: str | None) -> str | None:
    try:
        return normalize(value, country)
    except Rejected:
        return None


def _spellings(number: str, steps: tuple[str, ...]) -> Iterator[Text]:
    """Give the ways to write one number, from E.164."""
    import phonenumbers  # noqa: PLC0415 - as above

    parsed = phonenumbers.parse(number)
    code, national = str(parsed.country_code), phonenumbers.national_significant_number(parsed)
    yield steps, number
    yield (*steps, "the plus sign was dropped"), f"{code}{national}"
    yield (*steps, "the country code was dropped, and the plus sign with it"), national
    yield (*steps, "the country code was dropped, and a leading zero kept"), f"0{national}"
    yield (*steps, "two zeros stand for the plus sign"), f"00{code}{national}"
    yield (*steps, "a leading zero was kept after the country code"), f"+{code}0{national}"
    yield (*steps, "a leading zero was kept after the country code, and the plus sign dropped"), f"{code}0{national}"


def _hashings(text: bytes, name: str) -> Iterator[tuple[tuple[str, ...], bytes]]:
    def digest(content: bytes) -> bytes:
        return hashlib.new(name, content, usedforsecurity=False).digest()

    once = digest(text)
    yield (), once
    yield ("a line end was hashed with it",), digest(text + b"\n")
    yield ("the digest was hashed once more, as lower-case hex",), digest(once.hex().encode())
    yield ("the digest was hashed once more, as upper-case hex",), digest(once.hex().upper().encode())
    yield ("the digest was hashed once more, as bytes",), digest(once)
