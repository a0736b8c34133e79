"""What must not happen to an audience in silence: too many people gone, or two kinds of rows mixed. Pure."""

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
"""What a bookmark holds while a tap sends only a part of its table."""
_OVERRIDE = (
    "If that is right, run once with `max_removal_percent: 100` (TARGET_TIKTOK_AUDIENCES_MAX_REMOVAL_PERCENT=100"
    " meltano run ...)."
)


class RemovalLimitExceeded(UserError):
    """The blast radius: nothing was committed and nothing sent."""


class TableIncomplete(UserError):
    """A stream that sends less of its table than its load method needs."""


class BindingChanged(UserError):
    """A stream that is no longer what its part was made from."""


def check_removal_limit(revision: Revision, limit: int, reference: Mapping[str, int] | None, *, replaces: bool) -> None:
    """Raise `RemovalLimitExceeded` if more than `limit` per cent of a part, or of all, would go.

    A dead tap cannot be told from a finished one, so this is what a truncated stream can do at most. Where the ledger
    has nothing to compare with, `reference` has the counts that STATE remembers, by stream and in all (""); without
    those, an audience whose members would be replaced (`replaces`) needs the override.
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
                f"Stream {change.stream} came empty, and had {before:,} people. Nothing was sent. {_OVERRIDE}"
            )
        if gone * 100 > before * limit:
            raise RemovalLimitExceeded(
                f"{gone:,} of {before:,} people of {_named(change, revision)} would go, more than the {limit} % of"
                f" `max_removal_percent`. Nothing was sent. Was the stream cut short? {_OVERRIDE}"
            )
    if replaces and not compared:
        raise RemovalLimitExceeded(
            f"All members would be replaced by {revision.total.after:,} people, and there is neither a ledger nor a"
            f" state to compare that with. Nothing was sent. {_OVERRIDE}"
        )


def _named(change: PartChange, revision: Revision) -> str:
    return "all streams" if change is revision.total else f'stream "{change.stream}"'


def check_binding(bound: Sequence[Binding], wanted: Binding, fields: set[str]) -> None:
    """Raise `BindingChanged` if a stream's settings differ from what its part was made with.

    `fields` are all columns that the stream feeds the audience from. An `overwrite` replaces the part, so it may change
    anything; what it leaves behind has keys, so any method may go on from it.
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
            f"Stream {wanted.stream} has changed {' and '.join(changes)}: what it added before could no longer be told"
            " from what it adds now. Set it back; or rebuild: run once with `load_method: overwrite` and the whole"
            " table (`--full-refresh`), then go on with any method."
        )


def check_bookmark(stream: str, load_method: str, bookmark: Mapping[str, object], known: Collection[str]) -> None:
    """Raise `TableIncomplete` if a stream goes on from a bookmark where its load method needs more than that.

    `bookmark` is what STATE said of the stream before its first record, `known` the streams that the ledger knows.
    """
    mark = None if _begins(bookmark) else next((name for name in GOES_ON if bookmark.get(name) is not None), None)
    if mark and load_method == "overwrite":
        raise TableIncomplete(
            f"Stream {stream} goes on from a bookmark ({mark}), and `load_method: overwrite` needs the whole table. Use"
            " the replication method FULL_TABLE or `--full-refresh`, or `load_method: upsert`."
        )
    if mark and load_method == "upsert" and stream not in known:
        raise TableIncomplete(
            f"Stream {stream} goes on from a bookmark ({mark}), and the ledger has nothing of it: whom it removes"
            " cannot be known. Run once with `--full-refresh`. Keep `ledger_path` between runs."
        )


def _begins(bookmark: Mapping[str, object]) -> bool:
    """Tell whether a tap-postgres of singer-io's family is about to read a whole table, to follow its log afterwards.

    It notes where the log stands before that, and `xmin` after the first row, which stays as null.
    """
    return bookmark.get("last_replication_method") == "LOG_BASED" and "version" in bookmark and "xmin" not in bookmark
