"""A machine that fails: a full disk, folders that cannot be written, no handles, pipes that break.

Each run ends with a clear last line and the right exit code, leaves nothing temporary, and loses nothing: the next one,
on a healthy machine, makes TikTok hold what the source says.
"""

from __future__ import annotations

import ctypes
import io
import json
import logging
import multiprocessing
import os
import resource
import shutil
import subprocess
import tempfile
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.plugin_base import _ConfigInput
from support.emulated import changes, members
from support.kills import become_calm, check
from support.process import lines
from support.singer import digests, stream_of
from support.source import STEPS, Change, Source, interrupted
from support.target import MARKER
from support.terminal import EXECUTABLE, environment

from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.connection import Connection

    from support.emulated import Messages
    from support.emulator_client import Client
    from support.target import Target

DEADLINE_S = 60
NEW_USER, NEW_MOUNTS, PRIVATE_AND_BELOW = 0x10000000, 0x00020000, 0x44000
PAGE = 4096
REMOUNT_READ_ONLY = 0x21


@pytest.fixture(scope="module", autouse=True)
def _fork_server() -> None:
    """Start it before a test watches its temporary files; its own stay until the end."""
    modules = ["target_tiktok_audiences.target", "target_tiktok_audiences.emulator", "pytest"]
    multiprocessing.get_context("forkserver").set_forkserver_preload(modules)
    forkserver.ensure_running()


# A run in a process of its own, which ails


def nothing_more_fits() -> None:
    """Let no file grow from now on: EFBIG, which a full disk's ENOSPC takes the same ways as."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def no_handles(left: int = 0) -> None:
    """Let no more than so many files be opened from now on."""
    free = os.open(os.devnull, os.O_RDONLY)  # the lowest number that is free
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + left, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def small_disk(folder: str, room: int) -> None:
    """Put a disk with so much room beside the files of a folder in its place, for this process alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    files = {path: path.read_bytes() for path in Path(folder).iterdir()}
    user, group = os.getuid(), os.getgid()
    if libc.unshare(NEW_USER | NEW_MOUNTS):
        raise PermissionError(ctypes.get_errno(), "a process may not have mounts of its own here")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    size = sum(-(-len(content) // PAGE) * PAGE for content in files.values()) + room
    libc.mount(None, b"/", None, PRIVATE_AND_BELOW, None)
    if libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, f"size={size or PAGE}".encode()):
        raise PermissionError(ctypes.get_errno(), "nothing may be mounted here")
    for path, content in files.items():
        path.write_bytes(content)


@dataclass(frozen=True)
class Fault:
    """What ails the machine, from the start of a run or from before one of its steps."""

    strike: Callable[..., None]
    arguments: tuple[Any, ...] = ()
    step: str | None = None


def ail(outbox: Connection, config: dict[str, Any], given: bytes, folders: tuple[str, str, str], fault: Fault) -> None:
    """Run the target in this process, which ails; what is left on a small disk is copied to where it stays."""
    tempfile.tempdir, disk, kept = folders
    stdout, log = io.StringIO(), io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(log))
    TargetTikTokAudiences.sleep = staticmethod(lambda _: None)
    limits = {name: resource.getrlimit(name) for name in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)}
    strike = partial(fault.strike, *fault.arguments)
    code: object = 0
    try:
        if not fault.step:
            strike()
        with redirect_stdout(stdout), interrupted(fault.step, "before", strike) if fault.step else nullcontext():
            TargetTikTokAudiences.invoke(config=_ConfigInput(config), file_input=io.BytesIO(given))  # type: ignore[arg-type]
    except SystemExit as end:
        code = end.code
    except (AttributeError, OSError) as refused:  # of `small_disk`: the target ends by SystemExit
        code = str(refused)
    for name, limit in limits.items():
        resource.setrlimit(name, limit)
    shutil.copytree(disk, kept, dirs_exist_ok=True)
    outbox.send((code, stdout.getvalue(), log.getvalue()))


@dataclass(frozen=True)
class Ended:
    """How a run on a machine that ails ended."""

    code: int
    stdout: str
    log: str

    @property
    def last_line(self) -> str:
        return self.log.splitlines()[-1]

    @property
    def state(self) -> dict[str, Any] | None:
        state: dict[str, Any] | None = json.loads(self.stdout) if self.stdout else None
        return state


def run_ailing(target: Target, messages: Iterable[object], fault: Fault, disk: Path | None = None) -> Ended:
    """Run once in a process that ails; check what must be so however it ended.

    `disk` is the folder that the fault puts a small disk in the place of.
    """
    temporary = target.folder / "ailing"
    temporary.mkdir(exist_ok=True)
    kept = target.folder / "kept"
    given = "".join(f"{json.dumps(message)}\n" for message in messages).encode()
    inbox, outbox = multiprocessing.Pipe(duplex=False)
    config = {name: value for name, value in target.config.items() if value is not None}
    folders = (str(temporary), str(disk or temporary), str(kept))
    process = multiprocessing.get_context("forkserver").Process(
        target=ail, args=(outbox, config, given, folders, fault), daemon=True
    )
    process.start()
    outbox.close()
    with inbox:
        assert inbox.poll(DEADLINE_S), "it hangs"
        code, stdout, log = inbox.recv()
    process.join(DEADLINE_S)
    assert process.exitcode == 0
    process.close()
    if isinstance(code, str):
        pytest.skip(f"NO SMALL DISK, SO NOT TESTED: {code}")
    if disk:
        shutil.rmtree(disk)
        shutil.copytree(kept, disk)
    assert MARKER not in stdout + log
    for noise in ("Traceback", "please report", "Exception ignored"):
        assert noise not in log, log
    assert list(temporary.iterdir()) == [], "temporary files stay behind"
    assert list(target.folder.rglob("*.partial")) == []
    return Ended(code, stdout, log)


def heal(target: Target, source: Source, ended: Ended) -> None:
    """Change the table, run on a healthy machine, and see that TikTok holds what the table says."""
    source.state = ended.state or source.state
    source.change(Change(0, "set", 4000), Change(7, "set", 2007))
    become_calm(target, source)
    check(target.tiktok, source)


@pytest.fixture
def source(target: Target, request: pytest.FixtureRequest) -> Source:
    """Set up a source and the target for its load method."""
    method = getattr(request, "param", "upsert")
    target.config |= {"load_method": method, "audience_name": "Customers", "min_audience_size": 1}
    target.config |= {"max_removal_percent": 100, "report_path": str(target.folder / "report.json")}
    source = Source(method)
    source.change(*(Change(row, "set", 2000 + row) for row in range(5)))
    return source


def begun(target: Target, source: Source) -> None:
    """Let there be an audience, a ledger that has proved to last, and a difference."""
    source.state = target.run(source.messages()).state
    target.tiktok.advance(60)
    source.change(Change(0, "set", 3000), Change(1, "deleted", 2001), Change(6, "set", 2006))


# A full disk


LONG = bool(os.environ.get("TEST_LONG"))
FULL_FROM = STEPS if LONG else ["stage", "commit", "intent", "outcome", "journal", "close"]


@pytest.mark.parametrize("step", FULL_FROM)
def test_a_disk_that_is_full_from_one_step_on(target: Target, source: Source, step: str) -> None:
    begun(target, source)
    ended = run_ailing(target, source.messages(), Fault(nothing_more_fits, step=step))
    assert ended.code == 1
    assert "File too large" in ended.last_line
    assert "Free disk space there" in ended.last_line
    assert ("TikTok has accepted the change, and the ledger cannot note it" in ended.last_line) is (step == "outcome")
    heal(target, source, ended)


@pytest.mark.parametrize("source", ["append-only", "overwrite"], indirect=True)
def test_a_creation_that_the_ledger_cannot_note(target: Target, source: Source) -> None:
    ended = run_ailing(target, source.messages(), Fault(nothing_more_fits, step="outcome"))
    assert (ended.code, ended.state) == (1, None)
    assert "TikTok has accepted the change, and the ledger cannot note it" in ended.last_line
    heal(target, source, ended)


@pytest.mark.parametrize("size", [0, 4096, 20_000, 60_000] if not LONG else range(0, 70_000, 5_000))
def test_files_that_may_not_grow_past_a_size(target: Target, source: Source, size: int) -> None:
    source.state = None
    fault = Fault(resource.setrlimit, (resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY)))
    ended = run_ailing(target, source.messages(), fault)
    assert (ended.code, ended.state) == (1, None), ended.log
    assert "File too large" in ended.last_line
    heal(target, source, ended)


@pytest.mark.parametrize("room", [0, 100_000])
def test_a_small_disk_for_what_the_streams_bring(target: Target, source: Source, room: int) -> None:
    disk = target.folder / "ailing"
    disk.mkdir()
    ended = run_ailing(target, source.messages(), Fault(small_disk, (str(disk), room)), disk)
    assert (ended.code, ended.state, target.tiktok.posts()) == (1, None, [])
    assert f"The streams' identifiers cannot be staged in {disk}" in ended.last_line
    assert "No space left on device. Free disk space there, or set TMPDIR to another folder" in ended.last_line
    heal(target, source, ended)


@pytest.mark.parametrize("room", [0, 16_384, 65_536] if not LONG else range(0, 400_000, 16_384))
def test_a_small_disk_for_the_ledger(target: Target, source: Source, room: int) -> None:
    begun(target, source)
    disk = target.folder / "ledgers"
    ended = run_ailing(target, source.messages(), Fault(small_disk, (str(disk), room)), disk)
    assert ended.code == 1
    for words in (str(disk), "No space left on device", "Free disk space there"):
        assert words in ended.last_line
    heal(target, source, ended)


@pytest.mark.parametrize("setting", ["report_path", "rejects_path"])
@pytest.mark.parametrize("room", [0, PAGE])
def test_a_small_disk_for_what_a_run_writes_beside(target: Target, source: Source, setting: str, room: int) -> None:
    begun(target, source)
    sent = target.tiktok.posts()
    disk = target.folder / "disk"
    disk.mkdir()
    (disk / "full").write_bytes(b"0")
    target.config[setting] = str(disk / "file")
    source.change(*(Change(100 + row, "bad") for row in range(3 if setting == "report_path" else 50)))
    target.config["max_reject_percent"] = 100
    ended = run_ailing(target, source.messages(), Fault(small_disk, (str(disk), room)), disk)
    assert ended.code == 1
    assert "No space left on device" in ended.last_line
    assert str(disk) in ended.last_line
    if setting == "report_path" and room:  # enough for the one at the start
        assert "`report_path` cannot be written." in ended.last_line
        assert ended.state
    else:
        assert (ended.state, target.tiktok.posts()) == (None, sent)
    heal(target, source, ended)


# Folders that cannot be written


@pytest.mark.parametrize(
    ("setting", "path", "words"),
    [
        ("ledger_path", "file", "`ledger_path` cannot be used. File exists"),
        ("ledger_path", "file/folder", "`ledger_path` cannot be used. Not a directory"),
        ("report_path", "file/report.json", "`report_path` cannot be written. Not a directory"),
        ("report_path", "nowhere/report.json", "`report_path` cannot be written. No such file or directory"),
        ("rejects_path", "file/rejects", "`rejects_path` cannot be written. Not a directory"),
        ("rejects_path", "nowhere/rejects", "`rejects_path` cannot be written. No such file or directory"),
    ],
)
def test_a_path_that_leads_nowhere_is_told_at_the_start(
    target: Target, tiktok: Client, setting: str, path: str, words: str
) -> None:
    (target.folder / "file").touch()
    outcome = target.run(stream_of(1, 1000), **{setting: str(target.folder / path)})
    assert (outcome.exit_code, outcome.state, tiktok.requests()) == (1, None, [])
    assert words in outcome.last_line
    named = f"{target.folder / 'file'}" if setting == "ledger_path" else f"{target.folder / path}."
    assert named in outcome.last_line
    assert "Correct the path, and run again." in outcome.last_line
    assert "completed processing" not in outcome.log, "told before anything is read"
    if setting != "report_path":
        assert outcome.report["run"]["exit_code"] == 1
        assert outcome.report["run"]["message"] == outcome.last_line


def read_only(folder: str) -> None:
    """Let a folder be read only, for this process alone, whoever it is."""
    small_disk(folder, 1_000_000)
    if ctypes.CDLL(None, use_errno=True).mount(None, folder.encode(), None, REMOUNT_READ_ONLY, None):
        raise PermissionError(ctypes.get_errno(), "nothing may be mounted read-only here")


@pytest.mark.parametrize("place", ["ledgers", "ailing"])
def test_a_read_only_folder_is_told_at_the_start(target: Target, source: Source, place: str) -> None:
    begun(target, source)
    sent = target.tiktok.requests()
    disk = target.folder / place
    disk.mkdir(exist_ok=True)
    ended = run_ailing(target, source.messages(), Fault(read_only, (str(disk),)), disk)
    assert (ended.code, ended.state, target.tiktok.requests()) == (1, None, sent)
    assert str(disk) in ended.last_line
    assert "Give this user write permission there" in ended.last_line
    assert "completed processing" not in ended.log, "told before anything is read"
    heal(target, source, ended)


# No file handles


@pytest.mark.parametrize("left", [0, 2, 5, 7] if not LONG else range(16))
def test_few_handles(target: Target, source: Source, left: int) -> None:
    begun(target, source)
    ended = run_ailing(target, source.messages(), Fault(no_handles, (left,)))
    assert ended.code == 1 or left >= 10
    if ended.code:
        assert "Too many open files" in ended.last_line
        assert "Raise the limit of open files (`ulimit -n`)" in ended.last_line
    heal(target, source, ended)


@pytest.mark.parametrize("step", STEPS if LONG else ["resolve", "files", "upload", "close"])
def test_no_handles_from_one_step_on(target: Target, source: Source, step: str) -> None:
    begun(target, source)
    ended = run_ailing(target, source.messages(), Fault(no_handles, step=step))
    if ended.code or step in {"stage", "resolve", "commit", "files", "upload"}:  # later on, what is let go of suffices
        assert ended.code == 1
        assert "Too many open files" in ended.last_line
        assert "Raise the limit of open files (`ulimit -n`)" in ended.last_line
    heal(target, source, ended)


# Standard streams that break


def run_in_shell(target: Target, messages: Messages, redirections: str) -> subprocess.CompletedProcess[str]:
    """Run the executable as a shell starts it."""
    config = target.folder / "config.json"
    config.write_text(json.dumps(target.config))
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {' '.join(EXECUTABLE)} --config {config} {redirections}"],
        input=lines(messages),
        capture_output=True,
        text=True,
        check=False,
        env=environment(target.folder),
        timeout=DEADLINE_S,
    )


@pytest.mark.parametrize(
    ("redirections", "words"), [("| exec <&-", "Broken pipe"), ("> /dev/full", "No space left on device")]
)
def test_a_state_that_cannot_be_written(target: Target, tiktok: Client, redirections: str, words: str) -> None:
    ended = run_in_shell(target, stream_of(1, 1000), redirections)
    assert ended.returncode == 1
    last_line = ended.stderr.splitlines()[-1]
    assert f"The state could not be written to standard output ({words})" in last_line
    assert "Exception ignored" not in ended.stderr
    assert list(target.folder.glob("target-*")) == []
    sent = changes(tiktok)
    tiktok.advance(60)
    again = target.run(stream_of(1, 1000))
    assert (again.audience["plan"], changes(tiktok), members(tiktok)) == ("NOTHING", sent, digests(1, 1000))
    assert again.state


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_nobody_hears_the_log(target: Target, tiktok: Client, redirection: str) -> None:
    good = run_in_shell(target, stream_of(1, 1000), redirection)
    assert (good.returncode, good.stderr, members(tiktok)) == (0, "", digests(1, 1000))
    assert json.loads(good.stdout)["bookmarks"]
    bad = run_in_shell(target, stream_of(1, 1000)[1:], redirection)
    assert (bad.returncode, bad.stdout, bad.stderr) == (1, "", "")
    assert list(target.folder.glob("target-*")) == []


def test_nobody_hears_anything(target: Target, tiktok: Client) -> None:
    ended = run_in_shell(target, stream_of(1, 1000), ">/dev/full 2>/dev/full")
    assert (ended.returncode, members(tiktok)) == (1, digests(1, 1000))
