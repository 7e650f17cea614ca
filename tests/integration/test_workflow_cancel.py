"""A cancel of a whole workflow: one statement for all that waits, and everything that an end does."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_worker import run

SIZE = 30
COUNT_STATEMENTS = """
CREATE TABLE ended_by (rows bigint);
CREATE FUNCTION count_ended() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO ended_by SELECT count(*) FROM ended; RETURN NULL; END $$;
CREATE TRIGGER count_ended AFTER INSERT ON workrow.history REFERENCING NEW TABLE AS ended
    FOR EACH STATEMENT EXECUTE FUNCTION count_ended()
"""
KEPT = "to_jsonb(job) - ARRAY['status', 'finished_at', 'abort_requested', 'terminate_requested', 'due_at', 'staged_at']"


@pytest.fixture
def many(open_app: workrow.App) -> workrow.Task[..., Any]:
    @open_app.task(name="many", queue="cancelled ones", limits=workrow.Limit(5))
    async def many(x: int) -> int:
        return x

    return many


async def test_all_that_waits_ends_in_one_statement_but_for_what_somebody_holds(
    open_app: workrow.App, database_url: str, conn: Any, many: Any
) -> None:
    job = many.options(unique=("x",), expires=timedelta(days=1), priority=3)
    workflow = await workrow.group([job.s(x) for x in range(SIZE)]).enqueue(None)
    ids = [row[0] for row in conn.execute("SELECT id FROM procrastinate_jobs ORDER BY id").fetchall()]
    conn.execute(
        'UPDATE procrastinate_jobs SET errors = \'[{"type": "Earlier"}]\', attempts = 1 WHERE id = %s', [ids[0]]
    )
    live = f"SELECT id, {KEPT} FROM procrastinate_jobs AS job"
    past = f"SELECT id, {KEPT} - ARRAY['quarantine'] FROM workrow.history AS job"
    before = dict(conn.execute(live).fetchall())
    conn.execute(COUNT_STATEMENTS)
    conn.execute("INSERT INTO workrow.waiters VALUES (gen_random_uuid(), now() + INTERVAL '1 hour')")
    with psycopg.connect(database_url) as other, psycopg.connect(database_url, autocommit=True) as waiter:
        waiter.execute("LISTEN workrow_ended")
        other.execute("SELECT FROM procrastinate_jobs WHERE id = %s FOR UPDATE", [ids[5]])
        assert await workflow.cancel() == "cancelling"
        assert len(list(waiter.notifies(timeout=5, stop_after=1))) == 1
    assert conn.execute("SELECT * FROM ended_by").fetchall() == [(SIZE - 1,)]
    after = dict(conn.execute(past).fetchall())
    assert after == {each: {key: before[each][key] for key in after[each]} for each in ids if each != ids[5]}
    assert conn.execute("SELECT DISTINCT status, finished_at >= created_at FROM workrow.history").fetchall() == [
        ("cancelled", True)
    ]
    assert ("cancelled ones",) in conn.execute("SELECT name FROM workrow.queue_names").fetchall()
    assert (await job.enqueue(None, 3)).created  # its unique key is free
    conn.execute("SELECT workrow.sweep_workflows_v1()")
    assert ((await workflow.status()).state, await open_app.job(ids[5]).status()) == ("cancelled", "cancelled")
    await run(open_app)
    assert conn.execute("SELECT count(*) FROM workrow.history WHERE status = 'succeeded'").fetchall() == [(1,)]


async def test_a_failure_ends_the_rest_in_one_statement(open_app: workrow.App, conn: Any, many: Any) -> None:
    workflow = await workrow.group([many.s(x) for x in range(SIZE)]).enqueue(None)
    [(job_id,)] = conn.execute("SELECT min(id) FROM procrastinate_jobs").fetchall()
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [job_id])
    conn.execute(COUNT_STATEMENTS)
    conn.execute("SELECT workrow.end_job_v1(%s, '{doing}', 'failed')", [job_id])
    assert conn.execute("SELECT * FROM ended_by ORDER BY rows").fetchall() == [(1,), (SIZE - 1,)]
    assert (await workflow.status()).state == "failed"
