"""PgBouncer in transaction mode, between the proxy and the server."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from tests.chaos.child import die_with_parent
from tests.chaos.cluster import HOST, Cluster, free_port
from workrow import schema
from workrow.embedded.account import Account

INI = """
[databases]
chaos = host={host} port={target} dbname=chaos user=postgres
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 500
default_pool_size = 30
server_connect_timeout = 5
server_login_retry = 1
query_wait_timeout = 30
ignore_startup_parameters = extra_float_digits
logfile = {log}
"""


class Missing(Exception):
    """There is no PgBouncer on this machine."""


class Bouncer:
    """A PgBouncer of our own.

    Args:
        directory: where its configuration is kept.
        target: the server's port.
        log: its log file.

    Raises:
        Missing: it is not installed.
    """

    def __init__(self, directory: Path, target: int, log: Path) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise Missing("no pgbouncer here: `apt-get install pgbouncer`, or run without --pgbouncer")
        self._program = program
        self._account = Account.of(directory)
        self._ini = directory / "pgbouncer.ini"
        self._log = directory / "pgbouncer.log"
        self._kept = log
        self.port = free_port()
        self._target = target
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it listens."""
        text = INI.format(host=HOST, port=self.port, target=self._target, log=self._log)
        self._ini.write_text(text)
        self._ini.chmod(0o644)
        borrowed = self._account.borrowed
        self._process = subprocess.Popen(
            [self._program, "-q", str(self._ini)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
            user=self._account.uid if borrowed else None,
            group=self._account.gid if borrowed else None,
            extra_groups=[] if borrowed else None,
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError(f"pgbouncer does not start, see {self._log}") from None
                time.sleep(0.02)

    def stop(self, signal_: int = signal.SIGKILL) -> None:
        """End it at once: SIGTERM and SIGKILL both drop all clients."""
        if self._process is not None:
            self._process.send_signal(signal_)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def retarget(self, port: int) -> None:
        """Lead to another server."""
        self._target = port
        self.stop()
        self.start()

    def close(self) -> None:
        """End it, keep its log."""
        self.stop()
        if self._log.exists():
            shutil.copy(self._log, self._kept)


@contextmanager
def bounced(settings: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """A migrated server, whose database has these settings: its URL, and that of a PgBouncer before it.

    Raises:
        Missing: it is not installed.
    """
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="workrow-pooler-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        cluster = Cluster(directory, directory, standby=False)
        bouncer = Bouncer(directory, cluster.primary.port, directory / "kept.log")
        stack.callback(cluster.destroy)
        cluster.start()
        schema.upgrade(cluster.url)
        with psycopg.connect(cluster.url, autocommit=True) as connection:
            for setting in settings:
                connection.execute(f"ALTER DATABASE chaos SET {setting}".encode())
        stack.callback(bouncer.stop)
        bouncer.start()
        yield cluster.url, f"postgresql://postgres@127.0.0.1:{bouncer.port}/chaos"
