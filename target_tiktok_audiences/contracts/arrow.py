"""Contracts on columns of Arrow: for BATCH files, and for a distributed engine to call, Spark's `mapInArrow` for one.

It needs pyarrow, the extra `parquet`. Nothing here touches files.
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
_AS_THEY_ARE: tuple[Callable[[pa.DataType], bool], ...] = (
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
"""Types whose values are in JSON what they are in Python; and bytes, which no JSON has, and no contract takes."""


def digests(
    identifiers: pa.Array | pa.ChunkedArray,
    contract: str,
    *,
    apply_hashing: bool = True,
    default_country: str | None = None,
) -> tuple[pa.Array, pa.Array]:
    """Give a column's digests, as 64 hex digits, and beside each the reason where there is none.

    Both are null where the identifier is missing. Digest by digest this is what the target makes of the same column.
    """
    bulk = CONTRACTS[contract].bulk_digester(apply_hashing=apply_hashing, default_country=default_country)
    found = bulk(values(identifiers))
    return (
        pa.array([each.hex() if isinstance(each, bytes) else None for each in found], pa.string()),
        pa.array([each.value if isinstance(each, Rejection) else None for each in found], pa.string()),
    )


def values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Give a column as its values would stand in records, had a tap of the SDK written them as JSON.

    Raises pyarrow's errors, and Python's of numbers, times and text, where a value has no such form.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if any(are(column.type) for are in _AS_THEY_ARE):
        listed: list[Any] = column.to_pylist()
        return listed
    if finer := _microseconds(column.type):
        column = column.cast(finer)  # Python has nothing finer
    written = simplejson.dumps(column.to_pylist(), use_decimal=True, default=_as_text, ignore_nan=True)
    decoded: list[Any] = _decode(written)
    return decoded


def _microseconds(kind: pa.DataType) -> pa.DataType | None:
    """Give the type for times in microseconds instead of nanoseconds; None for all others."""
    if not pa.types.is_temporal(kind) or getattr(kind, "unit", "") != "ns":
        return None
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return pa.time64("us") if pa.types.is_time(kind) else pa.duration("us")


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)
