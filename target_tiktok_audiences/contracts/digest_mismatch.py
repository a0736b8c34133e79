"""Explain a digest mismatch: try known variants of normalization and hashing."""

from __future__ import annotations

import hashlib
from itertools import product
from typing import TYPE_CHECKING

from target_tiktok_audiences.contracts import sha256
from target_tiktok_audiences.contracts.phone import normalize
from target_tiktok_audiences.contracts.rejection import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Rule = tuple[str, Callable[[str], str]]
    """Description of a variant, empty for this target's own rule, and the function that applies it."""
    Text = tuple[tuple[str, ...], str]
    """Descriptions of the differences, and the resulting text."""


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
    ("whitespace was only trimmed", str.strip),
    ("whitespace was kept", _KEPT),
)
_ENDS: tuple[Rule, ...] = (("", str.strip), ("whitespace was kept", _KEPT))
_CASE: tuple[Rule, ...] = (
    ("", str.lower),
    ("upper and lower case were kept", _KEPT),
    ("letters were converted to upper case", str.upper),
)
_TAGS: tuple[Rule, ...] = (("", _KEPT), ("the +tag before the @ was removed", lambda text: _local(text, _without_tag)))
_DOTS: tuple[Rule, ...] = (
    ("", _KEPT),
    ("dots before the @ were removed", lambda text: _local(text, _without_dots)),
    ("all dots were removed, including those after the @", _without_dots),
)
_DASHES: tuple[Rule, ...] = (("", _KEPT), ("dashes were removed", lambda text: text.replace("-", "")))

_EMAIL = (_SPACES, _CASE, _TAGS, _DOTS)
_DEVICE_ID = (_ENDS, _CASE, _DASHES)
_HASHED = (_ENDS, (("", _KEPT), ("its hex digits were converted to lower case", str.lower), _CASE[2]))

_ALGORITHMS = {
    32: ("md5", "MD5 was used, not SHA-256"),
    40: ("sha1", "SHA-1 was used, not SHA-256"),
    64: ("sha256", ""),
}
"""Algorithm and description by the number of hex digits."""
ALREADY_HASHED = "it was already hashed, and was hashed again"


def is_digest(text: str) -> bool:
    """Return whether a text is a hex digest of a known length (MD5, SHA-1 or SHA-256)."""
    return len(text) in _ALGORITHMS and set(text.lower()) <= set("0123456789abcdef")


def find_difference(contract: str, value: str, digest: str, country: str | None) -> tuple[str, ...] | None:
    """Return the differences that lead from a value to a digest (`is_digest`), as descriptions.

    An empty tuple means no difference, None that no known variant gives the digest. Of several explanations, the
    shortest is returned.
    """
    name, other_algorithm = _ALGORITHMS[len(digest)]
    wanted = bytes.fromhex(digest)
    explanations = [
        (*steps, *hashing, *filter(None, [other_algorithm]))
        for steps, text in _texts(contract, value, country)
        for hashing, result in _hashings(text.encode(errors="surrogatepass"), name)
        if result == wanted
    ]
    return min(explanations, key=len, default=None)


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
        yield tuple(description for description, _ in rules if description), text


def _phones(value: str, country: str | None) -> Iterator[Text]:
    digits = "".join(character for character in value if character in "0123456789")
    if (normal := _e164(value, country)) is not None:
        yield from _spellings(normal, ())
    yield ("the number was not changed",), value
    yield ("the number was only trimmed",), value.strip()
    yield ("all characters except digits were removed",), digits
    yield ("all characters except digits were removed, and a plus sign was added",), f"+{digits}"
    yield ("all characters except digits and all leading zeros were removed",), digits.lstrip("0")
    for region, number in _numbers_of_regions(value):
        if number != normal:
            yield from _spellings(number, (f"the country code of {region} was added",))


def _numbers_of_regions(value: str) -> Iterator[tuple[str, str]]:
    """Yield the number as dialed in each country; of countries that share a calling code, only the main one is used."""
    import phonenumbers  # noqa: PLC0415 - takes 30 ms, and only phone numbers need it

    for _, regions in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()):
        if regions[0] in phonenumbers.SUPPORTED_REGIONS and (number := _e164(value, regions[0])):
            yield regions[0], number


def _e164(value: str, country: str | None) -> str | None:
    try:
        return normalize(value, country)
    except Rejected:
        return None


def _spellings(number: str, steps: tuple[str, ...]) -> Iterator[Text]:
    """Yield the variants of a number in E.164."""
    import phonenumbers  # noqa: PLC0415 - as above

    parsed = phonenumbers.parse(number)
    code, national = str(parsed.country_code), phonenumbers.national_significant_number(parsed)
    yield steps, number
    yield (*steps, "the plus sign was removed"), f"{code}{national}"
    yield (*steps, "the country code and the plus sign were removed"), national
    yield (*steps, "the country code was removed, and a leading zero was kept"), f"0{national}"
    yield (*steps, "the plus sign was replaced with two zeros"), f"00{code}{national}"
    yield (*steps, "a leading zero was kept after the country code"), f"+{code}0{national}"
    yield (
        (*steps, "a leading zero was kept after the country code, and the plus sign was removed"),
        f"{code}0{national}",
    )


def _hashings(text: bytes, name: str) -> Iterator[tuple[tuple[str, ...], bytes]]:
    def digest(content: bytes) -> bytes:
        return hashlib.new(name, content, usedforsecurity=False).digest()

    once = digest(text)
    yield (), once
    yield ("a line break was hashed with it",), digest(text + b"\n")
    yield ("the digest was hashed again, as lower-case hex",), digest(once.hex().encode())
    yield ("the digest was hashed again, as upper-case hex",), digest(once.hex().upper().encode())
    yield ("the digest was hashed again, as bytes",), digest(once)
