"""Options of a program that runs in the background: ``--detach``, ``--pidfile``, ``--uid``, ``--gid``, ``--umask``."""

import atexit
import fcntl
import grp
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

STARTED = "_WORKROW_CELERY_STARTED"
"""The variable of the environment that tells a process in the background where to say that it has begun: a number of
a pipe."""


def _octal(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    try:
        number = None if text is None else int(text, 8)
    except ValueError as error:
        raise click.BadParameter(f"{text}: must be an octal number, such as 022") from error
    if number is not None and not 0 <= number <= 0o777:
        raise click.BadParameter(f"{text}: must be between 0 and 777")
    return number


def _user(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text is None else int(text) if text.isdigit() else pwd.getpwnam(text).pw_uid
    except KeyError as error:
        raise click.BadParameter(f"{text}: there is no such user") from error


def _group(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text is None else int(text) if text.isdigit() else grp.getgrnam(text).gr_gid
    except KeyError as error:
        raise click.BadParameter(f"{text}: there is no such group") from error


def daemon_options(command: F) -> F:
    """Celery's options of this kind."""
    options = [
        click.option("-D", "--detach", is_flag=True, help="Run in the background."),
        click.option("--pidfile", metavar="PATH", help="Holds the process id; a second one with it does not start."),
        click.option("--uid", callback=_user, metavar="USER", help="Run as this user, a name or a number."),
        click.option("--gid", callback=_group, metavar="GROUP", help="The same of a group; by default the user's."),
        click.option("--umask", callback=_octal, metavar="OCTAL", help="Of the files that are made, such as 022."),
        click.option("--executable", metavar="PATH", help="The Python that runs in the background."),
    ]
    for each in reversed(options):
        command = each(command)
    return command


@contextmanager
def daemon(words: list[str], logfile: str | None, options: dict[str, Any]) -> Iterator[None]:
    """Inside, the program is what its options say. With ``--detach`` another process is, and this one ends.

    Args:
        words: of the command line, after the name of the program.
        logfile: what a program in the background prints goes there; None: nowhere.
        options: those of `daemon_options`, which are taken out.

    Raises:
        click.ClickException: the pidfile belongs to a program that runs, or it is not allowed to be that user.
        SystemExit: it runs in the background.
    """
    detach, pidfile = options.pop("detach"), options.pop("pidfile")
    uid, gid, umask, executable = (options.pop(name) for name in ("uid", "gid", "umask", "executable"))
    if detach and STARTED not in os.environ:
        if pidfile and (holder := held_by(pidfile)):
            raise _taken(pidfile, holder)
        _detach([executable or sys.executable, "-m", "workrow.celery", *words], logfile)
    if umask is not None:
        os.umask(umask)
    become(uid, gid)
    if pidfile:
        hold(pidfile)
    if told := os.environ.pop(STARTED, None):
        os.write(int(told), b"!")
        os.close(int(told))
    yield


def _detach(command: list[str], logfile: str | None) -> None:
    """Start it in a session of its own, wait until it says that it has begun, and end."""
    reads, writes = os.pipe()
    with open(logfile or os.devnull, "ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[writes],
            env={**os.environ, STARTED: str(writes)},
        )
    os.close(writes)
    if os.read(reads, 1):
        sys.exit(0)
    code = process.wait()
    where = f"{logfile} tells why" if logfile else "start it without --detach, or give --logfile, to see why"
    raise click.ClickException(f"it has ended with exit code {code} before it began: {where}")


def become(uid: int | None, gid: int | None) -> None:
    """Be this user and this group from now on, and no other; None: stay who it is.

    Raises:
        click.ClickException: only root may be somebody else.
    """
    if uid is None and gid is None:
        return
    user = None if uid is None else next((each for each in pwd.getpwall() if each.pw_uid == uid), None)
    wanted = gid if gid is not None else user.pw_gid if user else os.getgid()
    if (uid in (None, os.geteuid())) and wanted == os.getegid():
        return
    if os.geteuid() != 0:
        raise click.ClickException(f"--uid and --gid: only root may run as another user; this is {os.geteuid()}")
    if user is not None:
        os.initgroups(user.pw_name, wanted)
    else:
        os.setgroups([])
    os.setgid(wanted)
    if uid is not None:
        os.setuid(uid)


def hold(path: str) -> None:
    """Write the process id into a file, which is this process's until it ends.

    Raises:
        click.ClickException: it is that of another process that runs, or it cannot be written.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise click.ClickException(f"--pidfile={path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _taken(path, _number_in(path)) from None
    os.ftruncate(file, 0)
    os.write(file, f"{os.getpid()}\n".encode())
    atexit.register(_release, path, os.getpid())


def held_by(path: str) -> int | None:
    """The process that a pidfile is of; None: of none that runs.

    Its number alone says little: another program may have it by now. The process holds a lock on the file, too.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _number_in(path)
    finally:
        os.close(file)
    return None


def _number_in(path: str) -> int | None:
    text = Path(path).read_text().strip()
    return int(text) if text.isdigit() else None


def _release(path: str, owner: int) -> None:
    if os.getpid() == owner:
        Path(path).unlink(missing_ok=True)


def _taken(path: str, holder: int | None) -> click.ClickException:
    return click.ClickException(
        f"--pidfile={path}: process {holder or '?'} runs with it: stop that one, or give another file"
    )


def expanded(text: str | None, nodename: str) -> str | None:
    """A path with ``%n``, ``%h`` and ``%d`` of a worker's name, ``%p`` for all of it, and ``%I`` and ``%i``.

    The last two are the number of a child process: a worker here writes one log, and they are nothing and 0.
    """
    if text is None:
        return None
    name, _, host = nodename.partition("@")
    values = {"%n": name, "%h": host, "%d": host.partition(".")[2], "%p": nodename, "%I": "", "%i": "0", "%%": "%"}
    found, rest = "", text
    while rest:
        sign = rest[:2]
        found += values.get(sign, rest[0])
        rest = rest[2 if sign in values else 1 :]
    return found
