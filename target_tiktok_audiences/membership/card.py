"""Whose a ledger is, so that it is found without being opened; and the locks that let one run at a time have it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from typing import TYPE_CHECKING

import msgspec

from target_tiktok_audiences.membership.problem import LedgerBusy

if TYPE_CHECKING:
    from pathlib import Path


class Card(msgspec.Struct):
    """Whose a ledger is."""

    api_host: str
    advertiser_id: str
    contract: str
    name: str
    """The audience's name, as the feeds had it last."""
    audience_id: str | None = None
    pinned: bool = False
    """Whether `audience_id` was set by the user."""
    streams: tuple[str, ...] = ()
    load_method: str = ""
    retention_in_days: int | None = None
    owed: bool = False
    """Whether something waits to be sent."""
    erasures: int = 0
    """How many of those who were erased the ledger has taken over."""

    def is_of(self, other: Card) -> bool:
        """Tell whether two cards are of one audience: by its id where both know it, else by its name."""
        if (self.api_host, self.advertiser_id, self.contract) != (other.api_host, other.advertiser_id, other.contract):
            return False
        if self.audience_id and other.audience_id:
            return self.audience_id == other.audience_id
        return self.name == other.name

    @property
    def stem(self) -> str:
        """Give what a new ledger's files are called, without an ending."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")[:40]
        return f"{self.advertiser_id}-{words}-{_fingerprint(self, self.audience_id)}"


class Locks:
    """The locks of one audience: by its name and by its id, for two runs may know it by either."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def take(self, card: Card, audience_id: str | None) -> None:
        """Lock the audience's name, and its id where that is known. Raises `LedgerBusy`."""
        for fingerprint in {_fingerprint(card, None), _fingerprint(card, audience_id)}:
            if self._folder is None or fingerprint in self._held:
                continue
            descriptor = os.open(self._folder / f".{fingerprint}.lock", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise LedgerBusy(
                    f'Audience "{card.name}" of advertiser {card.advertiser_id} is being filled already: by another run'
                    " (run again when it has ended), or by a feed of this one under its id (set `audience_id` in both)."
                ) from None
            self._held[fingerprint] = descriptor

    def release(self) -> None:
        """Let others in."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()


def _fingerprint(card: Card, audience_id: str | None) -> str:
    what = ["id", audience_id] if audience_id else ["name", card.name]
    identity = "\0".join([card.api_host, card.advertiser_id, card.contract, *what])
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:12]
