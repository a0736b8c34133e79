"""Evidence for the checks of a diagnosis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from target_tiktok_audiences.cli.diagnosis.model import Access, Evidence
from target_tiktok_audiences.ledger.delivered import Counts
from target_tiktok_audiences.ledger.metadata import LedgerMetadata
from target_tiktok_audiences.ledger.schema import LedgerState as LedgerFacts
from target_tiktok_audiences.ledger.snapshot import LedgerSnapshot
from target_tiktok_audiences.ledger.staging import Binding
from target_tiktok_audiences.sync.overview import Entry
from target_tiktok_audiences.tiktok.models import Advertiser, Audience

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


LONG_AGO, LATELY = NOW - timedelta(days=30), NOW - timedelta(hours=3)


BOOKS = {"read": 100, "deleted": 0, "missing": 0, "rejected": {}}


def listed(**fields: Any) -> Audience:
    given = {
        "name": "Customers",
        "audience_type": "Customer File Audience",
        "calculate_type": "EMAIL_SHA256",
        "cover_num": 5000,
        "is_valid": True,
        "is_creator": True,
        "create_time": "2026-01-01 00:00:00",
        "expired_time": "2027-10-01 00:00:00",
    }
    return Audience("17", **{**given, **fields})


def run(**fields: Any) -> tuple[datetime, dict[str, Any]]:
    return LATELY, {"outcome": "ok", "plan": "APPEND", "message": "", "books": [BOOKS], **fields}


def look(seen_at: datetime = LATELY, **fields: Any) -> LedgerSnapshot:
    ledger = {name: fields.pop(name) for name in ("held_since", "failures", "error", "changed_at") if name in fields}
    given = {
        "card": LedgerMetadata("host", "1", "EMAIL_SHA256", "Customers", "17"),
        "facts": LedgerFacts("x", audience_id="17", **{"changed_at": LONG_AGO, **ledger}),
        "counts": Counts(100, 100, 0, adds=0, removals=0),
        "parts": [(Binding("People", "email", True, None, "upsert"), 100, seen_at)],  # noqa: FBT003
        "runs": [run()],
    }
    return LedgerSnapshot(**{**given, **fields})


def facts(**fields: Any) -> Evidence:
    given: dict[str, Any] = {
        "api_host": "business-api.tiktok.com",
        "now": NOW,
        "stale_after": timedelta(days=7),
        "ahead": timedelta(seconds=1),
        "granted": {"1", "2"},
        "ledger_path": "ledgers",
        "accesses": [Access("1", Advertiser("1", "Shop", "STATUS_ENABLE"))],
        "entries": [Entry("1", listed(), look())],
    }
    return Evidence(**{**given, **fields})
