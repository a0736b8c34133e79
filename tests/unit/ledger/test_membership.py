"""The plan as a table, the books, the ledger, the guard and the folder."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_tiktok_audiences.ledger import schema
from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.ledger.delivered import Counts
from target_tiktok_audiences.ledger.desired import PartChange
from target_tiktok_audiences.ledger.ledger import Ledger, Revision
from target_tiktok_audiences.ledger.metadata import LedgerMetadata
from target_tiktok_audiences.ledger.record_counts import CountsDoNotBalance, RecordCounts, total
from target_tiktok_audiences.ledger.schema import LedgerTooNew
from target_tiktok_audiences.ledger.staging import Binding, Part
from target_tiktok_audiences.runtime.errors import LedgerBusy
from target_tiktok_audiences.runtime.files import PrivateFolder
from target_tiktok_audiences.sync.guards import (
    BindingChanged,
    RemovalLimitExceeded,
    TableIncomplete,
    check_binding,
    check_bookmark,
    check_removal_limit,
)
from target_tiktok_audiences.sync.plan import (
    Action,
    AudienceStatus,
    ChangeHistory,
    Limits,
    Status,
    make_plan,
    wrong_mapping,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Limits(min_audience_size=1000, max_reject_percent=50)


ABSENT, READY = AudienceStatus(Status.ABSENT), AudienceStatus(Status.READY, size=5000)


FOUND = AudienceStatus(Status.READY, size=5000, ours=False)


KNOWN, UNKNOWN = ChangeHistory(), ChangeHistory(delivered_known=False)


APPEND_ONLY, UPSERT, OVERWRITE = "append-only", "upsert", "overwrite"


def hours(status: Status, age: float | None, size: int = 0) -> AudienceStatus:
    return AudienceStatus(status, size, None if age is None else timedelta(hours=age))


def held(age: float) -> ChangeHistory:
    return ChangeHistory(held_for=timedelta(hours=age))


def counts(adds: int = 0, removals: int = 0, desired: int = 5000, delivered: int = 5000) -> Counts:
    return Counts(desired=desired, delivered=delivered, unsure=0, adds=adds, removals=removals)


# The plan, row by row


ROWS: list[tuple[str, Counts, AudienceStatus, ChangeHistory, Action, str, int]] = [
    # absent
    (APPEND_ONLY, counts(1000, desired=1000, delivered=0), ABSENT, KNOWN, Action.CREATE, "", 1000),
    (UPSERT, counts(1000, desired=1000, delivered=0), ABSENT, KNOWN, Action.CREATE, "", 1000),
    (OVERWRITE, counts(1000, desired=1000, delivered=0), ABSENT, UNKNOWN, Action.CREATE, "", 1000),
    (APPEND_ONLY, counts(999, desired=999, delivered=0), ABSENT, KNOWN, Action.FAIL, "below_minimum", 0),
    (APPEND_ONLY, counts(desired=0, delivered=0), ABSENT, KNOWN, Action.FAIL, "below_minimum", 0),
    (UPSERT, counts(5000), ABSENT, ChangeHistory(creating_for=timedelta(minutes=59)), Action.HOLD, "create_unknown", 0),
    (UPSERT, counts(5000), ABSENT, ChangeHistory(creating_for=timedelta(minutes=60)), Action.CREATE, "", 5000),
    # ready, no difference
    (APPEND_ONLY, counts(), READY, KNOWN, Action.NOTHING, "", 0),
    (OVERWRITE, counts(), READY, KNOWN, Action.NOTHING, "", 0),
    # ready, delivered unknown
    (OVERWRITE, counts(5000), READY, UNKNOWN, Action.REPLACE, "", 5000),
    (OVERWRITE, counts(), READY, UNKNOWN, Action.REPLACE, "", 5000),
    (OVERWRITE, counts(999, desired=999), READY, UNKNOWN, Action.FAIL, "below_minimum", 0),
    (
        OVERWRITE,
        counts(5),
        READY,
        ChangeHistory(delivered_known=False, all_parts_came=False),
        Action.FAIL,
        "parts_missing",
        0,
    ),
    (APPEND_ONLY, counts(5000), READY, UNKNOWN, Action.APPEND, "", 5000),
    (UPSERT, counts(5000), READY, UNKNOWN, Action.APPEND, "", 5000),
    (UPSERT, counts(3), READY, ChangeHistory(replace_owed=True), Action.REPLACE, "", 5000),
    (APPEND_ONLY, counts(), READY, ChangeHistory(replace_owed=True, all_parts_came=False), Action.REPLACE, "", 5000),
    # ready, adds and removals
    (OVERWRITE, counts(3, 4), READY, KNOWN, Action.REPLACE, "", 5000),
    (OVERWRITE, counts(3, 4), READY, ChangeHistory(last_action="REMOVE"), Action.REPLACE, "", 5000),
    (OVERWRITE, counts(3, 0), READY, KNOWN, Action.APPEND, "", 3),
    (OVERWRITE, counts(0, 4), READY, KNOWN, Action.REMOVE, "", 4),
    (UPSERT, counts(3, 4), READY, KNOWN, Action.REMOVE, "", 4),
    (UPSERT, counts(3, 4), READY, ChangeHistory(last_action="REMOVE"), Action.APPEND, "", 3),
    (UPSERT, counts(0, 4), READY, ChangeHistory(last_action="REMOVE"), Action.REMOVE, "", 4),
    # the floor
    (UPSERT, counts(3, 4, 1002, 1003), AudienceStatus(Status.READY, 1003), KNOWN, Action.APPEND, "", 3),
    (UPSERT, counts(0, 4, 999, 1003), AudienceStatus(Status.READY, 1003), KNOWN, Action.FAIL, "below_minimum", 0),
    (UPSERT, counts(0, 4, 999, 1003), AudienceStatus(Status.READY, 1004), KNOWN, Action.REMOVE, "", 4),
    (OVERWRITE, counts(3, 500, 600, 1097), AudienceStatus(Status.READY, 1097), KNOWN, Action.APPEND, "", 3),
    # not ready
    (APPEND_ONLY, counts(1), hours(Status.PROCESSING, 1), KNOWN, Action.HOLD, "processing", 0),
    (OVERWRITE, counts(1, 1), hours(Status.PROCESSING, None), UNKNOWN, Action.HOLD, "processing", 0),
    (UPSERT, counts(0, 1), hours(Status.PROCESSING, 48), KNOWN, Action.HOLD, "processing", 0),
    (UPSERT, counts(0, 1), hours(Status.PROCESSING, 49), KNOWN, Action.FAIL, "too_small", 0),
    (UPSERT, counts(0, 1), hours(Status.PROCESSING, 99, size=2000), held(71), Action.HOLD, "processing", 0),
    (UPSERT, counts(), hours(Status.PROCESSING, 1), KNOWN, Action.NOTHING, "", 0),
    (UPSERT, counts(), hours(Status.PROCESSING, 49), KNOWN, Action.FAIL, "too_small", 0),
    # not usable
    (APPEND_ONLY, counts(1), AudienceStatus(Status.EXPIRED), KNOWN, Action.FAIL, "expired", 0),
    (APPEND_ONLY, counts(), AudienceStatus(Status.EXPIRED), KNOWN, Action.FAIL, "expired", 0),
    (
        APPEND_ONLY,
        counts(1),
        AudienceStatus(Status.FOREIGN, foreign_because="its type is Partner"),
        KNOWN,
        Action.FAIL,
        "foreign",
        0,
    ),
    (APPEND_ONLY, counts(1), FOUND, KNOWN, Action.APPEND, "", 1),
    (UPSERT, counts(1), FOUND, KNOWN, Action.FAIL, "only_found", 0),
    (OVERWRITE, counts(1), FOUND, UNKNOWN, Action.FAIL, "only_found", 0),
]


@pytest.mark.parametrize(("method", "sizes", "standing", "past", "do", "reason", "rows"), ROWS)
def test_plan(
    method: str, sizes: Counts, standing: AudienceStatus, past: ChangeHistory, do: Action, reason: str, rows: int
) -> None:
    plan = make_plan(method, sizes, standing, past, LIMITS)
    assert (plan.do, plan.reason, plan.rows) == (do, reason, rows)
    assert bool(plan.message) == (do in {Action.HOLD, Action.FAIL})


def test_a_hold_is_overdue_after_three_days() -> None:
    standing = hours(Status.PROCESSING, 1, size=2000)
    assert [make_plan(UPSERT, counts(1), standing, held(age), LIMITS).overdue for age in (0, 71.9, 72)] == [
        False,
        False,
        True,
    ]


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
    plan = make_plan(APPEND_ONLY, counts(rows), READY, KNOWN, Limits(1000, 50, batch_size_rows=wanted))
    assert (plan.files, plan.rows_per_file) == (files, rows_per_file)
    assert plan.rows_per_file * 65 <= 250_000_000


def test_more_than_one_call_takes() -> None:
    assert make_plan(APPEND_ONLY, counts(49 * 3846153 + 1), READY, KNOWN, LIMITS).reason == "too_many"


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
    part = RecordCounts("customers")
    for name, value in books.items():
        part.rejected.update(value) if name == "rejected" else setattr(part, name, value)
    plan = wrong_mapping([RecordCounts("other"), part], LIMITS, new=new)
    assert (plan.reason if plan else "") == reason
    by_key = wrong_mapping([part], LIMITS, new=new, upsert=True)
    assert (by_key.reason if by_key else "") == ("" if reason == "all_missing" and not new else reason)
    lenient = wrong_mapping([part], Limits(1000, 100), new=new)
    assert lenient is None or lenient.reason == "all_missing"


# The books


def test_books_that_do_not_balance_stop_the_run() -> None:
    books = RecordCounts("customers", read=10, accepted=4, duplicate=1, missing=1, deleted=1, unmatched=1)
    books.rejected["email_syntax"] = 2
    books.check()
    books.read = 11
    with pytest.raises(CountsDoNotBalance, match="11 records were read and 10 are accounted for"):
        books.check()
    both = total([books, books])
    assert (both.read, both.accepted, both.rejected) == (22, 8, {"email_syntax": 4})


def test_a_digest_lost_between_reading_and_sending_is_seen(tmp_path: Path) -> None:
    ledger, part = Ledger(None, tmp_path), staged(tmp_path, "append-only", [(n, n) for n in range(10)])
    part.close()
    lines = part.path.read_bytes().splitlines(keepends=True)
    part.path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(CountsDoNotBalance):
        ledger.stage([part])
    ledger.close()


# The ledger


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def digest(value: int) -> bytes:
    return hashlib.sha256(b"%d" % value).digest()


def staged(
    folder: Path, method: str, rows: list[tuple[int, int | None]], stream: str = "s", field: str = "email"
) -> Part:
    """Stage rows of a key and a value, None for a row without one."""
    binding = Binding(stream, field, True, None, method, () if method == "append-only" else ("id",))  # noqa: FBT003
    part = Part(binding, folder / f"{stream}-{field}.csv")
    for key, value in rows:
        part.books.read += 1
        if value is None:
            part.books.missing += 1
        if binding.keys:
            part.add_keyed([[key]], [None if value is None else digest(value)])
        elif value is not None:
            part.add([digest(value)])
    return part


def revise(ledger: Ledger, *parts: Part) -> Revision:
    ledger.stage(parts)
    with ledger.revision([part.binding for part in parts], NOW) as revision:
        return revision


def wanted(ledger: Ledger) -> set[bytes]:
    """Give the desired set, through the rows of a creation."""
    rows = ledger.call_rows("CREATE")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lines"
        assert ledger.write_lines(0, rows, file) == rows
        return {bytes.fromhex(line) for line in file.read_text().split()}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.duckdb", tmp_path)
    yield ledger
    ledger.close()


TABLES = st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 12)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(method=st.sampled_from(["append-only", "upsert", "overwrite"]), runs=st.lists(TABLES, min_size=1, max_size=4))
def test_desired_is_what_the_load_method_says(method: str, runs: list[list[tuple[int, int | None]]]) -> None:
    folder = PrivateFolder()
    ledger = Ledger(None, folder.path)
    people: set[int] = set()
    rows: dict[int, int | None] = {}
    for table in runs:
        before = {value for value in rows.values() if value is not None} if method != "append-only" else set(people)
        if method == "append-only":
            people |= {value for _, value in table if value is not None}
        else:
            rows = {**({} if method == "overwrite" else rows), **dict(table)}
            people = {value for value in rows.values() if value is not None}
        revision = revise(ledger, staged(folder.path, method, table))
        assert wanted(ledger) == {digest(value) for value in people}
        assert revision.total.after == ledger.facts.desired == len(people)
        assert revision.total.gone == len(before - people)
        assert revision.parts[0].gone == len(before - people)
    ledger.close()
    folder.close()


def test_two_streams_are_one_union_and_keep_each_others_people(ledger: Ledger, tmp_path: Path) -> None:
    revise(
        ledger,
        staged(tmp_path, "overwrite", [(1, 1), (2, 2)], "a"),
        staged(tmp_path, "overwrite", [(1, 2), (2, 3)], "b"),
    )
    assert wanted(ledger) == {digest(1), digest(2), digest(3)}
    revision = revise(ledger, staged(tmp_path, "overwrite", [(1, 1)], "a"))
    assert wanted(ledger) == {digest(1), digest(2), digest(3)}
    assert (revision.parts[0].gone, revision.total.gone) == (1, 0)
    with ledger.forgetting("b") as forgotten:
        assert (forgotten.total.before, forgotten.total.after, forgotten.total.gone) == (3, 1, 2)
    assert wanted(ledger) == {digest(1)}


def test_an_overwrite_drops_what_its_stream_had_through_another_column(ledger: Ledger, tmp_path: Path) -> None:
    revise(ledger, staged(tmp_path, "append-only", [(1, 1)], field="old"))
    revision = revise(ledger, staged(tmp_path, "overwrite", [(1, 2)], field="new"))
    assert wanted(ledger) == {digest(2)}
    assert revision.total.gone == 1


def test_a_revision_that_is_refused_leaves_everything_as_it_was(ledger: Ledger, tmp_path: Path) -> None:
    revise(ledger, staged(tmp_path, "overwrite", [(n, n) for n in range(10)]))
    facts = msgspec.structs.replace(ledger.facts)
    ledger.stage([part := staged(tmp_path, "overwrite", [(1, 1)])])
    with pytest.raises(KeyError), ledger.revision([part.binding], NOW):
        raise KeyError
    assert len(wanted(ledger)) == 10
    assert (ledger.facts, [rows for _, rows, _ in ledger.parts()]) == (facts, [10])


def call(ledger: Ledger, action: str) -> int:
    ledger.call_rows(action)
    return ledger.intend(action, NOW)


def delivered(ledger: Ledger) -> tuple[int, int]:
    counts = ledger.counts()
    return counts.delivered - counts.unsure, counts.unsure


def test_acceptance_refusal_and_silence(ledger: Ledger, tmp_path: Path) -> None:
    revise(ledger, staged(tmp_path, "overwrite", [(n, n) for n in range(10)]))
    ledger.refused(call(ledger, "CREATE"))
    assert delivered(ledger) == (0, 0)
    ledger.lost(call(ledger, "CREATE"))
    assert delivered(ledger) == (0, 10)
    assert ledger.facts.creating_since == NOW
    ledger.accepted(call(ledger, "CREATE"), "CREATE", "7", NOW)
    assert delivered(ledger) == (10, 0)
    assert (ledger.facts.audience_id, ledger.in_flight()) == ("7", 1)
    assert not ledger.facts.creating_since
    revise(ledger, staged(tmp_path, "overwrite", [(n, n) for n in range(2, 11)]))
    ledger.lost(call(ledger, "REMOVE"))
    assert delivered(ledger) == (8, 2)
    ledger.accepted(call(ledger, "REMOVE"), "REMOVE", "7", NOW)
    assert delivered(ledger) == (8, 0)
    ledger.lost(call(ledger, "APPEND"))
    assert (delivered(ledger), ledger.counts().adds) == ((8, 1), 1)
    ledger.accepted(call(ledger, "REPLACE"), "REPLACE", "7", NOW)
    assert delivered(ledger) == (9, 0)


def test_a_kill_between_intent_and_outcome_leaves_rows_unsure(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.duckdb", tmp_path)
    revise(ledger, staged(tmp_path, "overwrite", [(n, n) for n in range(10)]))
    ledger.accepted(call(ledger, "CREATE"), "CREATE", "7", NOW)
    call(ledger, "REPLACE")
    ledger.close()
    again = Ledger(tmp_path / "ledger.duckdb", tmp_path)
    assert delivered(again) == (0, 10)
    assert again.facts.ledger_id == ledger.facts.ledger_id
    again.close()


def test_a_new_error_makes_every_change_in_flight_unsure_and_two_quiet_days_end_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    revise(ledger, staged(tmp_path, "overwrite", [(n, n) for n in range(10)]))
    ledger.accepted(call(ledger, "CREATE"), "CREATE", "7", NOW)
    later = NOW + timedelta(hours=48)
    assert ledger.confirm(None, later, ready=False) is False
    assert ledger.in_flight() == 1
    assert ledger.confirm(None, later, ready=True) is False
    assert ledger.in_flight() == 0
    revise(ledger, staged(tmp_path, "overwrite", [(n, n) for n in range(1, 10)]))
    ledger.accepted(call(ledger, "REMOVE"), "REMOVE", "7", later)
    assert ledger.confirm("it failed", later, ready=True) is True
    assert (delivered(ledger), ledger.counts().removals, ledger.facts.failures) == ((9, 1), 1, 1)
    ledger.accepted(call(ledger, "REMOVE"), "REMOVE", "7", later)
    assert ledger.confirm("it failed", later, ready=True) is False, "the same error is no news"


def test_another_audience_starts_with_nothing(ledger: Ledger, tmp_path: Path) -> None:
    revise(ledger, staged(tmp_path, "overwrite", [(1, 1)]))
    ledger.accepted(call(ledger, "CREATE"), "CREATE", "7", NOW)
    ledger.belongs_to("7", "set")
    assert delivered(ledger) == (1, 0)
    ledger.belongs_to("8", "set")
    assert (delivered(ledger), ledger.facts.delivered_known) == ((0, 0), False)


def test_a_ledger_of_an_older_version_is_brought_up_to_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, key, digest = tmp_path / "ledger.duckdb", bytes(range(16)), bytes(range(32))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_MIGRATIONS", schema._MIGRATIONS[:2])  # noqa: SLF001
        Ledger(path, tmp_path).close()
    with duckdb.connect(str(path)) as database:
        database.execute("INSERT INTO desired VALUES (1, ?, ?), (2, '', ?)", [key.hex(), digest, digest])
    Ledger(path, tmp_path).close()
    with duckdb.connect(str(path)) as database:
        assert database.execute("FROM desired ORDER BY part").fetchall() == [(1, key, digest), (2, b"", digest)]


def test_a_ledger_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    database = duckdb.connect(str(tmp_path / "ledger.duckdb"))
    database.execute("CREATE TABLE schema_version AS SELECT 99 AS version")
    database.close()
    with pytest.raises(LedgerTooNew, match="version 99"):
        Ledger(tmp_path / "ledger.duckdb", tmp_path)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_equal_sets_have_equal_digests(ones: set[int], others: set[int]) -> None:
    folder = PrivateFolder()
    found: list[str] = []
    for values in (ones, others):
        ledger = Ledger(None, folder.path)
        revise(ledger, staged(folder.path, "append-only", [(n, n) for n in sorted(values, reverse=bool(found))]))
        found.append(ledger.set_digest())
        ledger.close()
    assert (found[0] == found[1]) == (ones == others)
    folder.close()


# The guard


def change(before: int | None, after: int, gone: int, method: str = "overwrite") -> PartChange:
    return PartChange("customers", method, before, after, gone)


@pytest.mark.parametrize(
    ("before", "after", "gone", "limit", "trips"),
    [
        (1000, 900, 100, 10, False),
        (1000, 899, 101, 10, True),
        (1000, 1000, 101, 10, True),
        (1000, 999, 1, 0, True),
        (1000, 0, 1000, 100, False),
        (5, 0, 5, 99, True),
        (0, 0, 0, 10, False),
        (None, 5, 0, 10, False),
    ],
)
def test_blast_radius(before: int | None, after: int, gone: int, limit: int, trips: bool) -> None:  # noqa: FBT001
    total = change(before, after, gone, "")
    for revision in (Revision([change(before, after, gone)], total), Revision([change(before, after, 0)], total)):
        with pytest.raises(RemovalLimitExceeded) if trips else nullcontext():
            check_removal_limit(revision, limit, None, replaces=False)


def test_without_a_ledger_state_is_the_reference_and_without_both_a_replace_needs_the_override() -> None:
    revision = Revision([change(None, 800, 0)], change(None, 800, 0, ""))
    with pytest.raises(RemovalLimitExceeded, match="200 of 1,000"):
        check_removal_limit(revision, 10, {"customers": 1000, "": 1000}, replaces=True)
    check_removal_limit(revision, 10, {"customers": 850, "": 850}, replaces=True)
    with pytest.raises(RemovalLimitExceeded, match="neither a ledger nor a STATE"):
        check_removal_limit(revision, 10, None, replaces=True)
    check_removal_limit(revision, 100, None, replaces=True)


def test_what_removes_nobody_is_not_compared() -> None:
    parts = [change(None, 5, 0, "append-only")]
    check_removal_limit(Revision(parts, change(None, 5, 0, "")), 10, {"customers": 1000, "": 1000}, replaces=False)


BOUND = Binding("customers", "email", True, None, "upsert", ("id",))  # noqa: FBT003


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, None),
        ({"field": "mail"}, "identifier_field"),
        ({"apply_hashing": False}, "apply_hashing"),
        ({"default_country": "US"}, "default_country"),
        ({"load_method": "append-only"}, "load_method"),
        ({"keys": ("uuid",)}, "the key"),
        ({"load_method": "overwrite", "field": "mail"}, None),
        ({"stream": "others"}, None),
    ],
)
def test_a_stream_stays_bound(changes: dict[str, Any], word: str | None) -> None:
    wanted = msgspec.structs.replace(BOUND, **changes)
    with pytest.raises(BindingChanged, match=word) if word else nullcontext():
        check_binding([BOUND], wanted, {wanted.field})
    rebuilt = msgspec.structs.replace(BOUND, load_method="overwrite")
    if changes.keys() <= {"load_method"}:
        check_binding([rebuilt], wanted, {wanted.field})


LOG = {"last_replication_method": "LOG_BASED", "lsn": 23155632, "version": 1795375277508}


@pytest.mark.parametrize(
    ("method", "bookmark", "known", "raises"),
    [
        ("overwrite", {"replication_key_value": 5}, True, True),
        ("overwrite", {"lsn": 0}, True, True),
        ("overwrite", {"xmin": "5"}, True, True),
        ("overwrite", {"last_pk_fetched": {"id": 1}}, True, True),
        ("overwrite", {"log_file": "log.000001", "log_pos": 4}, True, True),
        ("overwrite", {"gtid": "0-1-5"}, True, True),
        ("overwrite", {"replication_key_value": None, "version": 1}, True, False),
        # A tap-postgres of singer-io's family before its first whole table, in the midst of it, and after it.
        ("upsert", LOG, False, False),
        ("overwrite", LOG, True, False),
        ("upsert", {**LOG, "xmin": 745}, False, True),
        ("upsert", {**LOG, "xmin": None}, False, True),
        ("upsert", {"replication_key_value": 5}, False, True),
        ("upsert", {"replication_key_value": 5}, True, False),
        ("upsert", {}, False, False),
        ("append-only", {"replication_key_value": 5}, False, False),
    ],
)
def test_what_a_bookmark_means(method: str, bookmark: dict[str, Any], known: bool, raises: bool) -> None:  # noqa: FBT001
    with pytest.raises(TableIncomplete) if raises else nullcontext():
        check_bookmark("customers", method, bookmark, {"customers"} if known else set())


def test_two_columns_of_one_stream_are_no_change() -> None:
    other = msgspec.structs.replace(BOUND, field="second_email")
    check_binding([BOUND], other, {"email", "second_email"})


# The folder


CARD = LedgerMetadata("tiktok", "7", "EMAIL_SHA256", "Customers")


def test_an_audience_finds_its_ledger_by_name_and_by_id(tmp_path: Path) -> None:
    folder = LedgerCatalog(tmp_path / "ledgers", tmp_path)
    opened = folder.open(CARD)
    ledger_id = opened.ledger.facts.ledger_id
    opened.found("55")
    opened.owe(())
    opened.close()
    for card in (CARD, msgspec.structs.replace(CARD, name="Renamed", audience_id="55", pinned=True)):
        again = folder.open(msgspec.structs.replace(card))
        assert again.ledger.facts.ledger_id == ledger_id
        again.close()
    for other in ({"audience_id": "56"}, {"advertiser_id": "8"}, {"contract": "PHONE_SHA256"}, {"api_host": "x"}):
        stranger = folder.open(msgspec.structs.replace(CARD, **other))
        assert stranger.ledger.facts.ledger_id != ledger_id
        stranger.close()


def test_one_run_at_a_time_however_the_audience_is_named(tmp_path: Path) -> None:
    folder = LedgerCatalog(tmp_path / "ledgers", tmp_path)
    by_name = folder.open(msgspec.structs.replace(CARD))
    with pytest.raises(LedgerBusy, match="Customers"):
        folder.open(msgspec.structs.replace(CARD))
    by_id = folder.open(msgspec.structs.replace(CARD, name="Other", audience_id="55", pinned=True))
    with pytest.raises(LedgerBusy):
        by_name.found("55")
    by_id.close()
    by_name.close()
    folder.open(msgspec.structs.replace(CARD)).close()


def test_a_ledger_that_is_put_aside_is_never_overwritten_by_the_next(tmp_path: Path) -> None:
    opened = LedgerCatalog(tmp_path / "ledgers", tmp_path).open(msgspec.structs.replace(CARD))
    ids = []
    for _ in range(2):
        ids.append(opened.ledger.facts.ledger_id)
        opened.replace_with_empty()
    opened.close()
    kept = {path.name.split(".")[-2] for path in (tmp_path / "ledgers").glob("*.gone")}
    assert kept == {ledger_id[:8] for ledger_id in ids}


def test_nobody_else_may_read_a_ledger(tmp_path: Path) -> None:
    os.umask(0o077)  # as the executable does
    folder = LedgerCatalog(tmp_path / "deep" / "ledgers", tmp_path)
    name = "../../etc/passwd \U0001f600"
    with closing(folder.open(msgspec.structs.replace(CARD, name=name))) as opened:
        opened.owe(())
    assert stat.S_IMODE((tmp_path / "deep" / "ledgers").stat().st_mode) == 0o700
    files = list((tmp_path / "deep" / "ledgers").iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert list(tmp_path.rglob("passwd*")) == []


def test_what_was_never_written_to_is_not_kept(tmp_path: Path) -> None:
    folder = LedgerCatalog(tmp_path / "ledgers", tmp_path)
    folder.open(msgspec.structs.replace(CARD)).close()
    assert {path.suffix for path in (tmp_path / "ledgers").iterdir()} == {".lock"}
    assert folder.cards() == []


def test_a_dry_run_touches_no_ledger(tmp_path: Path) -> None:
    with closing(LedgerCatalog(tmp_path / "ledgers", tmp_path).open(msgspec.structs.replace(CARD))) as opened:
        opened.owe(())
    before = {path: path.read_bytes() for path in (tmp_path / "ledgers").iterdir()}
    temporary = PrivateFolder()
    opened = LedgerCatalog(tmp_path / "ledgers", temporary.path, dry_run=True).open(msgspec.structs.replace(CARD))
    revise(opened.ledger, staged(temporary.path, "append-only", [(1, 1)]))
    opened.close()
    temporary.close()
    assert {path: path.read_bytes() for path in (tmp_path / "ledgers").iterdir()} == before


def test_a_new_audience_does_not_get_the_ledger_of_one_that_had_its_name(tmp_path: Path) -> None:
    ledgers = LedgerCatalog(tmp_path / "ledgers", tmp_path)
    foo = LedgerMetadata("host", "7", "EMAIL_SHA256", "foo")
    with closing(ledgers.open(foo)) as opened:
        opened.ledger.belongs_to("1", "created")
        opened.found("1")
        first = opened.ledger.facts.ledger_id
    with closing(ledgers.open(msgspec.structs.replace(foo, name="bar", audience_id="1", pinned=True))) as opened:
        assert opened.ledger.facts.ledger_id == first, "it was renamed"
    for _ in range(2):
        with closing(ledgers.open(msgspec.structs.replace(foo))) as opened:
            assert opened.ledger.facts.ledger_id != first
            assert opened.ledger.facts.audience_id is None
            opened.owe(("others",))
    assert len(ledgers.cards()) == 2
