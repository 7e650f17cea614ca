"""Locks on files, which the kernel drops when the last process that has the file open is gone."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self

from workrow.errors import EmbeddedError

EXCLUSIVE = fcntl.LOCK_EX
SHARED = fcntl.LOCK_SH
WAIT_SECONDS = 60.0


class FileLock:
    """An open lock file. It locks nothing until `attempt` or `wait`, and unlocks on `close`.

    A child process that is given the descriptor holds the lock together with this one,
    until both are closed: so nothing here ever unlocks explicitly.
    """

    def __init__(self, path: Path, *, owner: tuple[int, int] | None = None) -> None:
        """Open `path`, creating it; `owner` (uid, gid) is set when given. Raises OSError."""
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if owner is not None:
            os.fchown(self.descriptor, *owner)

    def attempt(self, mode: int) -> bool:
        """Take the lock in `mode` (SHARED or EXCLUSIVE) if that is possible at once."""
        try:
            fcntl.flock(self.descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait(self, mode: int) -> None:
        """Take the lock in `mode`. Raises EmbeddedError after WAIT_SECONDS."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.attempt(mode):
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{self.path} was locked for {WAIT_SECONDS:.0f} s by a process that starts or stops PostgreSQL: "
                    f"find it with `fuser {self.path}` and end it"
                )
            time.sleep(0.01)

    def is_current(self) -> bool:
        """False if the file was deleted or replaced since it was opened."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
