"""Apply contracts to Arrow columns: for BATCH files, and for distributed engines (for example Spark's `mapInArrow`).

Requires pyarrow (the extra `parquet`). Nothing here reads or writes files.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import simplejson

from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.contracts.rejection import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_UNCHANGED_TYPES: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_null,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)
"""Types whose values are the same in JSON and in Python; and bytes, which JSON does not have and contracts reject."""


def digests(
    identifiers: pa.Array | pa.ChunkedArray,
    contract: str,
    *,
    apply_hashing: bool = True,
    default_country: str | None = None,
) -> tuple[pa.Array, pa.Array]:
    """Return two columns for a column of identifiers: the digests as 64 hex digits, and the codes of rejections.

    For each row one of the two is null; both are null where the identifier is missing. The digests are the same as
    those that the target computes from records.
    """
    bulk = CONTRACTS[contract].bulk_digester(apply_hashing=apply_hashing, default_country=default_country)
    results = bulk(values(identifiers))
    return (
        pa.array([result.hex() if isinstance(result, bytes) else None for result in results], pa.string()),
        pa.array([result.value if isinstance(result, Rejection) else None for result in results], pa.string()),
    )


def values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return a column's values as they would be in records if a tap of the SDK had written them as JSON.

    Raises errors of pyarrow, or of Python's numbers, times and text, if a value cannot be converted.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if any(is_type(column.type) for is_type in _UNCHANGED_TYPES):
        unchanged: list[Any] = column.to_pylist()
        return unchanged
    if in_microseconds := _microseconds(column.type):
        column = column.cast(in_microseconds)  # the finest resolution in Python
    text = simplejson.dumps(column.to_pylist(), use_decimal=True, default=_as_text, ignore_nan=True)
    decoded: list[Any] = _decode(text)
    return decoded


def _microseconds(kind: pa.DataType) -> pa.DataType | None:
    """Return the type in microseconds for a type of times in nanoseconds; None for all other types."""
    if not pa.types.is_temporal(kind) or getattr(kind, "unit", "") != "ns":
        return None
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return pa.time64("us") if pa.types.is_time(kind) else pa.duration("us")


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)
