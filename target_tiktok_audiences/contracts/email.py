"""Normalize email addresses as TikTok matches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.contracts import bulk
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANY = r"[^@\0\x80-\xff]"
_NO_DOT = r"[^.@\0\x80-\xff]"
_ASCII_ADDRESSES = bulk.plain_values_pattern(rf"{_ANY}+@{_NO_DOT}+\.{_ANY}+")
"""There is only one way to match a text, so that no input causes catastrophic backtracking."""


def normalize(value: str, _country: str | None = None) -> str:
    """Remove all whitespace and lower-case the address.

    Dots and +tags are kept: TikTok's newer pages no longer require their removal. There must be exactly one `@`, and
    the domain must have a dot inside; nothing else is checked, so that unusual and international addresses pass.
    """
    address = "".join(value.split()).lower()
    local, at, domain = address.partition("@")
    if not (local and at) or "@" in domain or "." not in domain[1:-1] or not _is_text(address):
        raise Rejected(Rejection.EMAIL_SYNTAX)
    return address


def _is_text(address: str) -> bool:
    """Return whether the address can be encoded as UTF-8; JSON can contain lone surrogates, which cannot."""
    return address.isascii() or not any("\ud800" <= character <= "\udfff" for character in address)


def find_ascii(values: Sequence[object]) -> list[bytes]:
    """Return the normal form of each ASCII address, and b"" for each other value; see `bulk`."""
    return _ASCII_ADDRESSES.findall(bulk.encode("".join(bulk.join(values).split())).lower())
