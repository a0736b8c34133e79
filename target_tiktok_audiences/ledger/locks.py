"""Locks that let only one run at a time use an audience's ledger."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from target_tiktok_audiences.ledger.metadata import LedgerMetadata, fingerprint
from target_tiktok_audiences.runtime.errors import LedgerBusy

if TYPE_CHECKING:
    from pathlib import Path


class Locks:
    """The locks of one audience, on its name and on its id, because two runs may use either."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._descriptors: dict[str, int] = {}

    def take(self, metadata: LedgerMetadata, audience_id: str | None) -> None:
        """Lock the audience's name, and its id if that is known. Raises `LedgerBusy`."""
        for key in {fingerprint(metadata, None), fingerprint(metadata, audience_id)}:
            if self._folder is None or key in self._descriptors:
                continue
            descriptor = os.open(self._folder / f".{key}.lock", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise LedgerBusy(
                    f'Audience "{metadata.name}" of advertiser {metadata.advertiser_id} is being filled already: by'
                    " another run (run again when it has ended), or by a feed of this one under its id (set"
                    " `audience_id` in both)."
                ) from None
            self._descriptors[key] = descriptor

    def release(self) -> None:
        """Release all locks."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()
