"""Ledger metadata: find a ledger without opening its database."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from target_tiktok_audiences.runtime.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path


class LedgerMetadata(msgspec.Struct):
    """Which audience a ledger belongs to, and whether it has pending changes."""

    api_host: str
    advertiser_id: str
    contract: str
    name: str
    """The audience's name, as the feeds last set it."""
    audience_id: str | None = None
    pinned: bool = False
    """Whether `audience_id` was set by the user."""
    streams: tuple[str, ...] = ()
    load_method: str = ""
    retention_in_days: int | None = None
    owed: bool = False
    """Whether there may be pending changes."""
    erasures: int = 0
    """Number of erasures that the ledger has applied."""

    def is_of(self, other: LedgerMetadata) -> bool:
        """Return whether both belong to one audience: compare the ids if both have one, else the names."""
        if (self.api_host, self.advertiser_id, self.contract) != (other.api_host, other.advertiser_id, other.contract):
            return False
        if self.audience_id and other.audience_id:
            return self.audience_id == other.audience_id
        return self.name == other.name

    @property
    def stem(self) -> str:
        """The name of a new ledger's files, without a suffix."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")[:40]
        return f"{self.advertiser_id}-{words}-{fingerprint(self, self.audience_id)}"


def fingerprint(metadata: LedgerMetadata, audience_id: str | None) -> str:
    """Return 12 hex digits that identify an audience by its id, or by its name if `audience_id` is None."""
    key = ["id", audience_id] if audience_id else ["name", metadata.name]
    identity = "\0".join([metadata.api_host, metadata.advertiser_id, metadata.contract, *key])
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def write_metadata(path: Path, metadata: LedgerMetadata) -> None:
    """Write the metadata file of a ledger."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(metadata)))
