"""Made-up customers, as untidy as real ones, and the digests expected for their identifiers.

The digests are computed with `hashlib` and `phonenumbers` only and share no code with the target that they test.
Domains and numbers are those reserved for examples and fiction: no row is a person.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import phonenumbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

COUNTRY = "US"
"""Of the phone numbers that are written without a country code."""

_FIRST = (
    "Ada",
    "Amir",
    "Anna",
    "Ben",
    "Chloe",
    "Dilan",
    "Elena",
    "Femi",
    "Grace",
    "Ines",
    "Jan",
    "Maya",
    "Mei",
    "Noor",
)
_LAST = (
    "Berg",
    "Costa",
    "Dubois",
    "Eze",
    "Fischer",
    "Garcia",
    "Ito",
    "Jones",
    "Kaya",
    "Khan",
    "Novak",
    "Park",
    "Rossi",
)
_DOMAIN = ("example.com", "example.net", "example.org", "mail.example.com", "shop.example.net")

_TIDY_EMAIL = ("{user}@{domain}",)
_ODD_EMAIL = (
    "{USER}@{DOMAIN}",
    "{USER}@{domain}",
    "  {user}@{domain}",
    "{user}@{domain}\n",
    "{user} @ {domain}",
    "\N{NO-BREAK SPACE}{user}@{domain}\t",
    "{user}+tiktok@{domain}",
    "{user}..@{domain}",
    "ñandú.{user}@exämple.example",
)
_BAD_EMAIL = (
    "{user}.{domain}",
    "{user}@@{domain}",
    "{user}@",
    "@{domain}",
    "{user}@localhost",
    "n/a",
    "{hash}",
    "{HASH}",
)

_TIDY_PHONE = ("+1{area}555{line}", "+1{area}555{line}", "({area}) 555-{line}", "+3363998{four}", "+447700900{three}")
_ODD_PHONE = (
    "{area}.555.{line}",
    "1 {area} 555 {line}",
    "{area}-555-{line} ext. 42",
    " {area} 555 {line} x7",
    "1-{area}-555-TEAM",
    "011 44 20 7946 0{three}",
    "+44 (0)20 7946 0{three}",
    "tel:+49-30-23125-{three}",
    "\N{FULLWIDTH PLUS SIGN}4930 23125{three}",
    "+33 6 39 98 {four}",
)
_BAD_PHONE = (
    "n/a",
    "unknown",
    "call the shop",
    "12345",
    "+1 {area}",
    "+999 555 {line}",
    "{area}555{line}0000000",
    "{hash}",
)

_MISSING = (None, None, None, "", "   ")


@dataclass(frozen=True)
class Customer:
    """One row of the table."""

    id: int
    name: str
    email: str | None
    phone: str | None
    updated_at: datetime
    deleted_at: datetime | None = None
    """Set if the row is marked as deleted but kept (a soft delete)."""


def customers(ids: Iterable[int], since: datetime, until: datetime, *, edition: int = 0) -> Iterator[Customer]:
    """Yield rows with `updated_at` rising from `since` to `until`; deterministic for the same IDs and edition.

    Nine in ten are tidy or unusual but valid; another edition of a row has a new address and a new number.
    """
    ids = list(ids)
    for place, number in enumerate(ids, start=1):
        # Every 25th customer is the one before, registered a second time and spelt in another way.
        person = 1_000_000 * edition + number - (number % 25 == 0)
        hand = Random(f"{edition} {number}")  # noqa: S311 - a table that can be made again
        first, last = _FIRST[person % len(_FIRST)], _LAST[person * 7 % len(_LAST)]
        user, domain = f"{first}.{last}{person}".lower(), _DOMAIN[person % len(_DOMAIN)]
        digest = hashlib.sha256(user.encode()).hexdigest()
        email = {"user": user, "USER": user.upper(), "domain": domain, "DOMAIN": domain.upper()}
        phone = {"area": 201 + person // 100 % 700, "line": f"01{person % 100:02}"}
        phone |= {"three": f"{person % 1000:03}", "four": f"{person % 10_000:04}"}
        yield Customer(
            id=number,
            name=f"{first} {last}",
            email=_write(hand, (_TIDY_EMAIL, _ODD_EMAIL, _BAD_EMAIL), email | {"hash": digest, "HASH": digest.upper()}),
            phone=_write(hand, (_TIDY_PHONE, _ODD_PHONE, _BAD_PHONE), phone | {"hash": digest}),
            updated_at=since + (until - since) * place / len(ids),
        )


def _write(hand: Random, forms: tuple[tuple[str, ...], ...], parts: Mapping[str, object]) -> str | None:
    form = hand.choice(hand.choices((*forms, _MISSING), weights=(80, 12, 5, 3))[0])
    return form if form is None else form.format_map(parts)


def email_digests(customers: Iterable[Customer]) -> set[str]:
    """Return the digests expected in an email audience of these customers."""
    return set(filter(None, (_judge(row.email, _email) for row in customers if not row.deleted_at)))


def phone_digests(customers: Iterable[Customer]) -> set[str]:
    """Return the digests expected in a phone audience of these customers."""
    return set(filter(None, (_judge(row.phone, _phone) for row in customers if not row.deleted_at)))


def _judge(value: str | None, normal_form: Callable[[str], str | None]) -> str | None:
    if value is None or re.fullmatch(r"\s*[0-9a-fA-F]{64}\s*", value):
        return None
    text = normal_form(value)
    return text and hashlib.sha256(text.encode()).hexdigest()


def _email(value: str) -> str | None:
    address = re.sub(r"\s", "", value).lower()
    return address if re.fullmatch(r"[^@]+@[^@.][^@]*\.[^@.]+", address) else None


def _phone(value: str) -> str | None:
    try:
        number = phonenumbers.parse(value, COUNTRY)
    except phonenumbers.NumberParseException:
        return None
    e164 = phonenumbers.PhoneNumberFormat.E164
    return phonenumbers.format_number(number, e164) if phonenumbers.is_possible_number(number) else None
