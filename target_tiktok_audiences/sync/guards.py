"""Safety checks before a commit: removal limit, changed stream settings, incomplete tables. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tiktok_audiences.runtime.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from target_tiktok_audiences.ledger.desired import PartChange
    from target_tiktok_audiences.ledger.ledger import Revision
    from target_tiktok_audiences.ledger.staging import Binding

NO_LIMIT = 100
GOES_ON = ("replication_key_value", "lsn", "xmin", "last_pk_fetched", "log_file", "gtid")
"""Keys of a bookmark while a tap sends only part of its table."""
_OVERRIDE = (
    "If that is intended, run once with `max_removal_percent: 100` (TARGET_TIKTOK_AUDIENCES_MAX_REMOVAL_PERCENT=100"
    " meltano run ...)."
)


class RemovalLimitExceeded(UserError):
    """The removal limit is exceeded: nothing was committed and nothing sent."""


class TableIncomplete(UserError):
    """A stream sends less of its table than its load method needs."""


class BindingChanged(UserError):
    """The settings of a stream differ from those that its part was made with."""


def check_removal_limit(revision: Revision, limit: int, reference: Mapping[str, int] | None, *, replaces: bool) -> None:
    """Raise `RemovalLimitExceeded` if more than `limit` percent of a part, or of all members, would be removed.

    A crashed tap cannot be told from a finished one, so this is the most that a truncated stream can remove. Without a
    ledger to compare with, `reference` holds the counts from STATE, by stream and in total (""); without those, an
    audience whose members would be replaced (`replaces`) needs the override.
    """
    shrinking = [part for part in revision.parts if part.load_method != "append-only"]
    if limit >= NO_LIMIT or (revision.parts and not shrinking):
        return
    compared = False
    for change in (*shrinking, revision.total):
        name = "" if change is revision.total else change.stream
        before = change.before if change.before is not None else (reference or {}).get(name)
        if before is None:
            continue
        compared = True
        gone = change.gone if change.before is not None else max(before - change.after, 0)
        if before and change.load_method == "overwrite" and change.after == 0:
            raise RemovalLimitExceeded(
                f"Stream {change.stream} is empty but previously had {before:,} members. Nothing was sent. {_OVERRIDE}"
            )
        if gone * 100 > before * limit:
            raise RemovalLimitExceeded(
                f"{gone:,} of {before:,} members of {_named(change, revision)} would be removed, more than the {limit}"
                f" % of `max_removal_percent`. Nothing was sent. Check whether the stream was cut short. {_OVERRIDE}"
            )
    if replaces and not compared:
        raise RemovalLimitExceeded(
            f"All members would be replaced by {revision.total.after:,} others, and there is neither a ledger nor a"
            f" STATE to compare with. Nothing was sent. {_OVERRIDE}"
        )


def _named(change: PartChange, revision: Revision) -> str:
    return "all streams" if change is revision.total else f'stream "{change.stream}"'


def check_binding(bound: Sequence[Binding], wanted: Binding, fields: set[str]) -> None:
    """Raise `BindingChanged` if a stream's settings differ from those that its part was made with.

    `fields` are all columns that the stream feeds the audience from. An `overwrite` replaces the part, so it may change
    any setting; its rows have keys, so that any load method can continue from it.
    """
    if wanted.load_method == "overwrite":
        return
    ours = [binding for binding in bound if binding.stream == wanted.stream]
    same = next((binding for binding in ours if binding.field == wanted.field), None)
    if same is None:
        gone = sorted({binding.field for binding in ours} - fields)
        changes = [f"`identifier_field` from {gone[0]} to {wanted.field}"] if gone else []
    else:
        changes = [
            f"`{setting}` from {getattr(same, setting)} to {getattr(wanted, setting)}"
            for setting in ("apply_hashing", "default_country")
            if getattr(same, setting) != getattr(wanted, setting)
        ]
        if same.load_method not in {wanted.load_method, "overwrite"}:
            changes.append(f"`load_method` from {same.load_method} to {wanted.load_method}")
        elif wanted.load_method == "upsert" and same.keys != wanted.keys:
            changes.append(f"the key from {', '.join(same.keys) or 'none'} to {', '.join(wanted.keys)}")
    if changes:
        raise BindingChanged(
            f"Stream {wanted.stream} has changed {' and '.join(changes)}: its existing members could not be"
            " distinguished from new ones. Revert the setting; or rebuild: run once with `load_method: overwrite` and"
            " the whole table (`--full-refresh`), then continue with any load method."
        )


def check_bookmark(stream: str, load_method: str, bookmark: Mapping[str, object], known: Collection[str]) -> None:
    """Raise `TableIncomplete` if a stream continues from a bookmark but its load method needs the whole table.

    `bookmark` is the stream's bookmark in STATE before its first record, `known` the streams in the ledger.
    """
    mark = None if _begins(bookmark) else next((name for name in GOES_ON if bookmark.get(name) is not None), None)
    if mark and load_method == "overwrite":
        raise TableIncomplete(
            f"Stream {stream} continues from a bookmark ({mark}), but `load_method: overwrite` needs the whole table."
            " Use the replication method FULL_TABLE or `--full-refresh`, or `load_method: upsert`."
        )
    if mark and load_method == "upsert" and stream not in known:
        raise TableIncomplete(
            f"Stream {stream} continues from a bookmark ({mark}), but the ledger has no rows of it, so removals cannot"
            " be determined. Run once with `--full-refresh`. Keep `ledger_path` between runs."
        )


def _begins(bookmark: Mapping[str, object]) -> bool:
    """Return whether a tap-postgres of singer-io's family is about to read a whole table before it follows the log.

    It records the position of the log first, and `xmin` (later null) after the first row.
    """
    return bookmark.get("last_replication_method") == "LOG_BASED" and "version" in bookmark and "xmin" not in bookmark
