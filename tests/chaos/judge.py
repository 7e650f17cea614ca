"""The judge: reads the books when all is over. Each invariant returns examples of where it does not hold."""

from collections.abc import Callable

from tests.chaos.app import LEASE_SECONDS, RATE, TOTAL_LIMIT
from tests.chaos.facts import EXAMPLES, Connection, Facts, Finding, clock_table, told
from tests.chaos.flows_judge import flows_unfinished, parts_wrong
from tests.chaos.runs import claims_taken
from tests.chaos.ticks import ticks_at_a_wrong_time, ticks_missing, ticks_twice

YOUNG_SECONDS = 10
"""A tick enqueued so long before the workers were told to stop may be left."""
ORDERED = """task LIKE 'chaos.%%' AND task NOT LIKE 'chaos.flow.%%'
    AND task NOT IN ('chaos.tick', 'chaos.born', 'chaos.signal', 'chaos.called')"""
TRANSACTIONAL = "task IN ('chaos.transactional', 'chaos.locked', 'chaos.limited', 'chaos.unique')"


def jobs_lost(conn: Connection, facts: Facts) -> Finding:
    """Committed business rows without a job."""
    return told(
        conn,
        f"""SELECT 'order ' || key || ' (' || kind || ') has no job' FROM chaos.orders
            WHERE key NOT IN (SELECT args ->> 'key' FROM workrow.jobs WHERE {ORDERED})""",
    )


def jobs_from_nowhere(conn: Connection, facts: Facts) -> Finding:
    """Jobs of rolled-back business rows, or several of one."""
    return told(
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
    return facts.unsettled + told(
        conn,
        f"""SELECT 'job ' || id || ' (' || task || ') is ' || status || ', claims ' || claims || ', crashes ' || crashes
                   || coalesce(': ' || error, '')
            FROM workrow.jobs
            WHERE task LIKE 'chaos.%%' AND status <> 'succeeded' AND task NOT LIKE 'chaos.flow.%%'
              AND NOT (task = 'chaos.tick' AND status = 'todo' AND EXISTS (
                  SELECT FROM {clock_table(facts)} AS shown
                  WHERE created_at - ahead BETWEEN began AND ended
                    AND created_at - ahead > to_timestamp({facts.ended - YOUNG_SECONDS})))
              AND NOT (status = 'failed' AND quarantine LIKE 'crashed%%' AND crashes >= 3)""",
    )


def transactional_effects(conn: Connection, facts: Facts) -> Finding:
    """Effects of transactional jobs: exactly one if it succeeded, else none."""
    return told(
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
    """Effects of the other jobs: no more than attempts were started, and at least one if it succeeded.

    An attempt is one of the job's claims, or one of those that a crash of the server took.
    """
    return told(
        conn,
        f"""WITH written AS (SELECT job_id, count(*) AS effects FROM chaos.effects GROUP BY job_id),
            taken AS (
                SELECT id, count(*) AS times FROM unnest(CAST(ARRAY{claims_taken(facts)} AS bigint[])) AS each (id)
                GROUP BY id
            )
            SELECT 'job ' || coalesce(job.id, job_id) || ' (' || coalesce(status::text, 'unknown') || ') had '
                   || coalesce(effects, 0) || ' effects in ' || coalesce(claims, 0) || ' claims and '
                   || coalesce(times, 0) || ' that a crash took'
            FROM (SELECT * FROM workrow.jobs WHERE {ORDERED} AND NOT {TRANSACTIONAL}) AS job
            FULL JOIN written ON written.job_id = job.id
            LEFT JOIN taken ON taken.id = job.id
            WHERE coalesce(effects, 0) > coalesce(claims, 0) + coalesce(times, 0)
               OR coalesce(effects, 0) < CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END
            UNION ALL
            SELECT 'job ' || id || ' has ' || claims || ' claims and ' || coalesce(times, 0)
                   || ' that a crash took, and its forked children have enqueued ' || children
            FROM (
                SELECT parent.id, parent.claims, parent.status, (
                    SELECT count(*) FROM workrow.jobs AS child
                    WHERE child.task = 'chaos.born' AND child.args ->> 'key' = parent.args ->> 'key'
                ) AS children
                FROM workrow.jobs AS parent
                WHERE parent.task = 'chaos.fork'
            ) AS family
            LEFT JOIN taken USING (id)
            WHERE children > claims + coalesce(times, 0)
               OR children < CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END""",
    )


def lock_holders(conn: Connection, facts: Facts) -> Finding:
    """Jobs that ran beside another one of their lock."""
    return facts.together[:EXAMPLES] + told(
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
    return told(
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


def over_rate(conn: Connection, facts: Facts) -> Finding:
    """Jobs that began beside more others in a second than their rate admits.

    What is claimed begins a moment later, `TOTAL_LIMIT` jobs at most; a step of the server's clock forward gives
    the rate once more what the time that was skipped would have admitted.
    """
    forward = [
        shown.began for before, shown in zip(facts.clock, facts.clock[1:], strict=False) if shown.ahead > before.ahead
    ]
    return told(
        conn,
        f"""SELECT many || ' rated jobs began within a second from ' || began
            FROM (
                SELECT began, count(*) OVER (
                    ORDER BY began RANGE BETWEEN CURRENT ROW AND interval '1 s' FOLLOWING
                ) AS many
                FROM chaos.stays WHERE place LIKE 'tenant %%'
            ) AS starts
            WHERE many > {TOTAL_LIMIT} + {RATE} * (1 + (
                SELECT count(*) FROM unnest(CAST(ARRAY{forward} AS float[])) AS step
                WHERE to_timestamp(step) BETWEEN began - interval '{LEASE_SECONDS} s' AND began + interval '1 s'))""",
    )


def steps_wrong(conn: Connection, facts: Facts) -> Finding:
    """Steps whose effect is not there once for their record; jobs that have not taken the one signal sent to them."""
    return told(
        conn,
        """SELECT 'job ' || job_id || ' has run its step ' || coalesce(times, 0) || ' times, and recorded it '
                  || coalesce(records, 0)
           FROM (SELECT job_id, count(*) AS times FROM chaos.stepped GROUP BY job_id) AS written
           FULL JOIN (
               SELECT job_id, count(*) AS records FROM workrow.job_steps WHERE name = 'once' GROUP BY job_id
           ) AS noted USING (job_id)
           WHERE coalesce(times, 0) <> coalesce(records, 0)
           UNION ALL
           SELECT 'job ' || id || ' has taken ' || taken || ' signals'
           FROM (
               SELECT job.id, (
                   SELECT count(*) FROM workrow.job_signals AS sent
                   WHERE sent.job_id = job.id AND sent.taken_by = 'go' AND sent.value = job.args -> 'key'
               ) AS taken
               FROM workrow.jobs AS job
               WHERE job.task = 'chaos.steps' AND job.status = 'succeeded'
           ) AS each
           WHERE taken <> 1""",
    )


def history_incomplete(conn: Connection, facts: Facts) -> Finding:
    """Jobs with two rows, or with times that are missing or out of order, whatever the clock showed.

    A start and an end are counted from the claim, so they may lie beyond the step that came meanwhile.
    """
    clock = clock_table(facts)
    return told(
        conn,
        f"""SELECT 'job ' || id || ' has ' || count(*) || ' rows' FROM workrow.jobs GROUP BY id HAVING count(*) > 1
           UNION ALL
           SELECT 'job ' || id || ' was created ' || coalesce(created_at::text, 'never') || ', started '
                  || coalesce(started_at::text, 'never') || ', finished ' || finished_at
           FROM workrow.history
           -- what waited of a workflow that failed was never started
           WHERE NOT (task_name LIKE 'chaos.flow.%%' AND status = 'cancelled') AND (NOT EXISTS (
                  SELECT FROM {clock} AS made, {clock} AS start, {clock} AS stop, {clock} AS latest
                  WHERE made.began <= created_at - made.ahead AND created_at - made.ahead <= made.ended
                    AND created_at - made.ahead <= started_at - start.ahead AND start.began <= started_at - start.ahead
                    AND started_at - start.ahead <= finished_at - stop.ahead
                    AND stop.began <= finished_at - stop.ahead
                    AND latest.number = {len(facts.clock)} AND finished_at - stop.ahead <= now() - latest.ahead)
              OR claims < 1
              -- nobody has ended an attempt of one that goes to quarantine, or gives way to a newer one
              OR quarantine IS NULL AND status <> 'cancelled' AND (attempts < 1 OR worker IS NULL))""",
    )


def stuck(conn: Connection, facts: Facts) -> Finding:
    """Jobs that count as running though no worker is left."""
    return told(
        conn,
        """SELECT 'job ' || id || ' (' || task_name || ') of worker ' || coalesce(worker_id::text, 'none')
                  || ' is doing since ' || started_at
           FROM procrastinate_jobs WHERE status = 'doing'""",
    )


def dead_workers(conn: Connection, facts: Facts) -> Finding:
    """Workers that are still registered though none is left."""
    return told(
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
    "a step's effect once for its record, no signal lost": steps_wrong,
    "every workflow and batch ended once, as it should": flows_unfinished,
    "parts, bodies, callbacks, compensations: once each": parts_wrong,
    "one holder of a lock at any time": lock_holders,
    "no more at a time than limits and unique keys allow": over_limit,
    "no more in a second than a rate admits": over_rate,
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
