"""Input and output types of endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_tiktok_audiences.emulator.parameters import text

if TYPE_CHECKING:
    from target_tiktok_audiences.emulator.accounts import Advertiser, Grant
    from target_tiktok_audiences.emulator.emulator import Emulator
    from target_tiktok_audiences.emulator.parameters import Fields

    Data = dict[str, object]


@dataclass(frozen=True)
class Call:
    """An accepted request, with the fields of its query, form or JSON body."""

    grant: Grant
    fields: Fields
    fail_later: str | None = None
    """Message with which the requested change fails when it is processed."""

    def advertiser(self, emulator: Emulator) -> Advertiser:
        """Return the advertiser of the request, or raise `Refusal`."""
        return emulator.accounts.advertiser(self.grant, text(self.fields, "advertiser_id"))
