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
import yaml
from support.emulator_client import ADVERTISER, TOKEN
from support.s3 import SECRET, serve_s3
from support.singer import digests, schema, stream_of

from docs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from support.emulator_client import Client
    from support.s3 import S3

GRACE_S = 10
"""What Docker and Amazon's tasks give between SIGTERM and SIGKILL at the least."""

MAKE = """
mount --bind / / && mount -o remount,bind,ro / || exit
for folder in $WRITABLE; do mount -t tmpfs -o size=64m tmpfs "$folder" || exit; done
exec "$@"
"""
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
        variables = {
            **os.environ,
            "HOME": "/",
            "TMPDIR": str(temporary),
            "WRITABLE": str(temporary),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
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


def test_meltano_runs_as_the_page_has_it(container: Container, tiktok: Client, s3: S3) -> None:
    """The page's job: its arguments, its environment, and nothing to write but what it mounts."""
    page = (ROOT / "docs/how-to/containers.md").read_text()
    job = yaml.safe_load(page.partition("```yaml")[2].partition("```")[0])
    (described,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    temporary, project = container.folder / "in-container", container.folder / "project"
    places = {"s3://bucket/state": f"file://{temporary}/state", "s3://bucket/ledgers": s3.place}
    mounts = [mount["mountPath"] for mount in described["volumeMounts"]]
    here = {"/tmp": str(temporary), "/project": str(project)}

    def placed(path: str) -> str:
        return next((path.replace(there, place, 1) for there, place in here.items() if there in path), path)

    tap = "#!/bin/sh\ncat <<'END'\n" + "".join(f"{json.dumps(message)}\n" for message in stream_of(1, 1200)) + "END\n"
    for folder in (temporary, *(Path(placed(mount)) for mount in mounts), project / ".meltano/extractors/tap-postgres"):
        folder.mkdir(parents=True, exist_ok=True)
    (project / "tap").write_text(tap)
    (project / "tap").chmod(0o755)
    (project / "meltano.yml").write_text(PROJECT)
    meltano = str(ROOT / ".venv-meltano/bin/meltano")
    secrets = {f"TARGET_TIKTOK_AUDIENCES_{name.upper()}": value for name, value in container.config.items()}
    variables = {
        **os.environ,
        **secrets,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
    }
    installed = [meltano, "invoke", "target-tiktok-audiences", "--version"]
    subprocess.run(installed, cwd=project, env=variables, check=True, capture_output=True, timeout=60)
    variables |= {each["name"]: placed(places.get(each["value"], each["value"])) for each in described["env"]}
    variables |= {"TMPDIR": str(temporary), "WRITABLE": " ".join(map(placed, mounts))}
    command = [*UNSHARE, meltano, *described["args"]]
    ended = subprocess.run(command, cwd=project, env=variables, check=False, capture_output=True, text=True, timeout=90)
    assert ended.returncode == 0, ended.stderr
    tiktok.advance(49)
    assert members(tiktok) == digests(1, 1200)
    assert any(".json." in name for name in s3.names())


PROJECT = """
default_environment: prod
environments: [{name: prod}]
plugins:
  extractors:
  - {name: tap-postgres, namespace: tap_postgres, executable: ./tap, capabilities: []}
  loaders:
  - name: target-tiktok-audiences
    namespace: target_tiktok_audiences
    executable: target-tiktok-audiences
    capabilities: [about, structured-logging]
    settings:
    - {name: access_token, sensitive: true}
    - {name: advertiser_id}
    - {name: api_url}
    - {name: contract}
    - {name: ledger_path}
"""
