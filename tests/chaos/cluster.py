"""A PostgreSQL of our own that may be stopped the hard way; with a standby that takes over."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

import psycopg

from tests.chaos.facts import Crash
from tests.chaos.stepping import SteppingClock
from workrow.embedded import pg_bin
from workrow.embedded.account import Account

HOST = "127.0.0.1"
MAX_CONNECTIONS = 100
WAIT_SECONDS = 60
ABORTED = b" was terminated by signal "
"""What a server says that loses a backend and starts again; one that is stopped at once does not."""
RECOVERY_SECONDS = 1.0
"""A server that has crashed by itself is away for so long, or longer."""
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": MAX_CONNECTIONS,
    "fsync": "on",
    "shared_buffers": "64MB",
    "wal_level": "replica",
    "max_wal_senders": 5,
    "hot_standby": "on",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "500ms",
    "log_line_prefix": "%m [%p] %a ",
    "jit": "off",
}


def free_port() -> int:
    """A TCP port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def url_of(port: int, database: str = "chaos") -> str:
    """The libpq URL of a server on this machine."""
    return f"postgresql://postgres@{HOST}:{port}/{database}"


class Failed(Exception):
    """A program of PostgreSQL did not do what it was told."""


class Node:
    """One server: its data directory, its port, its log.

    Args:
        directory: where data and log are kept.
        name: of the data directory and the log file.
        logs: where the log goes.
        clock: what it has for a clock; None: the real one.
        programs: where PostgreSQL's programs are; None: the embedded ones.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        logs: Path,
        clock: SteppingClock | None = None,
        programs: Path | None = None,
    ) -> None:
        self.clock = clock
        self.programs = programs or pg_bin()
        self.account = Account.of(directory)
        self.directory = directory
        self.data = directory / name
        self.log = logs / f"postgres-{name}.log"
        self.port = free_port()
        self._heard = 0

    def initialise(self, settings: Mapping[str, object], encoding: str = "UTF8") -> None:
        """Make the data directory."""
        self._run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-locale", "-E", encoding, "-N")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def copy(self, primary: "Node") -> None:
        """Become a standby of `primary`; what was here before is lost."""
        shutil.rmtree(self.data, ignore_errors=True)
        source = f"host={HOST} port={primary.port} user=postgres application_name=standby"
        self._run("pg_basebackup", "-D", self.data, "-d", source, "-R", "-c", "fast", "-N")

    def start(self) -> None:
        """Start, and wait until it answers (or, a standby, until it follows)."""
        self._run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", WAIT_SECONDS, "-o", f"-p {self.port}", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop; "immediate" is what a loss of power does."""
        with suppress(Failed):
            self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", WAIT_SECONDS, "stop")

    def promote(self) -> None:
        """A standby becomes the primary."""
        self._run("pg_ctl", "-D", self.data, "-w", "-t", WAIT_SECONDS, "promote")

    def has_aborted(self) -> bool:
        """Whether it has crashed by itself since it was asked last."""
        with self.log.open("rb") as log:
            log.seek(self._heard)
            said = log.read()
        whole = said.rpartition(b"\n")[0]
        self._heard += len(whole)
        return ABORTED in whole

    def _run(self, program: str, *arguments: object) -> None:
        clock = self.clock.in_force() if self.clock else nullcontext()
        with self._own_log().open("ab") as log, Path(os.devnull).open("rb") as nothing, clock:
            try:
                ended = self.account.run(
                    [self.programs / program, *map(str, arguments)],
                    directory=self.directory,
                    output=log,
                    keep_open=nothing.fileno(),
                    timeout=WAIT_SECONDS + 10,
                )
            except subprocess.TimeoutExpired:
                raise Failed(f"{program} did not end in time, see {self.log}") from None
        if ended.returncode != 0:
            raise Failed(f"{program} ended with code {ended.returncode}, see {self.log}")

    def _own_log(self) -> Path:
        if not self.log.exists():
            self.log.touch()
            if self.account.owner:
                os.chown(self.log, *self.account.owner)
        return self.log


class Cluster:
    """A primary, and a standby if asked for: with it, a commit is answered when both have it on disk.

    Args:
        directory: an existing directory for the data; the account PostgreSQL runs as must be able to enter it.
        logs: where the logs go.
        standby: whether there is one.
        settings: of the server, beside those that every cluster has.
        clock: of both servers; None: the real one.
    """

    def __init__(
        self,
        directory: Path,
        logs: Path,
        *,
        standby: bool = False,
        settings: Mapping[str, object] | None = None,
        clock: SteppingClock | None = None,
    ) -> None:
        account = Account.of(directory)
        if account.owner:
            os.chown(directory, *account.owner)
        self.settings = {**SETTINGS, **(settings or {})}
        self.clock = clock
        self.primary = Node(directory, "a", logs, clock)
        self.standby = Node(directory, "b", logs, clock) if standby else None
        self.crashes: list[Crash] = []
        """Each time that the server was lost, until it was back."""
        self._lost_at = 0.0
        self._looked_at = time.monotonic()

    @property
    def url(self) -> str:
        """Of the primary of the moment."""
        return url_of(self.primary.port)

    def start(self) -> None:
        """Make it, start it, create the database."""
        self.primary.initialise(self.settings)
        self.primary.start()
        with psycopg.connect(url_of(self.primary.port, "postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE chaos")
            if self.standby:
                # before the copy is made: the standby has to ask for one too, once it is the primary
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                connection.execute("SELECT pg_reload_conf()")
        if self.standby:
            self._follow()

    def crash(self) -> None:
        """The primary stops as if it had lost its power."""
        self._lost_at = time.monotonic()
        self.primary.stop("immediate")

    def restart(self) -> None:
        """The primary is back."""
        self.primary.start()
        self._back()

    def fail_over(self) -> None:
        """The primary is lost and the standby takes its place; `rebuild` has to follow."""
        assert self.standby is not None
        self.wait_for_standby()
        self.crash()
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary
        self._back()

    def rebuild(self) -> None:
        """The old primary becomes the new standby. Until it is there, nothing can be committed."""
        self._follow()

    def look(self) -> bool:
        """Whether the primary has crashed by itself since the last look; that is noted.

        A backend of PostgreSQL 18 under libfaketime is aborted now and then (``corrupted double-linked list``).
        """
        before, self._looked_at = self._looked_at, time.monotonic()
        if aborted := self.primary.has_aborted():
            self.crashes.append(Crash(before, self._looked_at + RECOVERY_SECONDS))
        return aborted

    def wait_for_standby(self) -> None:
        """Wait until the standby follows, and commits wait for it.

        Raises:
            Failed: it does not come.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        query = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'"
        while time.monotonic() < deadline:
            # it may recover from a crash of its own
            with (
                suppress(psycopg.OperationalError),
                psycopg.connect(url_of(self.primary.port, "postgres")) as connection,
            ):
                if connection.execute(query).fetchone():
                    return
            time.sleep(0.05)
        raise Failed("the standby does not follow")

    def destroy(self) -> None:
        """Stop everything."""
        for node in (self.primary, self.standby):
            if node is not None and (node.data / "postmaster.pid").exists():
                node.stop("immediate")

    def _back(self) -> None:
        self.crashes.append(Crash(self._lost_at, time.monotonic()))

    def _follow(self) -> None:
        assert self.standby is not None
        self.standby.copy(self.primary)
        self.standby.start()
        self.wait_for_standby()
