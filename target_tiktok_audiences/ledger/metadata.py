"""Ledger metadata (lookup without opening the database)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from target_tiktok_audiences.runtime.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path


class LedgerMetadata(msgspec.Struct):
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

    def is_of(self, other: LedgerMetadata) -> bool:
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


def _fingerprint(card: LedgerMetadata, audience_id: str | None) -> str:
    what = ["id", audience_id] if audience_id else ["name", card.name]
    identity = "\0".join([card.api_host, card.advertiser_id, card.contract, *what])
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def write_metadata(path: Path, card: LedgerMetadata) -> None:
    """Write the card that lies beside a ledger."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(card)))
