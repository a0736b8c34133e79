"""Random and mutated input, and runs without ledgers."""

from __future__ import annotations

import io
import logging
import os
import random
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from support.mutations import CORPORA, Corpus, mutate
from target_tiktok_audiences.ledger.catalog import LedgerCatalog
from target_tiktok_audiences.runtime.logs import quiet_noisy_loggers

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE = os.environ.get("FUZZ_CASE")


WEIGHTS = [1 if "validate_records" in corpus.config else 3 for corpus in CORPORA.values()]  # validating is slow


def cases(block: int, size: int) -> Iterator[tuple[int, Corpus, bytes]]:
    """Give the cases of a block: its number, the valid stream, and that changed."""
    for number in [int(ONE)] if ONE else range(block * size, (block + 1) * size):
        chance = random.Random(number)  # a case is its number
        (corpus,) = chance.choices(list(CORPORA.values()), WEIGHTS)
        yield number, corpus, mutate(chance, corpus)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Catch everything that is logged, and keep it from pytest, which would remember it all."""
    quiet_noisy_loggers()  # as `invoke` does
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.DEBUG)
    monkeypatch.setattr(root, "handlers", [])
    text = io.StringIO()
    root.addHandler(logging.StreamHandler(text))
    return text


@pytest.fixture
def _in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep temporary files off the disk where that can be; making and removing folders takes most of a case."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield


@contextmanager
def no_ledgers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the ledgers out: opening one takes longer than all the rest."""
    with monkeypatch.context() as patched:
        opened = {"warning": "", "close": lambda: None}
        patched.setattr(LedgerCatalog, "open", lambda _folder, card: SimpleNamespace(**opened, card=card))
        yield
