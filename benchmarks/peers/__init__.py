"""Whom we measure ourselves against."""

from collections.abc import Sequence

from benchmarks.errors import BenchmarkError
from benchmarks.peers.base import Peer
from benchmarks.peers.celery import Celery, CeleryAtItsBest
from benchmarks.peers.door import Door
from benchmarks.peers.graphile import Graphile
from benchmarks.peers.ours import Workrow
from benchmarks.peers.pgqueuer import PgQueuer, PgQueuerDefaults
from benchmarks.peers.procrastinate import Procrastinate
from benchmarks.peers.raw import Raw

__all__ = ["DOORS", "OURS", "PEERS", "RAW", "Peer", "choose"]

PEERS: dict[str, type[Peer]] = {
    peer.name: peer for peer in (Raw, Workrow, Procrastinate, PgQueuer, PgQueuerDefaults, Graphile, Celery)
}
DOORS: dict[str, type[Peer]] = {peer.name: peer for peer in (Workrow, Door, CeleryAtItsBest)}
"""Whom the workload ``celery`` is about; a task that is declared as Celery's is another thing than a plain job."""
OURS = Workrow.name
RAW = Raw.name


def choose(names: Sequence[str]) -> list[Peer]:
    """The peers of those names, in the order of the table.

    Raises:
        BenchmarkError: there is none of that name.
    """
    known = {**PEERS, **DOORS}
    unknown = set(names) - set(known)
    if unknown:
        raise BenchmarkError(f"no peer {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    return [peer() for name, peer in known.items() if name in names]
