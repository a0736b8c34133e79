"""The executable as a process: signals, standard streams, and what `--about` and the subcommands print."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.emulator_client import ADVERTISER, TOKEN
from support.process import lines
from support.singer import digests, people, record, schema, state, stream_of
from support.target import MARKER
from support.terminal import EXECUTABLE, environment, piped

from target_tiktok_audiences import __version__
from target_tiktok_audiences.config.schema import SCHEMA
from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.emulator_client import Client

BARE_TARGET = Path(__file__).parents[2] / "benchmarks/sdk_default.py"


def wait_until(process: subprocess.Popen[bytes], true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert process.poll() is None
        assert time.monotonic() < deadline


def test_records_in_state_out(config: str, tiktok: Client, tmp_path: Path) -> None:
    ended = piped("--config", config, folder=tmp_path, given=lines(stream_of(1, 1000)))
    assert ended.exit_code == 0, ended.stderr
    (audience,) = tiktok.control("audiences").json()
    assert tiktok.members(audience["audience_id"]) == digests(1, 1000)
    assert json.loads(ended.stdout)["bookmarks"]["customers"]["replication_key_value"] == 1000
    assert list(tmp_path.glob("target-*")) == []


def test_settings_from_the_environment_and_input_from_a_file(tiktok: Client, tmp_path: Path) -> None:
    given = tmp_path / "in.jsonl"
    given.write_text(lines(stream_of(1, 1000)))
    variables = {
        "TARGET_TIKTOK_AUDIENCES_ACCESS_TOKEN": TOKEN,
        "TARGET_TIKTOK_AUDIENCES_ADVERTISER_ID": ADVERTISER,
        "TARGET_TIKTOK_AUDIENCES_API_URL": tiktok.base,
        "TARGET_TIKTOK_AUDIENCES_LEDGER_PATH": ":memory:",
        "TARGET_TIKTOK_AUDIENCES_AUDIENCES": '[{"contract": "EMAIL_SHA256", "audience_name": "A"}]',
    }
    ended = piped("--config", "ENV", "--input", str(given), folder=tmp_path, **variables)
    assert ended.exit_code == 0, ended.stderr
    assert [audience["name"] for audience in tiktok.control("audiences").json()] == ["A"]
    wrong = {**variables, "TARGET_TIKTOK_AUDIENCES_BATCH_SIZE_ROWS": "many"}
    ended = piped("--config", "ENV", "--input", str(given), folder=tmp_path, **wrong)
    assert ended.exit_code == 1
    assert "TARGET_TIKTOK_AUDIENCES_BATCH_SIZE_ROWS must be a number" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_a_signal_in_mid_stream_publishes_nothing(
    config: str, tiktok: Client, tmp_path: Path, number: signal.Signals, level: str
) -> None:
    process = subprocess.Popen(
        [*EXECUTABLE, "--config", config],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(tmp_path, TARGET_TIKTOK_AUDIENCES_LOGLEVEL=level),
    )
    assert process.stdin
    process.stdin.write(lines([schema(), *people(1, 5000), state()]).encode())
    process.stdin.flush()
    wait_until(process, lambda: any(path.stat().st_size > 100_000 for path in tmp_path.glob("target-*/part-*")))
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert stdout == b""
    assert b"no STATE was emitted" in stderr.splitlines()[-1]
    assert b"Traceback" not in stderr
    assert MARKER.encode() not in stderr
    assert tiktok.posts() == []
    assert list(tmp_path.glob("target-*")) == []
    assert json.loads((tmp_path / "report.json").read_text())["run"]["exit_code"] == 128 + number


def test_a_signal_in_mid_upload_emits_no_state(config: str, tiktok: Client, tmp_path: Path) -> None:
    tiktok.fault(path="/dmp/custom_audience/file/upload/", delay_s=5)
    process = subprocess.Popen(
        [*EXECUTABLE, "--config", config],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
    )
    assert process.stdin
    process.stdin.write(lines(stream_of(1, 1000)).encode())
    process.stdin.close()
    wait_until(process, lambda: bool(list(tmp_path.glob("target-*/tmp*/upload-*"))))
    process.terminate()
    process.wait(timeout=30)
    assert process.stdout
    assert process.stderr
    assert (process.returncode, process.stdout.read()) == (143, b"")
    process.stdout.close()
    process.stderr.close()
    assert tiktok.control("audiences").json() == []
    assert list(tmp_path.glob("target-*")) == []


def test_closed_streams_and_text_that_is_no_unicode(config: str, tiktok: Client, tmp_path: Path) -> None:
    for closed in ("<&-", ">&-"):
        command = f"exec {' '.join(EXECUTABLE)} --config {config} {closed}"
        done = subprocess.run(
            ["bash", "-c", command], input="", capture_output=True, text=True, check=False, env=environment(tmp_path)
        )
        assert (done.returncode, "are needed" in done.stderr.splitlines()[-1]) == (1, True), closed
    (tmp_path / "in.jsonl").write_bytes(b'{"type": "RECORD", "stream": "\xff"}\n')
    ended = piped("--config", config, "--input", str(tmp_path / "in.jsonl"), folder=tmp_path)
    assert (ended.exit_code, "Line 1" in ended.stderr.splitlines()[-1]) == (1, True)
    assert tiktok.requests() == []


def test_an_unreadable_configuration(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"access_token": "SECRETTOKEN"')
    for name in ("missing.json", "bad.json"):
        ended = piped("--config", name, folder=tmp_path)
        assert ended.exit_code == 2
        assert f"no configuration can be read from {name}" in ended.stderr.replace("\n", " ")
        assert ("line 1, column" in ended.stderr) == (name == "bad.json")
        assert "Traceback" not in ended.stderr
        assert "SECRETTOKEN" not in ended.stderr


def test_rejects_that_cannot_be_written(config: str, tmp_path: Path) -> None:
    settings = {**json.loads((tmp_path / "config.json").read_text()), "rejects_path": str(tmp_path / "no" / "x")}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    ended = piped("--config", config, folder=tmp_path, given=lines([schema(), record(1)]))
    assert ended.exit_code == 1
    assert "No such file or directory" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("form", [[], ["--format", "json"], ["--format", "markdown"]])
def test_about_needs_no_configuration(form: list[str], tmp_path: Path) -> None:
    ended = piped("--about", *form, folder=tmp_path)
    assert ended.exit_code == 0, ended.stderr
    for name in SCHEMA["properties"]:
        assert name in ended.stdout


def test_version_and_help(tmp_path: Path) -> None:
    of_the_sdk: list[str] = []
    TargetTikTokAudiences.print_version(of_the_sdk.append)
    assert piped("--version", folder=tmp_path).stdout.splitlines() == of_the_sdk
    assert f"v{__version__}," in of_the_sdk[0]
    help_text = piped("--help", folder=tmp_path).stdout
    for word in ("--config", "--about", "contracts", "emulator"):
        assert word in help_text
    assert "identifier" in piped("contracts", "--help", folder=tmp_path).stdout


def loaded(*command: str, folder: Path) -> set[str]:
    """Give the packages that a process without input loads, but for Python's own."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=environment(folder),
        timeout=60,
    )
    modules = (line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if line.startswith("import time:"))
    return {module.partition(".")[0] for module in modules} - sys.stdlib_module_names


def test_a_run_without_input_loads_hardly_more_than_the_sdk(config: str, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("{}")
    of_the_sdk = loaded(str(BARE_TARGET), "--config", "empty.json", folder=tmp_path)
    ours = loaded(*EXECUTABLE[1:], "--config", config, folder=tmp_path)
    assert ours - of_the_sdk == {"msgspec", "target_tiktok_audiences"}


def test_the_version_is_told_without_the_sdk(tmp_path: Path) -> None:
    of_python = loaded("-c", "", folder=tmp_path)
    assert loaded(*EXECUTABLE[1:], "--version", folder=tmp_path) - of_python == {"target_tiktok_audiences"}


def test_contracts_are_printed_as_json_schemas(tmp_path: Path) -> None:
    every = json.loads(piped("contracts", folder=tmp_path).stdout)
    assert [schema["title"] for schema in every.values()] == [
        "audience_email",
        "audience_phone",
        "audience_gaid",
        "audience_idfa",
    ]
    one = json.loads(
        piped("contracts", "PHONE_SHA256", "--hashed", "--identifier-field", "sha", folder=tmp_path).stdout
    )
    assert one["properties"]["sha"]["pattern"] == "^[0-9a-fA-F]{64}$"
    assert piped("contracts", "FAX", folder=tmp_path).exit_code == 2


def test_runs_without_phone_numbers_never_load_phonenumbers() -> None:
    code = "import sys, target_tiktok_audiences.cli.main; sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
