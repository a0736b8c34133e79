"""Per-audience locks."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from target_tiktok_audiences.ledger.metadata import LedgerMetadata, _fingerprint
from target_tiktok_audiences.runtime.errors import LedgerBusy

if TYPE_CHECKING:
    from pathlib import Path


class Locks:
    """The locks of one audience: by its name and by its id, for two runs may know it by either."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def take(self, card: LedgerMetadata, audience_id: str | None) -> None:
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
