"""Any value that a column of ours can hold, of schedules, limits, pauses, workers, history: others go on."""

import asyncio
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_odd_values import EXAMPLES, REFUSALS, TEXTS, VALUES, whole
from tests.integration.test_rescue import register

SECONDS = 30
EXEMPT = {
    "workrow.schema_version": "written by migrations",
    "workrow.installed_objects": "written by migrations",
    "procrastinate_jobs": "test_odd_values.py",
    "workrow.celery_results": "read by who asks for the result, and by no worker",
    "workrow.celery_groups": "read by who asks for the group, and by no worker",
    "workrow.celery_chords": "written and read by celery_write_v1 alone",
    "workrow.celery_parts": "read by the job that sends a chord's body: it fails alone",
    "workrow.celery_commands": "texts, JSON and a time: what is no command is replied to as that",
    "workrow.celery_replies": "read by who asks",
    "workrow.celery_untold": "calls as they were sent, of which a signal is told",
    "workrow.celery_bridge_dials": "read by who sends, and by no worker",
    "workrow.celery_bridge_switch": "read by who sends, and by no worker",
    "workrow.celery_bridge_moves": "texts and a time, which no worker reads",
    "workrow.celery_bridge_shadows": "read by a view alone, for people",
    "workrow.celery_revoked": "texts, a JSON value and a time, all of which any value fits",
    "workrow.celery_entries": "read by beat, and by no worker: tests/celery/test_beat_stored.py",
}
HOLDERS = ("id", "job_id", "worker_id", "status")
"""Who is who, which is the fence's affair."""
TABLES = """
    SELECT CAST(CAST(oid AS regclass) AS text)
    FROM pg_class
    WHERE
        relkind IN ('r', 'p') AND NOT relispartition
        AND (relnamespace = CAST('workrow' AS regnamespace) OR relname LIKE 'procrastinate%%')
        AND CAST(CAST(oid AS regclass) AS text) <> ALL(%s)
"""
COLUMNS = """
    SELECT CAST(attrelid AS regclass)::text, attname, CAST(atttypid AS regtype)::text, attnotnull
    FROM pg_attribute
    WHERE CAST(attrelid AS regclass)::text = ANY(%s) AND attnum > 0 AND NOT attisdropped AND attname <> ALL(%s)
    ORDER BY attrelid, attnum
"""
VIEWS = """
    SELECT CAST(CAST(oid AS regclass) AS text) FROM pg_class
    WHERE relnamespace = CAST('workrow' AS regnamespace) AND relkind = 'v'
"""
SEED = (
    # what a worker and a service leave for an instant, or seldom
    "INSERT INTO workrow.limit_holds (bucket, held_at, until) SELECT bucket, now(), now() + interval '1 h' "
    "FROM workrow.limit_buckets",
    "INSERT INTO workrow.queue_names (name) VALUES ('odd') ON CONFLICT DO NOTHING",
    "INSERT INTO workrow.limit_calls (name) VALUES ('odd')",
    "INSERT INTO workrow.limit_slots (bucket, job_id, token) VALUES ('odd', 9, 1)",
    "INSERT INTO workrow.line_arrivals (line, priority) SELECT line, 0 FROM workrow.lines",
    "INSERT INTO workrow.held_rows (worker_id, kind, name, since, said_at) "
    "SELECT worker_id, 'queue', 'odd', now(), now() FROM workrow.worker_details",
    "INSERT INTO workrow.sleepers (worker_id, queues) SELECT worker_id, '{odd}' FROM workrow.worker_details",
    "INSERT INTO workrow.waiters (listener, until) VALUES (gen_random_uuid(), now() + interval '1 h')",
    "INSERT INTO workrow.throttles (key, taken, over_at) VALUES ('odd', ARRAY[now()], now() + interval '1 h')",
    "INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, periodic_id) VALUES ('odd', 1, 'odd')",
    "INSERT INTO workrow.hidden_arguments (task_name, name) VALUES ('odd', 'odd')",
    "INSERT INTO workrow.granted_roles (role_name, kind) VALUES ('odd', 'odd')",
    "INSERT INTO workrow.job_steps (job_id, name, kind, token, child_id, unwoken) "
    "SELECT id, 'odd', 'call', 0, id, true FROM procrastinate_jobs LIMIT 1",
    "INSERT INTO workrow.job_signals (job_id, name) SELECT id, 'odd' FROM procrastinate_jobs LIMIT 1",
    "INSERT INTO workrow.celery_beat (app, name, task, schedule, version, last_run_at, declared_at) "
    "VALUES ('odd', 'odd', 'odd', 'odd', 'odd', now(), now())",
    "INSERT INTO procrastinate_events (job_id, type) SELECT id, 'deferred' FROM procrastinate_jobs LIMIT 1",
)
NUMBERS = st.sampled_from(["NaN", "Infinity", "-Infinity", "1e308", "-1e308", "5e-324", "0", "-1", "1e18"])
INTERVALS = st.sampled_from(
    ["infinity", "-infinity", "178000000 years", "-178000000 years", "-1 s", "0 s", "1 us", "1 mon"]
)


def array(values: list[str | None]) -> str:
    return (
        "{"
        + ",".join("NULL" if v is None else '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values)
        + "}"
    )


def arrays(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(of | st.none(), max_size=3).map(array) | st.just("{{1},{2}}") | st.just("[5:5]={3}")


ODD: dict[str, st.SearchStrategy[str]] = {
    **VALUES,
    "double precision": NUMBERS,
    "interval": INTERVALS,
    "uuid": st.uuids().map(str),
    "procrastinate_job_event_type": st.sampled_from(["deferred", "aborted"]),
    "text[]": arrays(TEXTS),
    "bigint[]": arrays(whole(64)),
    "integer[]": arrays(whole(32)),
    "timestamp with time zone[]": arrays(VALUES["timestamp with time zone"]),
}


class Change(NamedTuple):
    table: str
    column: str
    kind: str
    value: str | None


def build(database_url: str) -> tuple[workrow.App, list[Any]]:
    """An app with what is odd and what is healthy: tasks with limits of both kinds, hooks, throttles and caps."""
    app = workrow.App(database_url, lease=4)
    app.queue("odd", max_depth=1000)

    @app.task(name="odd.told", queue="odd")
    async def told(failure: workrow.Failure) -> None: ...

    @app.task(
        name="odd",
        queue="odd",
        limits=(workrow.Limit(2, key="n"), workrow.Rate("100/s")),
        on_failure=told,
        unique=("n",),
    )
    async def odd(n: int) -> None: ...

    @app.task(name="healthy", queue="q")
    async def healthy() -> None: ...

    @app.task(name="healthy.limited", queue="q", limits=(workrow.Limit(2), workrow.Rate("100/s")))
    async def limited() -> None: ...

    return app, [odd, healthy, limited]


async def prepare(database_url: str, conn: psycopg.Connection[Any]) -> None:
    """A row of everything odd: what a worker has written, and a worker that died."""
    app, (odd, healthy, _) = build(database_url)
    async with app.open_async(), Running(app):
        await odd.enqueue(None, 0)
        await until(lambda: conn.execute("SELECT FROM workrow.history WHERE task_name = 'odd'").fetchall())
        await app.schedules.create_async("odd", odd, every=timedelta(seconds=1), args={"n": 5})
        await app.schedules.create_async("healthy", healthy, every=timedelta(seconds=1))
        await app.pause_queue_async("odd", actor="odd", reason="odd")
        await odd.enqueue_many(None, [{"n": n} for n in range(1, 4)])
        await workrow.chain(odd.s(8), odd.si(9)).enqueue(None)
        await until(lambda: conn.execute("SELECT FROM workrow.lines").fetchall())
    register(conn, "odd", 2)
    for statement in SEED:
        conn.execute(statement.encode())


def write(conn: psycopg.Connection[Any], rows: list[Change]) -> None:
    """Into the rows that are odd, or into all of a table where none says so."""
    for table, column, kind, value in rows:
        names = (sql.SQL(table), sql.Identifier(column), sql.SQL(kind))  # type: ignore[arg-type]
        some = sql.SQL("UPDATE {} AS it SET {} = CAST(%s AS {}) WHERE it::text LIKE '%%odd%%'").format(*names)
        every = sql.SQL("UPDATE {} AS it SET {} = CAST(%s AS {}) WHERE it::text NOT LIKE '%%healthy%%'").format(*names)
        try:
            if not conn.execute(some, [value]).rowcount:
                conn.execute(every, [value])
        except REFUSALS:
            continue


def broken_views(conn: psycopg.Connection[Any]) -> list[str]:
    found = []
    for (view,) in conn.execute(VIEWS).fetchall():
        try:
            with conn.cursor().copy(f"COPY (SELECT * FROM {view}) TO STDOUT".encode()) as rows:
                for _ in rows:
                    pass
        except psycopg.Error as error:
            found.append(f"{view}: {error}")
    return found


@pytest.fixture
def tables(conn: psycopg.Connection[Any]) -> list[str]:
    return [table for (table,) in conn.execute(TABLES, [list(EXEMPT)])]


async def test_each_table_has_an_odd_row(database_url: str, conn: psycopg.Connection[Any], tables: list[str]) -> None:
    await prepare(database_url, conn)
    assert [each for each in tables if not conn.execute(f"SELECT FROM {each} LIMIT 1".encode()).fetchall()] == []


@pytest.mark.timeout(600)
@settings(  # a failure prints the blob that repeats it
    max_examples=EXAMPLES or 15,
    derandomize=not EXAMPLES,
    deadline=None,
    # an example takes seconds: to make a failing one smaller would take ten minutes
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_any_value_of_any_row_is_its_own_trouble(
    data: st.DataObject, database_url: str, conn: psycopg.Connection[Any], tables: list[str]
) -> None:
    columns = conn.execute(COLUMNS, [tables, list(HOLDERS)]).fetchall()
    assert {kind for _, _, kind, _ in columns} <= ODD.keys(), "say which values the new type can hold"
    change = st.sampled_from(columns).flatmap(
        lambda each: (ODD[each[2]] if each[3] else ODD[each[2]] | st.none()).map(lambda value: Change(*each[:3], value))
    )
    changes = data.draw(st.lists(change, min_size=5, max_size=25))
    conn.execute(f"TRUNCATE procrastinate_jobs, {', '.join(tables)} CASCADE".encode())
    asyncio.run(prepare(database_url, conn))
    write(conn, changes)
    assert broken_views(conn) == []
    count = "SELECT task_name, count(*) FROM workrow.history WHERE status = 'succeeded' GROUP BY task_name"
    before = dict(conn.execute(count).fetchall())

    def gained(task: str) -> int:
        return int(dict(conn.execute(count.encode()).fetchall()).get(task, 0)) - int(before.get(task, 0))

    async def work() -> None:
        app, (_, healthy, limited) = build(database_url)
        async with app.open_async(), Running(app):
            await healthy.enqueue_many(None, [{}] * 3)
            await limited.enqueue_many(None, [{}] * 3)
            await until(lambda: gained("healthy.limited") == 3, SECONDS)
            await until(lambda: gained("healthy") >= 3 + 2, SECONDS)  # two ticks

    asyncio.run(work())
    assert broken_views(conn) == []
    assert conn.execute("SELECT task_name FROM procrastinate_jobs WHERE status = 'doing'").fetchall() == []


async def test_an_interval_that_python_cannot_hold_keeps_no_other_schedule_from_being_listed(
    open_app: workrow.App, conn: psycopg.Connection[Any]
) -> None:
    @open_app.task(name="t")
    async def t() -> None: ...

    for name in ("healthy", "odd"):
        await open_app.schedules.create_async(name, t, every=timedelta(hours=1))
    for value in ("178000000 years", "-178000000 years"):
        conn.execute(
            "UPDATE workrow.timetable SET every = %s::interval, jitter = %s WHERE name = 'odd'", [value, value]
        )
        assert [state.name for state in await open_app.schedules.list_async()] == ["healthy", "odd"]
