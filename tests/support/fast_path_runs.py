"""Runs on the fast path and through the SDK, to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.emulator_client import ADVERTISER, NOWHERE, TOKEN
from target_tiktok_audiences.target import TargetTikTokAudiences, _last_words

if TYPE_CHECKING:
    import io
    from pathlib import Path


def outcome(config: dict[str, Any], data: io.BytesIO, folder: Path) -> dict[str, Any]:
    """Give all that reading an input comes to."""
    rejects = folder / "rejects.jsonl"
    settings = {
        "access_token": TOKEN,
        "api_url": NOWHERE,
        "advertiser_id": ADVERTISER,
        "contract": "EMAIL_SHA256",
        "rejects_path": str(rejects),
        "rejects_key": True,
        **config,
        "ledger_path": "unused",
        "dry_run": True,
    }
    told, counts = "", {}
    with TargetTikTokAudiences(config=settings) as target:
        try:
            counts = dict(target.process_lines(data))  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            told = _last_words(error)
        run, staged = target.run, {}
        for (stream, feed), part in run._parts.items():  # noqa: SLF001
            part.close()
            staged[f"{stream} {feed.contract.name} {feed.audience_name}"] = part.path.read_text().splitlines()
        books = [each.as_dict() for audience in run.report.audiences for each in audience.books]
        unmatched = [each.as_dict() for each in run.report.unmatched]
        latest = target._latest_state  # noqa: SLF001
        sinks = target._sinks_active.items()  # noqa: SLF001
        tallies = {name: (sink._total_records_read, sink._total_records_written) for name, sink in sinks}  # noqa: SLF001
    return {
        "told": told,
        "counts": counts,
        "staged": staged,
        "books": books,
        "unmatched": unmatched,
        "rejects": rejects.read_text(),
        "tallies": tallies,
        "bookmarks": run._bookmarks,  # noqa: SLF001
        "state": str(latest),
    }
