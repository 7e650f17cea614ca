"""The operating-system user that PostgreSQL runs as. It refuses root, so root lends it another one."""

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workrow.errors import EmbeddedError


@dataclass(frozen=True, slots=True)
class Account:
    """A user: `uid` and `gid`; `borrowed` if this process is root and PostgreSQL runs as that user instead."""

    uid: int
    gid: int
    borrowed: bool

    @classmethod
    def of(cls, directory: Path) -> "Account":
        """Ourselves; for root the owner of `directory`, or `nobody` if that is root as well."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), borrowed=False)
        try:
            owner = pwd.getpwuid(directory.stat().st_uid)
        except KeyError:  # a directory mounted from outside; initdb refuses a user without a name
            owner = pwd.getpwnam("nobody")
        if owner.pw_uid == 0:
            owner = pwd.getpwnam("nobody")
        return cls(owner.pw_uid, owner.pw_gid, borrowed=True)

    @property
    def owner(self) -> tuple[int, int] | None:
        """(uid, gid) to give new files to, None if they are ours already."""
        return (self.uid, self.gid) if self.borrowed else None

    def make_private(self, path: Path) -> None:
        """Create the directory `path` for this user alone. Raises EmbeddedError if it exists and is not private."""
        try:
            path.mkdir(0o700)
        except FileExistsError:
            status = path.lstat()
            ours = stat.S_ISDIR(status.st_mode) and status.st_uid in (self.uid, os.geteuid())
            if not ours or status.st_mode & 0o077:
                raise EmbeddedError(
                    f"{path} exists but is not a private directory of uid {self.uid}: delete it"
                ) from None
        if self.borrowed:
            os.chown(path, self.uid, self.gid)

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        directory: Path,
        output: int | IO[bytes],
        keep_open: int,
        timeout: float | None = None,
        background: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the program `argv` as this user in `directory`, in a session of its own: Ctrl-C does not reach it.

        `output` takes what it prints, `keep_open` is a descriptor it inherits, `timeout` is in seconds. With
        `background` the shell that starts it is waited for, not the program. Raises EmbeddedError if the user cannot
        reach the program or the directory.
        """
        closed = (self._closed(Path(argv[0])) or self._closed(directory)) if self.borrowed else None
        command = [*self._through(closed), *argv] if closed else argv
        if background:
            # started by a shell that ends, the program is no child of ours and never a zombie that seems alive
            command = ["/bin/sh", "-c", '"$@" &', "sh", *command]
        switch = self.borrowed and closed is None
        return subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[keep_open],
            timeout=timeout,
            check=False,
            # PGPORT, PGDATA and their like were meant for another server
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            user=self.uid if switch else None,
            group=self.gid if switch else None,
            extra_groups=[] if switch else None,
        )

    def _closed(self, path: Path) -> Path | None:
        """The first step of the way to `path` that this user may not enter (or execute)."""
        for step in [*reversed(path.parents), path]:
            status = step.stat()
            if status.st_uid == self.uid:
                needed = stat.S_IXUSR
            elif status.st_gid == self.gid:
                needed = stat.S_IXGRP
            else:
                needed = stat.S_IXOTH
            if not status.st_mode & needed:
                return step
        return None

    def _through(self, closed: Path) -> list[str]:
        """The command prefix that becomes this user but keeps root's way through `closed` (as in a clone in /root)."""
        program = shutil.which("setpriv")
        prefix = [
            program or "setpriv",
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            "--clear-groups",
            # without this access(2), which PostgreSQL asks about its own executable, leaves capabilities out
            "--securebits=+no_setuid_fixup",
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
            "--",
        ]
        if program is None or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
            name = pwd.getpwuid(self.uid).pw_name
            raise EmbeddedError(
                f"PostgreSQL refuses root and runs as {name} here, but {name} may not enter {closed}: "
                f"run as an ordinary user, `chmod o+x {closed}`, install setpriv (util-linux), or set DATABASE_URL"
            )
        return prefix
