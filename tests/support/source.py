"""A table, the tap that reads it, and the pipe between: what Meltano does from run to run, and what can go wrong."""

from __future__ import annotations

import copy
import hashlib
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

from fsspec.implementations.memory import MemoryFileSystem

from support.singer import email, record, schema
from target_tiktok_audiences.ledger.ledger import Ledger
from target_tiktok_audiences.ledger.session import LedgerSession
from target_tiktok_audiences.sync import delivery, reconcile
from target_tiktok_audiences.target import TargetTikTokAudiences
from target_tiktok_audiences.tiktok.client import TikTok

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

KEY = "target-tiktok-audiences"
BASE, VARYING = "base", "customers"
BASE_PEOPLE = 1050
"""So many never change: TikTok refuses what leaves fewer than 1,000."""

STEPS: dict[str, list[tuple[Any, str]]] = {
    "stage": [(Ledger, "stage")],
    "resolve": [(reconcile, "resolve")],
    "confirm": [(reconcile, "_confirm")],
    "commit": [(reconcile, "_commit_desired")],
    "plan": [(reconcile, "make_plan")],
    "files": [(delivery, "write_files")],
    "upload": [(TikTok, "upload")],
    "intent": [(Ledger, "intend")],
    "call": [(TikTok, "create"), (TikTok, "update")],
    "outcome": [(Ledger, "accepted")],
    "hold": [(Ledger, "hold")],
    "journal": [(Ledger, "journal")],
    "reserve": [(LedgerSession, "reserve")],
    "save": [(LedgerSession, "save")],
    "state": [(TargetTikTokAudiences, "_write_state_message")],
    "close": [(LedgerSession, "close")],
}
"""The steps of a run, and the functions that take them."""


@contextmanager
def interrupted(step: str, when: str, stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` before or after a step of the run."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if when == "before":
                stop()
            result = original(*arguments, **named)
            if when == "after":
                stop()
            return result

        return wrapped

    patches = [mock.patch.object(owner, name, wrap(getattr(owner, name))) for owner, name in STEPS[step]]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


class Killed(BaseException):
    """The process dies here, as far as the ledger and TikTok can tell."""


@contextmanager
def killed(step: str, when: str, ledgers: Path | str) -> Iterator[Sequence[object]]:
    """Let a run in this process leave what `kill -9` would leave: the ledgers as they are at that moment.

    What the run still writes on its way out is undone. Gives a list that is not empty once it happened.
    """
    happened: list[Callable[[], None]] = []

    def stop() -> None:
        if not happened:
            happened.append(_remember(ledgers))
        raise Killed

    with interrupted(step, when, stop):
        yield happened
    for restore in happened:
        restore()


def _remember(ledgers: Path | str) -> Callable[[], None]:
    """Give what makes a folder, or a store in this process's memory, as it is now."""
    if isinstance(ledgers, str):
        objects = MemoryFileSystem.store
        now = dict(objects)
        return lambda: (objects.clear(), objects.update(now))[0]
    snapshot = ledgers.with_name("snapshot")
    if ledgers.exists():
        shutil.copytree(ledgers, snapshot)

    def restore() -> None:
        shutil.rmtree(ledgers, ignore_errors=True)
        if snapshot.exists():
            snapshot.rename(ledgers)

    return restore


@contextmanager
def once(step: str, when: str, work: Callable[[], object]) -> Iterator[None]:
    """Do something before or after a step of the run, the first time that it is taken."""
    todo = [work]
    with interrupted(step, when, lambda: todo and todo.pop()()):
        yield


def digest(number: int) -> str:
    return hashlib.sha256(email(number).encode()).hexdigest()


@dataclass(frozen=True)
class Change:
    """What happens to a row: it is set to a person, or loses its identifier in one of many ways."""

    row: int
    kind: str
    person: int = 0

    @property
    def values(self) -> dict[str, Any]:
        """The columns of the record that tells of it."""
        values: dict[str, dict[str, Any]] = {
            "set": {"email": email(self.person)},
            "null": {"email": None},
            "bad": {"email": "nobody"},
            "absent": {"phone": "1"},
            "deleted": {"email": email(self.person), "_sdc_deleted_at": "2026-01-01T00:00:00Z"},
            "key": {"_sdc_deleted_at": "2026-01-01T00:00:00Z"},
        }
        return values[self.kind]


@dataclass
class Table:
    """One source table, with the log of its changes."""

    stream: str
    log: list[Change] = field(default_factory=list)

    def rows(self) -> dict[int, Change]:
        """Give the last change of each row; one that lacks the identifier says nothing of it."""
        rows: dict[int, Change] = {}
        for change in self.log:
            if change.kind != "absent" or change.row not in rows:
                rows[change.row] = change
        return rows

    def people(self, load_method: str) -> set[int]:
        """Give who should be in the audience: of an append-only stream everybody who ever came."""
        changes = self.log if load_method == "append-only" else self.rows().values()
        return {change.person for change in changes if change.kind == "set"}


@dataclass
class Source:
    """The tables of one tap, and the STATE that Meltano keeps for it."""

    load_method: str
    state: dict[str, Any] | None = None
    tables: dict[str, Table] = field(default_factory=lambda: {name: Table(name) for name in (BASE, VARYING)})

    def __post_init__(self) -> None:
        """Begin with the people who stay."""
        self.tables[BASE].log += [Change(row, "set", row) for row in range(BASE_PEOPLE)]
        self.tables[VARYING].log.append(Change(-1, "set", BASE_PEOPLE))

    def change(self, *changes: Change) -> None:
        """Change the table; one for `append-only` has new rows only."""
        table = self.tables[VARYING]
        for change in changes:
            new = self.load_method == "append-only"
            table.log.append(Change(len(table.log), change.kind, change.person) if new else change)

    @property
    def staying(self) -> set[str]:
        """Those who are in the table for good, so whom the audience may never lose."""
        return {digest(person) for person in self.tables[BASE].people(self.load_method)}

    @property
    def wanted(self) -> list[str]:
        """What the audience should hold, sorted."""
        people = set().union(*(table.people(self.load_method) for table in self.tables.values()))
        return sorted(digest(person) for person in people)

    def messages(self, *streams: str) -> list[dict[str, Any]]:
        """Give what the tap sends: STATE as it was given, and of each stream what STATE does not acknowledge."""
        given = copy.deepcopy(self.state) or {"bookmarks": {}}
        messages: list[dict[str, Any]] = [{"type": "STATE", "value": copy.deepcopy(given)}] if self.state else []
        for name in streams or (BASE, VARYING):
            table, bookmark = self.tables[name], given["bookmarks"].get(name, {})
            if self.load_method == "overwrite":
                changes, bookmark = list(table.rows().values()), {"version": len(table.log)}
            else:
                # The newest record comes again each time, as it does from a tap that goes by a replication key.
                changes = table.log[bookmark.get("replication_key_value", 0) :]
                bookmark = {"replication_key": "n", "replication_key_value": len(table.log) - 1}
            messages += [schema(name), *(record(change.row, name, **change.values) for change in changes)]
            given["bookmarks"][name] = bookmark
        return [*messages, {"type": "STATE", "value": given}]
