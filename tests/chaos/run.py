"""Traffic, workers and faults for some minutes; then the judge.

python -m tests.chaos.run --minutes 10 --seed 42 --standby --pgbouncer --application
"""

import argparse
import contextlib
import gzip
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.chaos import guard, report, synthetic
from tests.chaos.bouncer import Bouncer, Missing
from tests.chaos.cluster import HOST, Cluster
from tests.chaos.fleet import ROOT
from tests.chaos.proxy import Proxy
from tests.chaos.report import Verdict
from tests.chaos.stepping import LIBRARY, SteppingClock
from tests.chaos.world import World

END_SECONDS = 18.0
"""Set aside for the jobs that are left, the orderly stop and the judge."""


class Traffic(Protocol):
    """What is at work while the faults come.

    Attributes:
        DOORS: how many doors of the proxy it uses.
    """

    DOORS: int

    def prepare(self, url: str) -> None:
        """The tables."""

    def play(self, world: World, logs: Path, options: argparse.Namespace, seconds: float) -> Verdict:
        """So many seconds of faults; then what was left is done, all stops, and the judge reads the books."""


def main() -> None:
    """The command."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up
    logs = ROOT / ".workrow" / "chaos" / str(options.seed)
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    if os.geteuid() == 0:
        for directory in (logs, logs.parent, logs.parent.parent):
            directory.chmod(0o755)  # PostgreSQL's own account writes its log here
    began = time.monotonic()
    try:
        with _world(options, logs) as world:
            verdict = _traffic(options).play(
                world, logs, options, options.minutes * 60 - (time.monotonic() - began) - END_SECONDS
            )
            totals = verdict.totals | {
                "starts of processes": world.fleet.starts,
                "of them refused: database away": world.fleet.refused_starts,
                "crashes of the server by itself": world.aborts,
                "wall time": f"{time.monotonic() - began:.0f} s",
            }
            if not LIBRARY:
                totals["steps of the server's clock"] = "none: needs libfaketime (Debian: apt install faketime)"
    except Missing as missing:
        sys.exit(str(missing))
    violated = any(verdict.found.values())
    if not violated:
        _shrink(logs)
    report.show(options.seed, world.injected, verdict.found, verdict.judged, totals, logs)
    sys.exit(1 if violated else 0)


def _traffic(options: argparse.Namespace) -> Traffic:
    if not options.application:
        return synthetic
    from tests.chaos.application import play  # whose imports are many

    return play


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="how long in all, about")
    parser.add_argument("--seed", type=int, help="which faults come when; else a random one")
    parser.add_argument("--standby", action="store_true", help="a synchronous standby, and failovers to it")
    parser.add_argument("--pgbouncer", action="store_true", help="a PgBouncer in transaction mode in between")
    parser.add_argument("--application", action="store_true", help="the application's own traffic and books")
    parser.add_argument("--rate", type=float, default=120, help="jobs a second")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    return options


@contextlib.contextmanager
def _world(options: argparse.Namespace, logs: Path) -> Iterator[World]:
    directory = Path(tempfile.mkdtemp(prefix="workrow-chaos-"))
    directory.chmod(0o755)
    with contextlib.ExitStack() as stack:
        watching = guard.watch(directory)
        stack.callback(watching.wait)
        assert watching.stdin is not None
        stack.callback(watching.stdin.close)
        clock = SteppingClock(directory) if LIBRARY else None
        cluster = Cluster(directory, logs, standby=options.standby, clock=clock)
        stack.callback(cluster.destroy)
        bouncer = Bouncer(directory, cluster.primary.port, logs / "pgbouncer.log") if options.pgbouncer else None
        cluster.start()
        _traffic(options).prepare(cluster.url)
        if bouncer:
            bouncer.start()
            stack.callback(bouncer.close)
        proxy = Proxy(bouncer.port if bouncer else cluster.primary.port, _traffic(options).DOORS, logs / "proxy.log")
        stack.callback(proxy.close)
        world = World(options.seed, cluster, proxy, bouncer, logs / "faults.log")
        world.say(
            f"seed {options.seed}, {options}, data in {directory}, server at {cluster.url}, proxy {HOST}:{proxy.ports}"
        )
        yield world


def _shrink(logs: Path) -> None:
    """Nobody reads the long logs of a run in which all was well."""
    for path in logs.glob("*.log"):
        if path.name != "faults.log":
            with path.open("rb") as source, gzip.open(f"{path}.gz", "wb") as packed:
                shutil.copyfileobj(source, packed)
            path.unlink()


if __name__ == "__main__":
    main()
