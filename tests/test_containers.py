"""A container as orchestrators run it: a root that cannot be written, no volume, the target as process 1, SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from emulator_client import ADVERTISER, TOKEN
from s3 import SECRET, serve_s3
from singer import digests, schema, stream_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emulator_client import Client
    from s3 import S3

GRACE_S = 10
"""What Docker and Amazon's tasks give between SIGTERM and SIGKILL at the least."""

MAKE = 'mount --bind / / && mount -o remount,bind,ro / && mount -t tmpfs -o size=64m tmpfs "$TMPDIR" && exec "$@"'
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", MAKE, "sh"]
TARGET = [sys.executable, "-m", "target_tiktok_audiences"]


def can_be_made() -> bool:
    try:
        return not subprocess.run(["unshare", "--mount", "--pid", "true"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not can_be_made(), reason="needs Linux and the right to make namespaces (root)")


@dataclass
class Container:
    """What an image and a task's definition would say; only TMPDIR can be written, and it is gone at the end."""

    folder: Path
    config: dict[str, Any]

    def start(self, **config: Any) -> subprocess.Popen[str]:
        temporary = self.folder / "in-container"
        temporary.mkdir(exist_ok=True)
        file = self.folder / "config.json"
        file.write_text(json.dumps({**self.config, **config}))
        streams: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        variables = {**os.environ, "HOME": "/", "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen([*UNSHARE, *TARGET, "--config", str(file)], cwd="/", env=variables, **streams)

    def run(self, messages: Sequence[object], **config: Any) -> tuple[int, str, str]:
        process = self.start(**config)
        out, log = process.communicate("".join(f"{json.dumps(message)}\n" for message in messages), timeout=60)
        assert not list((self.folder / "in-container").iterdir())
        return process.returncode, out, log


@pytest.fixture
def container(tiktok: Client, tmp_path: Path) -> Container:
    config = {
        "access_token": TOKEN,
        "advertiser_id": ADVERTISER,
        "contract": "EMAIL_SHA256",
        "api_url": tiktok.base,
    }
    return Container(tmp_path, config)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    with serve_s3(monkeypatch) as served:
        yield served


def members(tiktok: Client) -> list[str]:
    (audience,) = tiktok.control("audiences").json()
    return tiktok.members(audience["audience_id"])


def test_the_root_cannot_be_written_and_the_ledger_is_in_a_store(container: Container, tiktok: Client, s3: S3) -> None:
    code, out, log = container.run(stream_of(1, 1200), ledger_path=s3.place)
    assert code == 0, log
    tiktok.advance(49)
    state = {"type": "STATE", "value": json.loads(out)}
    code, out, log = container.run([state, *stream_of(1201, 1210)], ledger_path=s3.place)
    assert code == 0, log
    assert out, "the ledger has proved to last, so state goes out"
    assert SECRET not in log
    tiktok.advance(49)
    assert members(tiktok) == digests(1, 1210)


def test_without_a_volume_or_a_store_the_run_says_so_before_it_reads(container: Container, tiktok: Client) -> None:
    code, out, log = container.run(stream_of(1, 1200))
    last = log.splitlines()[-1]
    assert (code, out) == (1, "")
    assert "`ledger_path` cannot be used" in last
    assert "Read-only file system" in last
    assert not tiktok.requests()


@pytest.mark.parametrize("load_method", ["append-only", "overwrite"])
def test_in_memory_it_stays_right_and_an_unchanged_table_is_silent(
    container: Container, tiktok: Client, load_method: str
) -> None:
    settings = {"ledger_path": ":memory:", "load_method": load_method}
    end = {"type": "STATE", "value": {"bookmarks": {}}}
    code, out, log = container.run([*stream_of(1, 1200)[:-1], end], **settings)
    assert code == 0, log
    tiktok.advance(49)
    known = {"type": "STATE", "value": json.loads(out)}
    sent = len(tiktok.requests())
    code, out, log = container.run([known, *stream_of(1, 1200)[:-1], end], **settings)
    assert code == 0, log
    assert not [each for each in tiktok.requests()[sent:] if each["method"] == "POST"]
    code, out, log = container.run([known, *stream_of(101, 1210)[:-1], end], **settings)
    assert code == 0, log
    tiktok.advance(49)
    assert members(tiktok) == (digests(1, 1210) if load_method == "append-only" else digests(101, 1210))


def test_sigterm_ends_process_1_within_the_grace_period_and_a_retry_does_the_work(
    container: Container, tiktok: Client, s3: S3
) -> None:
    process = container.start(ledger_path=s3.place)
    assert process.stdin
    assert process.stderr
    process.stdin.write("".join(f"{json.dumps(message)}\n" for message in [schema(), *stream_of(1, 1200)[1:-1]]))
    process.stdin.flush()  # and it stays open: the tap still reads
    inside = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    began = time.monotonic()
    while process.poll() is None:  # before it watches for signals they do nothing to process 1
        for child in inside.read_text().split():
            os.kill(int(child), signal.SIGTERM)
        time.sleep(0.1)
        assert time.monotonic() - began < GRACE_S
    out, log = process.communicate()
    assert process.returncode == 143, log
    assert out == ""
    assert not tiktok.control("audiences").json()
    code, _, log = container.run(stream_of(1, 1200), ledger_path=s3.place)
    assert code == 0, log
    tiktok.advance(49)
    assert members(tiktok) == digests(1, 1200)
