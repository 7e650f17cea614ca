"""What the judge knows besides the books, and how it reads them."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import tuple_row

Connection = psycopg.Connection[Any]
Finding = list[str]
EXAMPLES = 5
LATEST = 1e11


class Disturbance(NamedTuple):
    """Something that may keep a worker from its work: seconds since 1970; no worker means all of them."""

    worker: int | None
    began: float
    ended: float


class Shown(NamedTuple):
    """What the server's clock showed: seconds since 1970 by the real one, and by how much it was ahead."""

    began: float
    ended: float
    ahead: int


class Crash(NamedTuple):
    """The server stopped without syncing what it need not have: until when it was away, by the monotonic clock."""

    began: float
    ended: float


class Run(NamedTuple):
    """A job was started: by which of its claims, whose, and when that was answered, by the monotonic clock."""

    job: int
    claim: int
    worker: int
    made: float


@dataclass(slots=True)
class Facts:
    """What the database does not know.

    Attributes:
        acknowledged: keys of the business rows whose commit was answered.
        workers: how many there were.
        began: when all of them were up, in seconds since 1970.
        ended: when the first of them was told to stop.
        tick_seconds: the schedule's interval.
        disturbances: what kept them from their work.
        exits: workers that ended though nobody asked, or otherwise than asked.
        together: jobs that were seen running under the same lock.
        orphans: child processes that outlived their worker.
        unsettled: what was not over when the workers had had their time to finish.
        starts: how many worker processes there were.
        samples: how often the locks were looked at.
        clock: what the server's showed, one after the other; it was right if nothing is said.
        crashes: of the server, failovers among them.
        runs: of the jobs whose effects are counted by their claims.
    """

    acknowledged: set[str] = field(default_factory=set)
    workers: int = 3
    began: float = 0.0
    ended: float = 0.0
    tick_seconds: float = 2.0
    disturbances: list[Disturbance] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)
    together: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    starts: int = 0
    samples: int = 0
    clock: list[Shown] = field(default_factory=lambda: [Shown(0.0, LATEST, 0)])
    crashes: list[Crash] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


def clock_table(facts: Facts) -> str:
    """What the server's clock showed, as a table, to be followed by a name."""
    rows = ", ".join(
        f"({number}, to_timestamp({began}), to_timestamp({ended}), interval '{ahead} s')"
        for number, (began, ended, ahead) in enumerate(facts.clock, 1)
    )
    return f"(SELECT * FROM (VALUES {rows}) AS shown (number, began, ended, ahead))"


def told(conn: Connection, query: str) -> Finding:
    # NB: doubled percent signs, as the statement has parameters
    cursor = psycopg.Cursor(conn, row_factory=tuple_row)
    return [str(row[0]) for row in cursor.execute(f"{query} LIMIT %s", [EXAMPLES]).fetchall()]
