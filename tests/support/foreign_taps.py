"""Taps of others, the tables that they read, and the pipe from them to the target: all real processes."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from playground import ROOT, TARGET, free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from customers import Customer

SDK = ("meltanolabs-tap-postgres==0.10.0", "meltano-map-transform==0.12.3")
SINGER_PYTHON = ("pipelinewise-tap-postgres==2.1.0", "pipelinewise-tap-mysql==1.6.0")
FILES = ("tap-spreadsheets==1.1.2",)
"""What is installed together, in versions that the page of taps tells of."""

DEADLINE_S = 120
PACKAGE = "target_tiktok_audiences"
FOREIGN = ("MELTANO_", "TAP_", "TARGET_TIKTOK_AUDIENCES_", "PYTHONPATH")


def programs(packages: tuple[str, ...]) -> Path:
    """Give the folder of the packages' programs; the first who asks installs them, into an environment of their own."""
    if packages is SINGER_PYTHON and sys.version_info >= (3, 12):
        pytest.skip(f"{', '.join(packages)} need Python 3.11 or older")
    home = ROOT / ".venv-taps" / packages[0].partition("==")[0]
    home.parent.mkdir(exist_ok=True)
    recipe = "\n".join((sys.version, *packages))
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "recipe").exists() or (home / "recipe").read_text() != recipe:
            subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", home], check=True)
            uv = ["uv", "pip", "install", "--quiet", "--python", str(home / "bin" / "python")]
            # As uv does, ignore what a package says of Pythons newer than those it knows.
            pip = ["pip", "--python", str(home / "bin" / "python"), "install", "--quiet", "--ignore-requires-python"]
            installer = pip if (ROOT / ".venv" / "uv-unfit").exists() else uv
            command = [sys.executable, "-m", *installer, *packages]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            (home / "recipe").write_text(recipe)
    return home / "bin"


# --- Tables ---


class Table(Protocol):
    """A table of customers that a tap reads."""

    def write(self, customers: Iterable[Customer]) -> None:
        """Insert rows, or put them in the place of those with the same ids."""

    def delete(self, ids: Iterable[int]) -> None:
        """Delete rows, so that nothing tells of them any more."""

    def read(self) -> list[Customer]:
        """Give all rows."""


class File:
    """A table in a file, which is written anew at each change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[int, Customer] = {}
        self._changes = 0

    def write(self, customers: Iterable[Customer]) -> None:
        """Insert rows, or put them in the place of those with the same ids."""
        self._rows |= {customer.id: customer for customer in customers}
        self._save()

    def delete(self, ids: Iterable[int]) -> None:
        """Delete rows."""
        for number in ids:
            del self._rows[number]
        self._save()

    def read(self) -> list[Customer]:
        """Give all rows."""
        return list(self._rows.values())

    def _save(self) -> None:
        lines: list[list[Any]] = [["id", "E-Mail", "phone"], *([row.id, row.email, row.phone] for row in self.read())]
        if self.path.suffix == ".xlsx":
            command = [str(programs(FILES) / "python"), "-c", _WRITE_BOOK, str(self.path)]
            subprocess.run(command, input=json.dumps(lines), text=True, check=True, timeout=DEADLINE_S)
        else:
            with self.path.open("w", newline="") as file:
                csv.writer(file).writerows(lines)
        self._changes += 1
        os.utime(self.path, (1_700_000_000 + self._changes,) * 2)  # the tap tells a changed file by the second


_WRITE_BOOK = """
import json, sys, openpyxl
book = openpyxl.Workbook()
for line in json.load(sys.stdin):
    book.active.append(line)
book.save(sys.argv[1])
"""


@dataclass
class MariaDB:
    """A MariaDB of our own, and its table of customers."""

    port: int
    password: str
    host: str = "127.0.0.1"
    user: str = "tap"
    _rows: dict[int, Customer] = field(default_factory=dict)

    def execute(self, *statements: str) -> bool:
        """Run statements through MariaDB's own client; tell whether they went well."""
        command = ["mariadb", "--no-defaults", f"--host={self.host}", f"--port={self.port}", f"--user={self.user}"]
        done = subprocess.run(
            [*command, "--default-character-set=utf8mb4"],
            input=";\n".join(statements),
            env=os.environ | {"MYSQL_PWD": self.password},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return done.returncode == 0

    def create_table(self) -> None:
        """Make the table anew, without rows."""
        self._rows.clear()
        assert self.execute(
            "drop database if exists shop",
            "create database shop character set utf8mb4",
            "create table shop.customers (id bigint primary key, name text not null, email text, phone text,"
            " updated_at datetime(6) not null)",
        )

    def write(self, customers: Iterable[Customer]) -> None:
        """Insert rows, or put them in the place of those with the same ids."""
        rows = {customer.id: customer for customer in customers}
        self._rows |= rows
        values = ", ".join(
            f"({row.id}, {', '.join(map(_literal, (row.name, row.email, row.phone)))}, '{row.updated_at:%F %T.%f}')"
            for row in rows.values()
        )
        changed = ", ".join(f"{column} = values({column})" for column in ("name", "email", "phone", "updated_at"))
        assert self.execute(f"insert into shop.customers values {values} on duplicate key update {changed}")

    def delete(self, ids: Iterable[int]) -> None:
        """Delete rows."""
        gone = [self._rows.pop(number).id for number in ids]
        assert self.execute(f"delete from shop.customers where id in ({', '.join(map(str, gone))})")

    def read(self) -> list[Customer]:
        """Give all rows."""
        return list(self._rows.values())


def _literal(value: str | None) -> str:
    return "null" if value is None else f"x'{value.encode().hex()}'"


@contextmanager
def mariadb(log: Path) -> Iterator[MariaDB]:
    """Run Debian's MariaDB with a binary log, and forget its data afterwards; skip where there is none."""
    server = shutil.which("mariadbd", path="/usr/sbin:/usr/bin")
    if not server or not shutil.which("mariadb-install-db") or not shutil.which("mariadb"):
        pytest.skip("MariaDB is missing (Debian: apt install mariadb-server-core mariadb-client-core)")
    with tempfile.TemporaryDirectory(prefix="mariadb-") as name:
        home, options = Path(name), dict[str, Any]()
        if os.geteuid() == 0:  # it refuses to run as root
            nobody = pwd.getpwnam("nobody")
            options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(home, nobody.pw_uid, nobody.pw_gid)
        data = f"--datadir={home / 'data'}"
        install = ["mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal"]
        with log.open("ab") as output:
            subprocess.run([*install, "--skip-test-db"], check=True, cwd=home, stdout=output, stderr=output, **options)
        database = MariaDB(port=free_port(), password=secrets.token_hex(16))
        (home / "users").write_text(
            f"create user {database.user}@{database.host} identified by '{database.password}';\n"
            f"grant all on *.* to {database.user}@{database.host};\n"
            "delete from mysql.global_priv where user = 'root';\n"
            "flush privileges;\n"
        )
        flags = {"port": database.port, "bind-address": database.host, "socket": home / "socket", "server-id": 1}
        flags |= {"log-bin": "log", "binlog-format": "ROW", "pid-file": home / "pid", "init-file": home / "users"}
        command = [server, "--no-defaults", data, *(f"--{flag}={value}" for flag, value in flags.items())]

        with serving(command, log, lambda: database.execute("select 1"), cwd=home, **options):
            yield database


def logical_postgres() -> Path | None:
    """Give the programs of a PostgreSQL that has wal2json, which log-based taps ask for; the embedded one has not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/lib/wal2json.so"))
    return found[-1].parent.parent / "bin" if found else None


# --- The pipe ---


@dataclass
class Tap:
    """A tap, what it reads, and how."""

    packages: tuple[str, ...]
    program: str
    config: dict[str, Any]
    stream: str
    """The name that its records bear."""
    replication: dict[str, Any]
    """Metadata of the stream, for Meltano or a catalogue."""
    keeps_state: bool = True


@dataclass(frozen=True)
class Ran:
    """One run of the pipe."""

    exit_code: int
    log: str
    report: dict[str, Any]
    said: list[dict[str, Any]]
    """The tap's own messages, before any mapper."""

    @property
    def states(self) -> list[dict[str, Any]]:
        """The STATEs that the tap sent."""
        return [message["value"] for message in self.said if message["type"] == "STATE"]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records that the tap sent."""
        return [message["record"] for message in self.said if message["type"] == "RECORD"]


class Pipe:
    """`tap | mapper | target`, which hands each run the state that the one before has left."""

    def __init__(self, folder: Path, tap: Tap, settings: Mapping[str, Any], mapper: Mapping[str, Any] | None) -> None:
        self.folder = folder
        self.tap = tap
        self.settings = {**settings, "report_path": str(folder / "report.json")}
        self.mapper = mapper

    @property
    def state(self) -> dict[str, Any]:
        """What is kept of the tap's STATE between runs."""
        return _read(self.folder / "state.json")

    def run(self, **settings: Any) -> Ran:
        """Run once; the settings are the target's."""
        (self.folder / "report.json").unlink(missing_ok=True)
        exit_code, log = self._run({**self.settings, **settings})
        lines = (self.folder / "tap.jsonl").read_text().splitlines()
        return Ran(exit_code, log, _read(self.folder / "report.json"), [json.loads(line) for line in lines])

    def _run(self, settings: dict[str, Any]) -> tuple[int, str]:
        """Run each process by itself, from file to file."""
        tap = [str(programs(self.tap.packages) / self.tap.program), "--config", self._write("tap", self.tap.config)]
        if not (self.folder / "catalog.json").exists():
            (self.folder / "catalog.json").write_text(json.dumps(self._catalog(tap)))
        tap += [
            "--catalog",
            "catalog.json",
            *(["--state", "state.json"] if self.state and self.tap.keeps_state else []),
        ]
        chain = {"tap.jsonl": tap}
        if self.mapper:
            mapper = str(programs(SDK) / "meltano-map-transform")
            chain["mapped.jsonl"] = [mapper, "--config", self._write("mapper", self.mapper)]
        chain["state.jsonl"] = [sys.executable, "-m", PACKAGE, "--config", self._write("target", settings)]
        given, log = Path(os.devnull), ""
        for output, command in chain.items():
            with given.open() as stdin, (self.folder / output).open("w") as stdout:
                done = self._process(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
            log += done.stderr
            if done.returncode:
                return done.returncode, log
            given = self.folder / output
        for line in given.read_text().splitlines():
            (self.folder / "state.json").write_text(line)
        return 0, log

    def _catalog(self, tap: list[str]) -> dict[str, Any]:
        done = self._process([*tap, "--discover"], capture_output=True)
        assert done.returncode == 0, done.stderr
        catalog: dict[str, Any] = json.loads(done.stdout)
        (stream,) = (stream for stream in catalog["streams"] if stream["tap_stream_id"] == self.tap.stream)
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"].update({"selected": True, **self.tap.replication})
        # Some taps look here, as they do in a catalogue from Meltano.
        stream.update({name.replace("-", "_"): value for name, value in self.tap.replication.items()})
        return {"streams": [stream]}

    def _process(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        environment |= {"PYTHONPATH": str(ROOT)} if PACKAGE in command else {}
        environment["NO_PROXY"] = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1")))
        return subprocess.run(
            command, cwd=self.folder, env=environment, text=True, timeout=DEADLINE_S, check=False, **options
        )

    def _write(self, name: str, content: Mapping[str, Any]) -> str:
        (self.folder / f"{name}.json").write_text(json.dumps(content))
        return f"{name}.json"


class MeltanoPipe(Pipe):
    """`meltano run tap mapper target`."""

    @property
    def state(self) -> dict[str, Any]:
        """What Meltano has stored of the tap's STATE."""
        found = list((self.folder / "state").rglob("state.json"))
        return dict(_read(found[0])["completed"].get("singer_state", {})) if found else {}

    def _run(self, settings: dict[str, Any]) -> tuple[int, str]:
        tap = {
            **self._plugin(self.tap.program, f"{programs(self.tap.packages) / self.tap.program} $* | tee tap.jsonl"),
            "capabilities": ["catalog", "discover", "properties", "state"],
            "config": self.tap.config,
            "select": [f"{self.tap.stream}.*"],
            "metadata": {self.tap.stream: self.tap.replication},
        }
        mapper = {
            **self._plugin("meltano-map-transform", f"{programs(SDK) / 'meltano-map-transform'} $*"),
            "mappings": [{"name": "mapped", "config": self.mapper}],
        }
        target = {
            **self._plugin(TARGET, f"PYTHONPATH={ROOT} {sys.executable} -m {PACKAGE} $*"),
            "capabilities": ["batch", "stream-maps"],
            "config": settings,
        }
        plugins = {"extractors": [tap], "loaders": [target], **({"mappers": [mapper]} if self.mapper else {})}
        project: dict[str, Any] = {"default_environment": "dev", "environments": [{"name": "dev"}], "plugins": plugins}
        project |= {"state_backend": {"uri": (self.folder / "state").as_uri()}, "send_anonymous_usage_stats": False}
        (self.folder / "meltano.yml").write_text(json.dumps(project))  # which is YAML, too
        meltano = str(ROOT / ".venv-meltano" / "bin" / "meltano")
        names = [self.tap.program, *(["mapped"] if self.mapper else []), TARGET]
        done = self._process([meltano, "run", *names], stdin=subprocess.DEVNULL, capture_output=True)
        return done.returncode, done.stdout + done.stderr

    def _plugin(self, name: str, line: str) -> dict[str, Any]:
        """Wrap a program, for Meltano to run as a plugin that it need not install."""
        script = self.folder / f"{name}.sh"
        script.write_text(f"#!/bin/bash\nset -o pipefail\n{line}\n")
        script.chmod(0o755)
        return {"name": name, "namespace": name.replace("-", "_"), "executable": f"./{script.name}"}


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content
