"""Erasures, for all ledgers of a catalog: one file of erased digests for each contract, next to the ledgers.

A ledger applies new erasures when it is opened. So a single durable write makes an erasure permanent, also for
audiences whose ledgers are in use, damaged or lost, and for audiences that are created later.
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
    """The list of erasures cannot be read; continuing without it could add erased members again."""


class Erasures:
    """The lists of erasures in a folder, or in the object store that the folder is fetched from.

    Without a folder or with `save` off, additions are kept in memory only.
    """

    def __init__(self, folder: Path | None, store: ObjectStore | None = None, *, save: bool) -> None:
        self._folder = folder
        self._store = store
        self._save = save and folder is not None
        self._unsaved: dict[str, dict[bytes, str]] = {}

    def of(self, contract: str) -> dict[bytes, str]:
        """Return the time of erasure (ISO 8601) by digest. Raises `ErasuresUnreadable` and `OSError`."""
        return {**self._read(contract)[1], **self._unsaved.get(contract, {})}

    def add(self, contract: str, digests: Iterable[bytes], now: datetime) -> None:
        """Add digests; those that are listed already keep their time."""
        since = now.isoformat(timespec="seconds")
        if not self._save:
            self._unsaved.setdefault(contract, {}).update(dict.fromkeys(digests, since))
            return
        self.take_over(dict.fromkeys(digests, since), contract)

    def take_over(self, erased: Mapping[bytes, str], contract: str) -> None:
        """Add the digests of another list, each with its time. Raises `LedgerBusy`."""
        with self._locked():
            for _ in range(_ROUNDS if erased else 0):  # another machine may be faster
                if self._merge(contract, erased):
                    return
        if erased:
            raise LedgerBusy(
                "Another machine is writing the list of erasures, or was killed while doing so. Nothing was erased. Try"
                " again in 20 minutes."
            )

    def _merge(self, contract: str, erased: Mapping[bytes, str]) -> bool:
        number, existing = self._read(contract)
        lines = "".join(f"{digest.hex()} {at}\n" for digest, at in sorted({**erased, **existing}.items()))
        file = self._file(contract)
        if self._store:
            return self._store.append(file.name, number + 1, lines.encode())
        write_atomic(file, lines.encode())
        return True

    def _read(self, contract: str) -> tuple[int, dict[bytes, str]]:
        """Return the version number of the list (0 unless it is in an object store), and its digests."""
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
                f"The list of erasures is damaged: {self._store.name if self._store else file.parent}/{file.name}."
                " Nothing is sent without it. Restore it from a backup, or delete it and erase the same identifiers"
                " again."
            )
        return number, erased

    def _file(self, contract: str) -> Path:
        assert self._folder is not None  # noqa: S101 - the caller checks it
        return self._folder / f"erased-{contract}.txt"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the lists, and wait for another process that has them locked."""
        assert self._folder is not None  # noqa: S101 - the caller checks it
        descriptor = os.open(self._folder / ".erased.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
