"""The processes that use the PostgreSQL server of a directory: the first one starts it, the last one stops it."""

import os
from contextlib import suppress
from pathlib import Path

from workrow.embedded.account import Account
from workrow.embedded.locks import EXCLUSIVE, SHARED, FileLock
from workrow.embedded.server import Server


class Cluster:
    """The cluster in `directory` (absolute, without symbolic links), which is created if it is missing.

    Three lock files there say what is alive, and nothing that is killed can leave them locked:
    `users.lock` is held (shared) by every process that uses the server, and alone by the one that stops it;
    `start.lock` is held by the process that starts it;
    `server.lock` is held by every process of PostgreSQL itself, initdb included: they inherit it.
    """

    def __init__(self, directory: Path) -> None:
        if not directory.exists():
            directory.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:  # `sudo make …` in somebody's clone leaves them a directory they can use
                above = directory.parent.stat()
                os.chown(directory, above.st_uid, above.st_gid)
        self.directory = directory
        self.account = Account.of(directory)
        self.server = Server(directory, self.account)
        self._users: FileLock | None = None
        self._users_of_child: FileLock | None = None  # only while a fork is under way

    def join(self) -> None:
        """Count this process as a user, until `leave` or its end."""
        if self._users is not None and not self._users.is_current():
            self._users.close()  # the directory was deleted meanwhile
            self._users = None
        while self._users is None:
            users = self._open_users()
            try:
                users.wait(SHARED)
                if users.is_current():
                    self._users = users
            finally:
                if self._users is None:
                    users.close()

    def leave(self) -> None:
        """Count this process no longer; if it was the last one, stop the server."""
        if self._users is None:
            return
        users, self._users = self._users, None
        with users:
            # while this is held nobody can join, and who has not joined starts nothing
            if users.attempt(EXCLUSIVE) and users.is_current():
                self.server.stop()

    def before_fork(self) -> None:
        """Take the lock that a child will have: what it inherits of ours is one and the same lock."""
        with suppress(OSError):  # the directory was deleted
            if self._users is not None:
                self._users_of_child = self._open_users()
                self._users_of_child.attempt(SHARED)

    def after_fork(self, *, in_child: bool) -> None:
        """Leave the child its lock and the parent its own."""
        parents, childs, self._users_of_child = self._users, self._users_of_child, None
        self._users, others = (childs, parents) if in_child else (parents, childs)
        if others is not None:
            others.close()

    def _open_users(self) -> FileLock:
        return FileLock(self.directory / "users.lock", owner=self.account.owner)
