"""What the judge asks of the schedule: a tick for each due time, however the server's clock went."""

import itertools
from collections import Counter
from collections.abc import Iterable

from tests.chaos.facts import EXAMPLES, Connection, Facts, Finding, Shown, told

MAX_DELAY_SECONDS = 600
"""A due time that was missed is made up for no later than this."""
RECOVERY_SECONDS = 15.0
"""After a disturbance a worker may need so long until its schedules tick again."""


def ticks_twice(conn: Connection, facts: Facts) -> Finding:
    """Due times of the schedule that were enqueued more often than the server's clock came to them."""
    many = {due: times for due, times in _ticks(conn).items() if times > max(1, arrivals(due, facts.clock))}
    return [f"due time {due} has {times} jobs" for due, times in sorted(many.items())[:EXAMPLES]]


def arrivals(due: float, clock: list[Shown]) -> int:
    """How often the server's clock came to a time, by going or by a step forward."""
    path = [moment + ahead for began, ended, ahead in clock for moment in (began, ended)]
    return sum(before < due <= after for before, after in itertools.pairwise(path))


def ticks_missing(conn: Connection, facts: Facts) -> Finding:
    """Due times that nobody enqueued, as often as they came, though a worker was undisturbed."""
    made = _ticks(conn)
    missing = [due for due, times in Counter(due_times(facts)).items() if made[due] < times]
    return [f"due time {due} was missed" for due in missing[:EXAMPLES]]


def _ticks(conn: Connection) -> Counter[int]:
    query = "SELECT CAST(args ->> 'timestamp' AS bigint) FROM workrow.jobs WHERE task = 'chaos.tick'"
    return Counter(int(due) for (due,) in conn.execute(query).fetchall())


def ticks_at_a_wrong_time(conn: Connection, facts: Facts) -> Finding:
    """Due times that are none, or that were enqueued too early or too late: by a clock that is wrong."""
    return told(
        conn,
        f"""SELECT 'job ' || id || ' was enqueued ' || created_at || ' for ' || due
            FROM (
                SELECT id, created_at, to_timestamp(CAST(args ->> 'timestamp' AS bigint)) AS due
                FROM workrow.jobs WHERE task = 'chaos.tick'
            ) AS ticks
            WHERE created_at < due OR created_at > due + interval '{MAX_DELAY_SECONDS} s'
               OR mod(CAST(extract(epoch FROM due) AS bigint), {int(facts.tick_seconds)}) <> 0""",
    )


def due_times(facts: Facts) -> Iterable[int]:
    """The due times that nothing excuses from, by the server's clock: one comes twice if the clock does."""
    step = int(facts.tick_seconds)
    for shown in facts.clock:
        began, ended = max(shown.began, facts.began), min(shown.ended, facts.ended - step)
        first = (int(began + shown.ahead) // step + 2) * step
        for due in range(first, int(ended + shown.ahead), step):
            moment = due - shown.ahead
            idle = {
                each.worker
                for each in facts.disturbances
                if each.began < moment + step and moment < each.ended + RECOVERY_SECONDS
            }
            if None not in idle and len(idle) < facts.workers:
                yield due
