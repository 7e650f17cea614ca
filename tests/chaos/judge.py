"""The judge: reads the books when all is over. Each invariant returns examples of where it does not hold."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import tuple_row

Connection = psycopg.Connection[Any]
EXAMPLES = 5
MAX_DELAY_SECONDS = 600
"""A due time that was missed is made up for no later than this."""
YOUNG_SECONDS = 10
"""A tick enqueued so long before the workers were told to stop may be left."""
RECOVERY_SECONDS = 15.0
"""After a disturbance a worker may need so long until its schedules tick again."""


class Disturbance(NamedTuple):
    """Something that may keep a worker from its work: seconds since 1970; no worker means all of them."""

    worker: int | None
    began: float
    ended: float


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


Finding = list[str]
ORDERED = "task LIKE 'chaos.%%' AND task NOT IN ('chaos.tick', 'chaos.born')"
TRANSACTIONAL = "task IN ('chaos.transactional', 'chaos.locked', 'chaos.limited', 'chaos.unique')"


def jobs_lost(conn: Connection, facts: Facts) -> Finding:
    """Committed business rows without a job."""
    return _told(
        conn,
        f"""SELECT 'order ' || key || ' (' || kind || ') has no job' FROM chaos.orders
            WHERE key NOT IN (SELECT args ->> 'key' FROM workrow.jobs WHERE {ORDERED})""",
    )


def jobs_from_nowhere(conn: Connection, facts: Facts) -> Finding:
    """Jobs of rolled-back business rows, or several of one."""
    return _told(
        conn,
        f"""SELECT 'job ' || id || ' (' || task || ') has no order ' || coalesce(args ->> 'key', '?')
            FROM workrow.jobs
            WHERE {ORDERED} AND coalesce(args ->> 'key', '?') NOT IN (SELECT key FROM chaos.orders)
            UNION ALL
            SELECT 'order ' || (args ->> 'key') || ' has the jobs ' || string_agg(id::text, ', ')
            FROM workrow.jobs WHERE {ORDERED} GROUP BY args ->> 'key' HAVING count(*) > 1""",
    )


def commits_forgotten(conn: Connection, facts: Facts) -> Finding:
    """Business rows that are gone although their commit was answered: PostgreSQL's own promise."""
    kept = {key for (key,) in conn.execute("SELECT key FROM chaos.orders").fetchall()}
    return [f"order {key} was committed and is gone" for key in sorted(facts.acknowledged - kept)[:EXAMPLES]]


def not_done(conn: Connection, facts: Facts) -> Finding:
    """Jobs that did not succeed; one that was there when three workers died may be quarantined."""
    return facts.unsettled + _told(
        conn,
        f"""SELECT 'job ' || id || ' (' || task || ') is ' || status || ', claims ' || claims || ', crashes ' || crashes
                   || coalesce(': ' || error, '')
            FROM workrow.jobs
            WHERE task LIKE 'chaos.%%' AND status <> 'succeeded'
              AND NOT (task = 'chaos.tick' AND status = 'todo'
                       AND created_at > to_timestamp({facts.ended - YOUNG_SECONDS}))
              AND NOT (status = 'failed' AND quarantine LIKE 'crashed%%' AND crashes >= 3)""",
    )


def transactional_effects(conn: Connection, facts: Facts) -> Finding:
    """Effects of transactional jobs: exactly one if it succeeded, else none."""
    return _told(
        conn,
        f"""WITH written AS (SELECT job_id, count(*) AS effects, min(key) AS key FROM chaos.ledger GROUP BY job_id)
            SELECT 'job ' || coalesce(id, job_id) || ' (' || coalesce(status::text, 'unknown') || ', claims '
                   || coalesce(claims, 0) || ') had ' || coalesce(effects, 0) || ' effects'
            FROM (SELECT * FROM workrow.jobs WHERE {TRANSACTIONAL}) AS job
            FULL JOIN written ON written.job_id = job.id
            WHERE (CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END) <> coalesce(effects, 0)
               OR written.key IS DISTINCT FROM CASE WHEN status = 'succeeded' THEN args ->> 'key' END
            UNION ALL
            SELECT 'tick ' || coalesce(id, job_id) || ' (' || coalesce(status::text, 'unknown') || ', due '
                   || coalesce(args ->> 'timestamp', '?') || ') had ' || coalesce(effects, 0) || ' effects'
            FROM (SELECT * FROM workrow.jobs WHERE task = 'chaos.tick') AS job
            FULL JOIN (SELECT job_id, count(*) AS effects FROM chaos.ticks GROUP BY job_id) AS tick
                   ON tick.job_id = job.id
            WHERE (CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END) <> coalesce(effects, 0)""",
    )


def plain_effects(conn: Connection, facts: Facts) -> Finding:
    """Effects of the other jobs: no more than attempts were started, and at least one if it succeeded."""
    return _told(
        conn,
        f"""WITH written AS (SELECT job_id, count(*) AS effects FROM chaos.effects GROUP BY job_id)
            SELECT 'job ' || coalesce(id, job_id) || ' (' || coalesce(status::text, 'unknown') || ') had '
                   || coalesce(effects, 0) || ' effects in ' || coalesce(claims, 0) || ' claims'
            FROM (SELECT * FROM workrow.jobs WHERE {ORDERED} AND NOT {TRANSACTIONAL}) AS job
            FULL JOIN written ON written.job_id = job.id
            WHERE coalesce(effects, 0) > coalesce(claims, 0)
               OR coalesce(effects, 0) < CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END
            UNION ALL
            SELECT 'job ' || id || ' has ' || claims || ' claims, and its forked children have enqueued ' || children
            FROM (
                SELECT parent.id, parent.claims, parent.status, (
                    SELECT count(*) FROM workrow.jobs AS child
                    WHERE child.task = 'chaos.born' AND child.args ->> 'key' = parent.args ->> 'key'
                ) AS children
                FROM workrow.jobs AS parent
                WHERE parent.task = 'chaos.fork'
            ) AS family
            WHERE children > claims OR children < CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END""",
    )


def lock_holders(conn: Connection, facts: Facts) -> Finding:
    """Jobs that ran beside another one of their lock."""
    return facts.together[:EXAMPLES] + _told(
        conn,
        """SELECT 'jobs ' || other || ' and ' || job_id || ' held ' || lock || ' at ' || began
           FROM (
               SELECT lock, job_id, began, lag(job_id) OVER held AS other, max(ended) OVER earlier AS until
               FROM chaos.holds
               WINDOW held AS (PARTITION BY lock ORDER BY began, ended),
                      earlier AS (held ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
           ) AS holds
           WHERE began < until""",
    )


def over_limit(conn: Connection, facts: Facts) -> Finding:
    """Jobs that ran beside more others of their limit, or of their unique key, than may be."""
    return _told(
        conn,
        """SELECT 'job ' || job_id || ' was in ' || place || ' with ' || together - 1 || ' others at ' || began
           FROM (
               SELECT stay.*, (
                   SELECT count(*) FROM chaos.stays AS other
                   WHERE other.place = stay.place AND other.began <= stay.began AND stay.began < other.ended
               ) AS together
               FROM chaos.stays AS stay
           ) AS each
           WHERE together > most""",
    )


def ticks_twice(conn: Connection, facts: Facts) -> Finding:
    """Due times of the schedule that were enqueued more than once."""
    return _told(
        conn,
        """SELECT 'due time ' || (args ->> 'timestamp') || ' has the jobs ' || string_agg(id::text, ', ')
           FROM workrow.jobs WHERE task = 'chaos.tick' GROUP BY args ->> 'timestamp' HAVING count(*) > 1""",
    )


def ticks_missing(conn: Connection, facts: Facts) -> Finding:
    """Due times that nobody enqueued though a worker was undisturbed."""
    query = "SELECT CAST(args ->> 'timestamp' AS bigint) FROM workrow.jobs WHERE task = 'chaos.tick'"
    made = {int(due) for (due,) in conn.execute(query).fetchall()}
    missing = [due for due in due_times(facts) if due not in made]
    return [f"due time {due} was missed, {due - facts.began:.0f} s after the start" for due in missing[:EXAMPLES]]


def ticks_at_a_wrong_time(conn: Connection, facts: Facts) -> Finding:
    """Due times that are none, or that were enqueued too early or too late: by a clock that is wrong."""
    return _told(
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
    """The due times that nothing excuses from."""
    step = int(facts.tick_seconds)
    first = (int(facts.began) // step + 2) * step
    for due in range(first, int(facts.ended - facts.tick_seconds), step):
        idle = {
            each.worker
            for each in facts.disturbances
            if each.began < due + facts.tick_seconds and due < each.ended + RECOVERY_SECONDS
        }
        if None not in idle and len(idle) < facts.workers:
            yield due


def history_incomplete(conn: Connection, facts: Facts) -> Finding:
    """Jobs with two rows, or with times that are missing or out of order."""
    return _told(
        conn,
        """SELECT 'job ' || id || ' has ' || count(*) || ' rows' FROM workrow.jobs GROUP BY id HAVING count(*) > 1
           UNION ALL
           SELECT 'job ' || id || ' was created ' || coalesce(created_at::text, 'never') || ', started '
                  || coalesce(started_at::text, 'never') || ', finished ' || finished_at
           FROM workrow.history
           WHERE NOT coalesce(created_at <= started_at AND started_at <= finished_at, false)
              OR finished_at > now() OR claims < 1 OR attempts < 1 OR worker IS NULL""",
    )


def stuck(conn: Connection, facts: Facts) -> Finding:
    """Jobs that count as running though no worker is left."""
    return _told(
        conn,
        """SELECT 'job ' || id || ' (' || task_name || ') of worker ' || coalesce(worker_id::text, 'none')
                  || ' is doing since ' || started_at
           FROM procrastinate_jobs WHERE status = 'doing'""",
    )


def dead_workers(conn: Connection, facts: Facts) -> Finding:
    """Workers that are still registered though none is left."""
    return _told(
        conn, "SELECT 'worker ' || id || ' beat last at ' || last_heartbeat FROM procrastinate_workers ORDER BY id"
    )


def exits(conn: Connection, facts: Facts) -> Finding:
    """Workers that ended by themselves, or otherwise than asked."""
    return facts.exits


def orphans(conn: Connection, facts: Facts) -> Finding:
    """Child processes that outlived their worker."""
    return facts.orphans


Invariant = Callable[[Connection, Facts], Finding]
INVARIANTS: dict[str, Invariant] = {
    "every committed order has its job": jobs_lost,
    "no job of a rolled-back order, none twice": jobs_from_nowhere,
    "what was committed stays (PostgreSQL)": commits_forgotten,
    "every job is done": not_done,
    "transactional effects exactly once": transactional_effects,
    "other effects once for each claim at most": plain_effects,
    "one holder of a lock at any time": lock_holders,
    "no more at a time than limits and unique keys allow": over_limit,
    "no due time twice": ticks_twice,
    "no due time missed": ticks_missing,
    "ticks at due times, by the right clock": ticks_at_a_wrong_time,
    "history complete, its times in order": history_incomplete,
    "nothing stuck in doing": stuck,
    "no dead worker registered": dead_workers,
    "no worker ended by itself": exits,
    "no child outlives its worker": orphans,
}


def judge(conn: Connection, facts: Facts) -> dict[str, Finding]:
    """All invariants, with what violates them."""
    return {name: check(conn, facts) for name, check in INVARIANTS.items()}


def _told(conn: Connection, query: str) -> Finding:
    # NB: doubled percent signs, as the statement has parameters
    cursor = psycopg.Cursor(conn, row_factory=tuple_row)
    return [str(row[0]) for row in cursor.execute(f"{query} LIMIT %s", [EXAMPLES]).fetchall()]
