"""``python -m benchmarks [WORKLOAD]``: without a workload the short form of all of them."""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from benchmarks import report
from benchmarks.bench import Bench
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Results
from benchmarks.peers import DOORS, OURS, PEERS, RAW, choose
from benchmarks.server import Server
from benchmarks.workloads import application, celery, drain, enqueue, features, growth, idle, latency, upkeep, workflows

WORKLOADS: dict[str, Callable[[Bench], None]] = {
    "enqueue": enqueue.run,
    "latency": latency.run,
    "growth": growth.run,
    "features": features.run,
    "workflows": workflows.run,
    "celery": celery.run,
    "application": application.run,
    "idle": idle.run,
    "wal": upkeep.wal,
    "prune": upkeep.prune,
    "start": upkeep.start,
}
SECONDS = 6.0
SHORT_SECONDS = 1.5
SHORT_SCALE = 0.1
SHORT_PEERS = [name for name in PEERS if name != "pgqueuer-defaults"]
BY_DEFAULT: dict[str | None, Iterable[str]] = {None: SHORT_PEERS, "celery": DOORS, "application": (RAW, OURS)}
FEW = (RAW, OURS, "procrastinate", "pgqueuer")


@click.command()
@click.argument("workload", required=False, type=click.Choice(["drain", *WORKLOADS]))
@click.option("--peers", help=f"Comma-separated: {', '.join({**PEERS, **DOORS})}.")
@click.option("--jobs", type=click.IntRange(min=1000), default=300_000, help="Jobs a drain has at most.")
@click.option("--runs", type=click.IntRange(min=1), default=3, help="Runs of each case; the median counts.")
@click.option(
    "--seconds", type=float, help=f"About how long a drain takes. Default: {SECONDS}; {SHORT_SECONDS} for all."
)
@click.option("--scale", type=float, help=f"Of the large tables. Default: 1; {SHORT_SCALE} for all workloads.")
@click.option("--processes", type=click.IntRange(min=1), default=1, help="drain: worker processes.")
@click.option("--sync", is_flag=True, help="drain: tasks in threads.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the results there.")
@click.option("--database-url", help="Another server; its databases bench_… are dropped. Default: the embedded one.")
def main(
    workload: str | None,
    peers: str | None,
    jobs: int,
    runs: int,
    seconds: float | None,
    scale: float | None,
    processes: int,
    sync: bool,
    json_file: Path | None,
    database_url: str | None,
) -> None:
    """Measure ours and the peers side by side: the workloads above, or all of them."""
    console, errors = Console(width=None if sys.stdout.isatty() else 140), Console(stderr=True)
    # a SIGTERM unwinds like Ctrl-C does: every process that was started is stopped
    signal.signal(signal.SIGTERM, _interrupt)
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    scale = scale or (1.0 if workload else SHORT_SCALE)
    results = Results(scale)
    server = Server(database_url)
    try:
        bench = Bench(
            server,
            choose(peers.split(",") if peers else list(BY_DEFAULT.get(workload, PEERS))),
            results,
            runs,
            seconds or (SECONDS if workload else SHORT_SECONDS),
            jobs,
            scale,
            say=lambda line: errors.print(line, style="dim", highlight=False),
        )
        bench.install()
        described = server.describe()
        try:
            _run(bench, workload, processes, sync)
        finally:
            if results.rows:
                report.show(console, results, described)
                if json_file:
                    report.write(json_file, results, described)
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        raise click.ClickException("interrupted: every process was stopped") from None


def _run(bench: Bench, workload: str | None, processes: int, sync: bool) -> None:
    if workload is None:
        _short(bench)
    elif workload == "drain":
        drain.run(bench, "sync" if sync else "drain", processes)
    else:
        WORKLOADS[workload](bench)


def _short(bench: Bench) -> None:
    """Drains of everybody; what else takes long, of few; what only we promise, of ours."""
    drain.run(bench)
    everybody = bench.peers
    bench.peers = [peer for peer in everybody if peer.name in FEW]
    drain.run(bench, "sync")
    enqueue.run(bench)
    latency.run(bench)
    upkeep.wal(bench)
    bench.peers = [peer for peer in everybody if peer.name == OURS]
    drain.run(bench, workers=2)
    for rest in (growth.run, features.run, idle.run, upkeep.prune, upkeep.start):
        rest(bench)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
