"""Staging, the books, and the plan as a table."""

from __future__ import annotations

import hashlib
import stat
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_tiktok_audiences.membership import (
    Books,
    BooksDoNotBalance,
    Do,
    Limits,
    PrivateFolder,
    Staging,
    Standing,
    Status,
    make_plan,
    total,
)

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits(min_audience_size=1000, max_reject_percent=50)
ABSENT, READY = Standing(Status.ABSENT), Standing(Status.READY, size=5000)


def hours(status: Status, age: float | None, size: int = 0) -> Standing:
    return Standing(status, size, None if age is None else timedelta(hours=age))


# The plan


@pytest.mark.parametrize(
    ("adds", "standing", "do", "reason"),
    [
        (1000, ABSENT, Do.CREATE, ""),
        (999, ABSENT, Do.FAIL, "below_minimum"),
        (0, ABSENT, Do.FAIL, "below_minimum"),
        (1, READY, Do.APPEND, ""),
        (0, READY, Do.NOTHING, ""),
        (1, hours(Status.PROCESSING, 1), Do.HOLD, "processing"),
        (1, hours(Status.PROCESSING, None), Do.HOLD, "processing"),
        (1, hours(Status.PROCESSING, 48), Do.HOLD, "processing"),
        (1, hours(Status.PROCESSING, 49), Do.FAIL, "too_small"),
        (1, hours(Status.PROCESSING, 49, size=2000), Do.HOLD, "processing"),
        (1, hours(Status.PROCESSING, 73, size=2000), Do.FAIL, "stuck"),
        (0, hours(Status.PROCESSING, 1), Do.NOTHING, ""),
        (0, hours(Status.PROCESSING, 49), Do.FAIL, "too_small"),
        (1, Standing(Status.EXPIRED), Do.FAIL, "expired"),
        (0, Standing(Status.EXPIRED), Do.FAIL, "expired"),
        (1, Standing(Status.FOREIGN, foreign_because="its type is Partner"), Do.FAIL, "foreign"),
    ],
)
def test_plan(adds: int, standing: Standing, do: Do, reason: str) -> None:
    plan = make_plan(adds, standing, [], LIMITS)
    assert (plan.do, plan.reason) == (do, reason)
    assert plan.rows == (adds if do in {Do.CREATE, Do.APPEND} else 0)
    assert bool(plan.message) == (do in {Do.HOLD, Do.FAIL})


@pytest.mark.parametrize(
    ("rows", "wanted", "files", "rows_per_file"),
    [
        (1000, None, 1, 3846153),
        (3846153, None, 1, 3846153),
        (3846154, None, 2, 3846153),
        (1000, 400, 3, 400),
        (49_000, 1000, 49, 1000),
        (49_001, 1000, 49, 1001),
        (10_000, 1, 49, 205),
        (5_000_000, 5_000_000, 2, 3846153),
        (49 * 3846153, None, 49, 3846153),
    ],
)
def test_files_of_a_plan(rows: int, wanted: int | None, files: int, rows_per_file: int) -> None:
    plan = make_plan(rows, READY, [], Limits(1000, 50, batch_size_rows=wanted))
    assert (plan.files, plan.rows_per_file) == (files, rows_per_file)
    assert plan.rows_per_file * 65 <= 250_000_000


def test_more_than_one_call_takes() -> None:
    assert make_plan(49 * 3846153 + 1, READY, [], LIMITS).reason == "too_many"


@pytest.mark.parametrize(
    ("books", "new", "reason"),
    [
        ({"read": 5, "missing": 5}, True, "all_missing"),
        ({"read": 19, "missing": 19}, False, ""),
        ({"read": 20, "missing": 20}, False, "all_missing"),
        ({"read": 25, "missing": 20, "deleted": 5}, False, "all_missing"),
        ({"read": 5, "deleted": 5}, False, ""),
        ({"read": 4, "rejected": {"email_syntax": 3}}, True, "too_many_rejects"),
        ({"read": 4, "rejected": {"email_syntax": 2}}, True, ""),
        ({"read": 19, "rejected": {"email_syntax": 19}}, False, ""),
        ({"read": 20, "rejected": {"email_syntax": 11}}, False, "too_many_rejects"),
        ({"read": 100, "missing": 60, "rejected": {"a": 21}}, False, "too_many_rejects"),
        ({"read": 100, "rejected": {"a": 50}}, False, ""),
    ],
)
def test_a_mapping_that_is_surely_wrong(books: dict[str, Any], new: bool, reason: str) -> None:  # noqa: FBT001
    part = Books("customers")
    for name, value in books.items():
        part.rejected.update(value) if name == "rejected" else setattr(part, name, value)
    plan = make_plan(5000, ABSENT if new else READY, [Books("other"), part], LIMITS)
    assert plan.reason == reason
    assert make_plan(5000, READY, [part], Limits(1000, 100)).reason != "too_many_rejects"


# The books


def test_books_that_do_not_balance_stop_the_run() -> None:
    books = Books("customers", read=10, accepted=4, duplicate=1, missing=1, deleted=1, unmatched=1)
    books.rejected["email_syntax"] = 2
    books.check()
    books.read = 11
    with pytest.raises(BooksDoNotBalance, match="11 records were read and 10 are accounted for"):
        books.check()
    both = total([books, books])
    assert (both.read, both.accepted, both.rejected) == (22, 8, {"email_syntax": 4})


def test_a_digest_lost_between_reading_and_sending_is_seen(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "audience")
    part = staging.part("customers")
    for number in range(10):
        part.books.read += 1
        part.add(hashlib.sha256(b"%d" % number).digest())
    part.close()
    lines = part.path.read_bytes().splitlines(keepends=True)
    part.path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(BooksDoNotBalance):
        staging.settle()
    staging.close()


# Staging


@given(st.lists(st.lists(st.integers(0, 30), max_size=40), max_size=3), st.integers(1, 9))
def test_distinct_and_sorted_whatever_came_in_whatever_order(streams: list[list[int]], border: int) -> None:
    folder = PrivateFolder()
    staging = Staging(folder.path / "audience")
    for number, stream in enumerate(streams):
        part = staging.part(str(number))
        part.books.read = len(stream)
        for value in stream:
            part.add(hashlib.sha256(b"%d" % value).digest())
    expected = sorted({hashlib.sha256(b"%d" % value).hexdigest() for stream in streams for value in stream})
    assert staging.settle() == len(expected)
    assert [part.books.accepted for part in staging.parts] == [len(set(stream)) for stream in streams]
    blocks = list(staging.sorted_lines(border))
    assert b"".join(blocks).decode().split() == expected
    assert [block.count(b"\n") for block in blocks[:-1]] == [border] * (len(blocks) - 1)
    staging.close()
    folder.close()


def test_nobody_else_may_enter_and_nothing_stays() -> None:
    folder = PrivateFolder()
    staging = Staging(folder.path / "audience")
    for path in (folder.path, staging.folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    staging.part("customers").add(bytes(32))
    staging.close()
    folder.close()
    assert not folder.path.exists()
