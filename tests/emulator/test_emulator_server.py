"""The emulator as a process of its own, and in a thread."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests
from click.testing import CliRunner
from support.emulator_client import Client, digests, emulated

from target_tiktok_audiences.cli.emulator import emulator as command
from target_tiktok_audiences.emulator.emulator import Emulator
from target_tiktok_audiences.emulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    code = "from target_tiktok_audiences.cli.emulator import emulator; emulator()"
    arguments = [sys.executable, "-X", "dev", "-W", "error", "-c", code, "--port", "0", "--token", "other-token"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_it_listens_and_ends_quietly(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert process.stdout is not None
    first_line = process.stdout.readline()
    assert first_line.startswith("listening on http://127.0.0.1:")
    client = Client(first_line.split()[-1])
    client.headers = {"Access-Token": "other-token"}
    with requests.Session() as session:  # a connection kept alive must not keep the process alive
        assert session.get(f"{client.base}/user/info/", headers=client.headers, timeout=10).json()["code"] == 0
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "", "")


def test_the_flags_have_the_defaults_of_the_options() -> None:
    flags = {
        parameter.name: parameter.default for parameter in command.params if parameter.name not in {"host", "port"}
    }
    defaults = vars(Emulator())
    assert flags.pop("advertiser_ids") == list(defaults["advertiser_ids"])
    assert flags == {name: defaults[name] for name in flags}
    options = {name for name in Emulator.__dataclass_fields__ if name != "advertiser_ids"}
    assert set(flags) == options


def test_the_command_says_how_to_get_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(command)
    assert result.exit_code == 1
    assert "with [emulator] appended" in result.output
    assert len(result.output.splitlines()) == 1


def test_the_command_says_that_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(command, ["--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "Cannot listen on 127.0.0.1" in result.output
    assert len(result.output.splitlines()) == 1


def test_serving_starts_and_stops_fast_and_leaves_no_thread() -> None:
    before = threading.active_count()
    began = time.monotonic()
    for _ in range(10):
        with emulated() as client, requests.Session() as session:
            assert session.get(f"{client.base}/user/info/", timeout=10).status_code == 200
    assert time.monotonic() - began < 2
    assert threading.active_count() == before


def test_an_emulator_keeps_its_audiences_from_one_serving_to_the_next() -> None:
    emulator = Emulator(qps=0)
    with serve(emulator) as url:
        audience_id = Client(url).create(digests(1000))
    with serve(emulator) as url:
        assert len(Client(url).members(audience_id)) == 1000


def test_a_port_can_be_chosen_and_used_again_at_once() -> None:
    with serve(Emulator()) as url:
        port = int(url.rpartition(":")[2])
    with serve(Emulator(), port=port) as url:
        assert url == f"http://127.0.0.1:{port}"
        assert requests.get(url, timeout=10).status_code == 404


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), serve(Emulator(), port=port):
            pass


def test_an_error_in_the_block_comes_through_and_ends_the_server() -> None:
    with pytest.raises(ZeroDivisionError), serve(Emulator()) as url:
        raise ZeroDivisionError
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)


def test_nothing_is_logged_and_tokens_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    emulator = Emulator(token="a-token-of-mine", app_secret="a-secret-of-mine")
    with serve(emulator) as url:
        query = {"app_id": "emulator-app", "secret": "a-secret-of-mine"}
        headers = {"Access-Token": "a-token-of-mine"}
        requests.get(f"{url}/open_api/v1.3/oauth2/advertiser/get/", params=query, headers=headers, timeout=10)
    server_logs = [record for record in caplog.records if not record.name.startswith("urllib3")]
    assert "of-mine" not in "".join(record.getMessage() for record in server_logs)
    assert "of-mine" not in repr(emulator)
    assert "of-mine" not in repr(emulator.accounts)
