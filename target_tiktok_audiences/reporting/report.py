"""What happened: a log line for each audience, a JSON file, the rejects. Never an identifier."""

from __future__ import annotations

import errno
import json
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.ledger.database import describe
from target_tiktok_audiences.ledger.record_counts import RecordCounts, total
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

FIGURES = ("desired", "delivered", "added", "removed", "waiting", "in_flight", "files", "bytes", "calls")


@dataclass
class AudienceReport:
    """One audience's run."""

    audience: str
    advertiser_id: str
    contract: str
    load_method: str
    audience_id: str | None = None
    origin: str | None = None
    """`set` by `audience_id`, `created` by us, or `found` by its name."""
    plan: str | None = None
    """What the run set out to do; None where it did not come that far."""
    reason: str = ""
    outcome: str = "failed"
    """`ok`, `planned` (a dry run), `held` or `failed`."""
    message: str = ""
    warning: str = ""
    books: list[RecordCounts] = field(default_factory=list)
    desired: int = 0
    """People who should be in it, of all streams."""
    delivered_before: int = 0
    """People whom TikTok had been given before this run, as far as the ledger knows."""
    delivered: int = 0
    added: int = 0
    removed: int = 0
    sent: int = 0
    """Lines of the call that TikTok accepted."""
    waiting: int = 0
    """People who are still to be added or removed."""
    held_since: str | None = None
    in_flight: int = 0
    """Changes that TikTok has accepted and may still fail."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Each stream's people in the ledger, and when it last came."""
    files: int = 0
    bytes: int = 0
    calls: int = 0
    request_ids: list[str] = field(default_factory=list)
    cover_num: int | None = None
    """People that TikTok matched; 0 while it processes."""
    status: str | None = None
    expires_at: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    """Time of each stage."""

    @property
    def title(self) -> str:
        """The audience as a user would name it."""
        identity = f"{self.audience_id}, " if self.audience_id else ""
        return f'Audience "{self.audience}" ({identity}advertiser {self.advertiser_id})'

    def warn(self, text: str) -> None:
        """Add a warning."""
        self.warning = f"{self.warning} {text}".lstrip()

    def log(self) -> None:
        """Write the audience's one line."""
        level = {"failed": logging.ERROR, "held": logging.WARNING}.get(self.outcome, logging.INFO)
        records = total(self.books)
        figures = {
            "outcome": self.outcome,
            "plan": self.plan,
            **{name: count for name, count in records.as_dict().items() if isinstance(count, int)},
            "rejected": sum(records.rejected.values()),
            **records.rejected,
            **{name: getattr(self, name) for name in FIGURES},
            "request_ids": ",".join(self.request_ids) or "none",
        }
        line = " ".join(f"{name}={value}" for name, value in figures.items())
        log.log(level, "%s: %s", self.title, " ".join(filter(None, [f"{line}.", self.message, self.warning])))

    def as_dict(self) -> dict[str, Any]:
        """Give the audience's part of the JSON report."""
        return {**vars(self), "books": [books.as_dict() for books in self.books]}


@dataclass
class RunReport:
    """The whole run."""

    version: str
    started_at: str
    dry_run: bool
    outcome: str = "failed"
    """`ok`, `held` or `failed`, the worst of its audiences."""
    exit_code: int = 1
    state_published: bool = False
    seconds: float = 0.0
    message: str = ""
    audiences: list[AudienceReport] = field(default_factory=list)
    unmatched: list[RecordCounts] = field(default_factory=list)
    """Streams that were skipped."""

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON report: `run`, `audiences` and `unmatched`."""
        run = {name: value for name, value in vars(self).items() if name not in {"audiences", "unmatched"}}
        return {
            "run": run,
            "audiences": [audience.as_dict() for audience in self.audiences],
            "unmatched": [books.as_dict() for books in self.unmatched],
        }

    def save(self, path: Path) -> None:
        """Write the JSON report; an older one of that name is replaced whole. Raises `ReportNotWritten`."""
        text = json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n"
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            write_atomic(path, text.encode("utf-8", errors="backslashreplace"))
        except OSError as error:
            error.filename = str(path)
            raise ReportNotWritten(f"`report_path` cannot be written. {describe(error)}") from None


class ReportNotWritten(UserError):
    """The file of the JSON report cannot be written."""
