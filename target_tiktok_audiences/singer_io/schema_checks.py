"""Whether a stream's columns, as its SCHEMA tells them and stream maps change them, fit a feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_tiktok_audiences.runtime.sanitize import is_plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from target_tiktok_audiences.config.settings import Feed

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_NAMES_SHOWN = 100


def column_problem(feed: Feed, stream: str, columns: dict[str, Any]) -> str | None:
    """Tell why a stream's columns do not fit a feed; None where they do."""
    field, contract = feed.identifier_field, feed.contract.name
    if field not in columns:
        return (
            f"Stream {stream} has no column `{field}`, which {contract} asks for; its columns are"
            f" {shown_names(columns)}. Set `identifier_field` to the one that holds the identifier."
        )
    types = set(_types(columns[field]))
    if types and "string" not in types:
        return (
            f"Column `{field}` of stream {stream} is {' or '.join(sorted(types - {'null'}))}, and {contract} takes"
            " text. Cast it in the source or with a stream map, or set `identifier_field` to another column."
        )
    return None


def map_problem(feed: Feed, stream: str, *, filtered: bool, keeps_deletions: bool) -> str | None:
    """Tell why a stream map would let people stay in an audience who were deleted; None where it does not.

    `filtered` tells whether it drops rows, `keeps_deletions` whether it passes on the tap's mark of deleted rows.
    """
    field = feed.identifier_field
    if filtered and feed.load_method == "upsert":
        return (
            f"Stream {stream} has a `__filter__`, and `load_method: upsert` would never hear of a row that passes it no"
            " longer: its person would stay. Empty the identifier instead:"
            f" `{field}: _.get('{field}') if ... else None`."
        )
    if not keeps_deletions:
        return (
            f"The stream map of {stream} drops `_sdc_deleted_at`, the tap's mark of deleted rows: their people would be"
            " added. Keep it: `_sdc_deleted_at: _.get('_sdc_deleted_at')`."
        )
    return None


def shown_names(columns: Collection[str]) -> str:
    """List columns, but for names that may be data, and not without end."""
    plain = [name for name in columns if is_plain(name)]
    others = [f"{len(columns) - len(plain)} with unusual names"] if len(plain) < len(columns) else []
    more = [f"{len(plain) - _NAMES_SHOWN:,} more"] if len(plain) > _NAMES_SHOWN else []
    return ", ".join([*plain[:_NAMES_SHOWN], *more, *others]) or "none"


def quoted(column: object) -> str:
    """Name a column in a message, unless its name may be data."""
    return f"`{column}`" if isinstance(column, str) and is_plain(column) else "(its name is unusual)"


def _types(column: Any) -> Iterator[str]:
    """Give the JSON types that a column's schema allows; none where it allows any."""
    if isinstance(column, dict):
        yield from (kind for kind in _listed(column.get("type")) if isinstance(kind, str) and kind in _TYPES)
        for rule in ("anyOf", "oneOf"):
            for choice in _listed(column.get(rule)):
                yield from _types(choice)


def _listed(value: Any) -> list[Any]:
    """Give a list as it is and anything else as a list of one: a SCHEMA may hold whatever its author wrote."""
    return value if isinstance(value, list) else [value]
