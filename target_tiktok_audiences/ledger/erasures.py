"""Who was erased, for all ledgers of a folder: one file for each contract, beside them.

A ledger takes over what is new to it when it is opened. So one write is all that an erasure needs to hold for good:
for the audiences whose ledgers are in use, damaged or lost, and for those that are still to come.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from target_tiktok_audiences.runtime.errors import LedgerBusy, UserError
from target_tiktok_audiences.runtime.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from target_tiktok_audiences.ledger.object_store import ObjectStore


_BYTES = 32
_ROUNDS = 5


class ErasuresUnreadable(UserError):
    """A file that says who was erased, and cannot be read: to go on without it could bring them back."""


class Erasures:
    """The files of one folder, or of the store that it is fetched from.

    In a dry run, and without a folder, they are not written.
    """

    def __init__(self, folder: Path | None, store: ObjectStore | None = None, *, save: bool) -> None:
        self._folder = folder
        self._store = store
        self._save = save and folder is not None
        self._unsaved: dict[str, dict[bytes, str]] = {}

    def of(self, contract: str) -> dict[bytes, str]:
        """Give the digests that were erased, each with the time. Raises `ErasuresUnreadable` and `OSError`."""
        return {**self._read(contract)[1], **self._unsaved.get(contract, {})}

    def add(self, contract: str, digests: Iterable[bytes], now: datetime) -> None:
        """Note digests, and keep the time of those that are noted already."""
        since = now.isoformat(timespec="seconds")
        if not self._save:
            self._unsaved.setdefault(contract, {}).update(dict.fromkeys(digests, since))
            return
        self.take_over(dict.fromkeys(digests, since), contract)

    def take_over(self, erased: Mapping[bytes, str], contract: str) -> None:
        """Note digests that another list has, each with its time."""
        with self._alone():
            for _ in range(_ROUNDS if erased else 0):  # another machine may be faster
                if self._note(contract, erased):
                    return
        if erased:
            raise LedgerBusy(
                "Another machine notes who is erased, or was killed at it. Nobody was erased now; do it again in"
                " twenty minutes."
            )

    def _note(self, contract: str, erased: Mapping[bytes, str]) -> bool:
        number, noted = self._read(contract)
        lines = "".join(f"{digest.hex()} {at}\n" for digest, at in sorted({**erased, **noted}.items()))
        file = self._file(contract)
        if self._store:
            return self._store.append(file.name, number + 1, lines.encode())
        write_atomic(file, lines.encode())
        return True

    def _read(self, contract: str) -> tuple[int, dict[bytes, str]]:
        """Give the digests, and the number of that list where it is in a store."""
        if self._folder is None:
            return 0, {}
        file = self._file(contract)
        try:
            number, content = self._store.newest(file.name) if self._store else (0, file.read_bytes())
            lines = [line.split() for line in content.decode("ascii").splitlines()]
            erased = {bytes.fromhex(digest): since for digest, since in lines}
        except FileNotFoundError:
            return 0, {}
        except ValueError:
            erased = {b"": ""}
        if any(len(digest) != _BYTES for digest in erased):
            raise ErasuresUnreadable(
                f"The list of those who were erased is damaged: {self._store.name if self._store else file.parent}/"
                f"{file.name}. Nothing is sent without it. Restore it from a backup; or remove it, and erase those"
                " people again."
            )
        return number, erased

    def _file(self, contract: str) -> Path:
        assert self._folder is not None  # noqa: S101 - asked before
        return self._folder / f"erased-{contract}.txt"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let two erasures at a time write one after the other."""
        assert self._folder is not None  # noqa: S101 - asked before
        descriptor = os.open(self._folder / ".erased.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
