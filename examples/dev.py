"""`python -m examples.dev`: the service, a worker and a mail server until Ctrl-C, restarted when the code changes."""

import argparse
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import watchfiles

from examples.demo.errors import DemoError
from examples.demo.processes import ROOT, Child, Processes, interrupt_on_termination
from examples.demo.services import migrate, start_service, start_sink, start_worker
from jobs.settings import get_settings
from workrow import urls
from workrow.errors import WorkrowError

CODE = (ROOT / "workrow", ROOT / "jobs")
APP = ROOT / "app.py"
THIS_MACHINE = ("127.0.0.1", "localhost")
FIRST_PORT = 8000
PORTS = 100
LOOK_MILLISECONDS = 500


class Development:
    """What `make dev` runs.

    Args:
        processes: to start with.
        starters: what starts each child, by the child's name.
        restarted: the names of those that run the code, and are to run it as it is.
    """

    def __init__(self, processes: Processes, starters: Mapping[str, Callable[[], Child]], restarted: set[str]) -> None:
        self._processes = processes
        self._starters = starters
        self._restarted = restarted
        self._running: dict[str, Child] = {}

    def start(self) -> None:
        """Start those that do not run."""
        for name, starter in self._starters.items():
            if name not in self._running:
                self._running[name] = starter()

    def restart(self) -> None:
        """Let all run, and the code as it is now."""
        self._processes.stop(*(self._running.pop(name) for name in self._restarted & self._running.keys()))
        self.start()

    def report_ended(self) -> None:
        """Say, once, which of them has ended by itself."""
        for name, child in list(self._running.items()):
            if not child.is_running():
                self._processes.stop(self._running.pop(name))
                print(f"dev: {child.last_words()}; it starts again when the code changes", file=sys.stderr, flush=True)


def main() -> int:
    """The command line; returns the exit code: 0 after Ctrl-C, 1 if something cannot start."""
    parser = argparse.ArgumentParser(prog="python -m examples.dev", description=__doc__)
    parser.add_argument(
        "--directory", type=Path, default=ROOT / ".workrow" / "dev", help="for the mails (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, help=f"of the service (default: the first free one from {FIRST_PORT})")
    options = parser.parse_args()
    interrupt_on_termination()
    try:
        _run(options.directory, options.port or _free_port())
    except (DemoError, WorkrowError) as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
    return 0


def _run(directory: Path, port: int) -> None:
    settings = get_settings()
    maildir = directory / "maildir"
    url = f"http://127.0.0.1:{port}"
    with Processes(directory, logs=False) as processes:
        environment = (
            {"WORKROW_BASE_URL": url, "WORKROW_API_KEYS": "off"} | os.environ | {"DATABASE_URL": settings.database_url}
        )
        migrate(processes, environment)
        starters: dict[str, Callable[[], Child]] = {
            "service": partial(start_service, processes, environment, port),
            "worker": partial(start_worker, processes, "worker", environment),
        }
        lines = [f"service      {url}/docs", f"database     {urls.masked(settings.database_url)}"]
        smtp = f"{settings.smtp_host}:{settings.smtp_port}"
        if settings.smtp_host in THIS_MACHINE:
            starters["smtp"] = partial(start_sink, processes, maildir, settings.smtp_port)
            lines.append(f"mail server  {smtp}, keeps the mails in {maildir}")
        else:
            lines.append(f"mail server  {smtp}, not on this machine: mails are really sent")
        development = Development(processes, starters, restarted={"service", "worker"})
        development.start()
        print("\n".join([*lines, "Ctrl-C stops all"]), flush=True)
        for changed in _changes():
            development.report_ended()
            if changed:
                print(f"dev: {', '.join(sorted(changed))} changed", flush=True)
                development.restart()


def _changes() -> Iterator[set[str]]:
    """The changed files, as they change; and nothing, twice a second, when none did."""
    known = _modified(APP)
    for changes in watchfiles.watch(*CODE, yield_on_timeout=True, rust_timeout=LOOK_MILLISECONDS):
        changed = {str(Path(path).relative_to(ROOT)) for _, path in changes}
        # a watch on a single file ends with the first editor that replaces the file
        if known != (known := _modified(APP)):
            changed.add(APP.name)
        yield changed


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _free_port() -> int:
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        with socket.socket() as probe:
            # a port that a server just left is free to the next one, and uvicorn will take it
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoError(f"no port from {FIRST_PORT} to {FIRST_PORT + PORTS - 1} is free; name one with --port")


if __name__ == "__main__":
    sys.exit(main())
