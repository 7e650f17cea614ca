"""Any value that a column of a waiting job can hold: the jobs beside it run, and it stays in no worker's hands."""

import asyncio
import json
import os
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

import workrow
from tests.integration.test_worker import run
from workrow import sql as sql_texts

PROTOCOL = ("id", "status", "worker_id")
"""Who holds a job: what others than workers write there is the fence's affair."""
SECONDS = 20
EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
"""So many random examples, to look for more by hand; without it a few that are always the same."""
REFUSALS = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)
"""What says that a column cannot hold a value."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
TIMES = [
    "infinity",
    "-infinity",
    "4714-11-24 00:00:00 BC",
    "0001-01-01",
    "294276-12-31 23:59:59",
    "2000-01-01",
    "9999-12-31 23:59:59",
    "9000-01-01",
]


def whole(bits: int) -> st.SearchStrategy[str]:
    edges = st.sampled_from([0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))])
    return (edges | st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)).map(str)


VALUES: dict[str, st.SearchStrategy[str]] = {
    "bigint": whole(64),
    "integer": whole(32),
    "smallint": whole(16),
    "text": TEXTS,
    "character varying": TEXTS,
    "boolean": st.sampled_from(["true", "false"]),
    "timestamp with time zone": st.sampled_from(TIMES),
    "jsonb": JSON.map(json.dumps) | st.sampled_from(["1e400", "[" * 200 + "]" * 200, '{"n": 1e300}', str(10**500)]),
}
COLUMNS = """
    SELECT attname, CAST(atttypid AS regtype)::text, attnotnull FROM pg_attribute
    WHERE attrelid = 'procrastinate_jobs'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL(%s)
    ORDER BY attnum
"""
EXCUSED = """
    SELECT job.* FROM procrastinate_jobs AS job
    WHERE NOT coalesce(
        status = 'todo' AND (
            scheduled_at > clock_timestamp() OR task_name NOT IN ('healthy', 'healthy.limited')
            OR version > 1 OR version < 1 OR line IS NOT NULL
            OR EXISTS (
                SELECT FROM procrastinate_jobs AS first
                WHERE first.lock = job.lock
                AND (-CAST(first.priority AS bigint), first.id) < (-CAST(job.priority AS bigint), job.id)
            )
        ), false
    )
"""
"""Those that nothing lets wait: of those that do wait, the row says why."""


PLAIN = "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 'healthy') RETURNING id"
LIMITED = f"""
    INSERT INTO procrastinate_jobs (queue_name, task_name, line, scheduled_at, due_at)
    VALUES (
        'q', 'healthy.limited', '["q", "healthy.limited", "healthy.limited"]', {sql_texts.fragment("far_future")},
        clock_timestamp()
    ) RETURNING id
"""


def odd(conn: psycopg.Connection[Any], changes: list[tuple[str, str, str | None]]) -> int:
    """Insert a job, and write these values into its row, as far as the columns take them: a limited one if that says of
    its line or when it is due."""
    limited = {column for column, *_ in changes} & {"line", "due_at"}
    ((job,),) = conn.execute((LIMITED if limited else PLAIN).encode()).fetchall()
    for column, kind, value in changes:
        words = (sql.Identifier(column), sql.SQL(kind))  # type: ignore[arg-type]
        try:
            conn.execute(
                sql.SQL("UPDATE procrastinate_jobs SET {} = CAST(%s AS {}) WHERE id = %s").format(*words), [value, job]
            )
        except REFUSALS:
            continue
    return int(job)


@pytest.fixture
def columns(conn: psycopg.Connection[Any]) -> list[tuple[str, str, bool]]:
    found = conn.execute(COLUMNS, [list(PROTOCOL)]).fetchall()
    assert {kind for _, kind, _ in found} <= VALUES.keys(), "say which values the new type can hold"
    return found


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
def test_any_value_of_a_row_is_its_own_trouble(
    data: st.DataObject, database_url: str, conn: psycopg.Connection[Any], columns: list[tuple[str, str, bool]]
) -> None:
    change = st.sampled_from(columns).flatmap(
        lambda each: st.tuples(
            st.just(each[0]), st.just(each[1]), VALUES[each[1]] if each[2] else VALUES[each[1]] | st.none()
        )
    )
    rows = data.draw(st.lists(st.lists(change, min_size=1, max_size=3), min_size=10, max_size=40))
    conn.execute("TRUNCATE procrastinate_jobs, workrow.history CASCADE")
    jobs = [odd(conn, changes) for changes in rows]

    async def work() -> list[Any]:
        app = workrow.App(database_url)

        @app.task(name="healthy")
        async def healthy(**_: Any) -> None: ...

        @app.task(name="healthy.limited", queue="q", limits=workrow.Limit(10))
        async def limited(**_: Any) -> None: ...

        async with app.open_async():
            await healthy.options(queue="q").enqueue_many(None, [{}] * 3)
            await limited.enqueue_many(None, [{}] * 3)
            worker = asyncio.create_task(run(app))
            ended, _ = await asyncio.wait([worker], timeout=SECONDS)
            left = conn.execute(EXCUSED).fetchall()
            if not ended:  # it would try for ever to write what it cannot write
                conn.execute("TRUNCATE procrastinate_jobs CASCADE")
            await worker
            return left

    told = dict(zip(jobs, rows, strict=True))
    left = asyncio.run(work())
    assert [(row[7], told.get(row[0], "healthy")) for row in left] == []
    done = conn.execute(
        "SELECT count(*) FROM workrow.history WHERE status = 'succeeded' AND id <> ALL(%s)", [jobs]
    ).fetchall()
    assert done == [(6,)]
    silent = conn.execute(
        "SELECT id, status FROM workrow.history WHERE status = 'failed' AND quarantine IS NULL AND errors IS NULL"
    ).fetchall()
    assert [(status, told[job]) for job, status in silent] == []
