"""E-mail addresses, as TikTok matches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.contracts import bulk
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence


_ANY = r"[^@\0\x80-\xff]"
_NO_DOT = r"[^.@\0\x80-\xff]"
_ASCII_ADDRESSES = bulk.plain_values_pattern(rf"{_ANY}+@{_NO_DOT}+\.{_ANY}+")
"""With one way only to match, so that no text however odd takes long."""


def normalize(value: str) -> str:
    """Remove all white space and lower-case.

    Dots and +tags stay: TikTok's newer pages no longer ask to strip them. What follows the one `@` must have a
    dot inside; more is not checked, so that unusual and international addresses pass.
    """
    address = "".join(value.split()).lower()
    local, at, domain = address.partition("@")
    if not (local and at) or "@" in domain or "." not in domain[1:-1] or not _is_text(address):
        raise Rejected(Rejection.EMAIL_SYNTAX)
    return address


def _is_text(address: str) -> bool:
    """Tell whether the address can be written as UTF-8; JSON may carry lone surrogates, which cannot."""
    return address.isascii() or not any("\ud800" <= character <= "\udfff" for character in address)


def find_ascii(values: Sequence[object]) -> list[bytes]:
    """Give the normal form of each address in ASCII, b"" for each other value, as `block` has it."""
    return _ASCII_ADDRESSES.findall(bulk.encode("".join(bulk.join(values).split())).lower())
