"""Ends that the database refuses each time, by somebody's trigger on the history: they keep nobody from anything."""

import asyncio
import logging
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_worker import run

REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no place for %', NEW.id; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON workrow.history
    FOR EACH ROW WHEN (NEW.task_name = 'stuck') EXECUTE FUNCTION refuse();
CREATE TRIGGER refuse BEFORE INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN (NEW.task_name = 'never') EXECUTE FUNCTION refuse()
"""


@pytest.fixture
def refusing(open_app: workrow.App, conn: Any) -> workrow.App:
    @open_app.task(name="stuck")
    async def stuck() -> None: ...

    @open_app.task(name="good")
    async def good() -> None: ...

    @open_app.task(name="never")
    async def never() -> None: ...

    @open_app.task(name="replaced")
    async def replaced() -> Any:
        return workrow.chain(never.s(), good.si())

    conn.execute(REFUSE)
    return open_app


def counts(conn: Any) -> dict[tuple[str, str], int]:
    rows = conn.execute("SELECT task, status, count(*) FROM workrow.jobs GROUP BY 1, 2").fetchall()
    return {(task, status): count for task, status, count in rows}


async def test_a_worker_stops_all_the_same(refusing: workrow.App, conn: Any, caplog: Any) -> None:
    stuck, good = refusing.tasks["stuck"], refusing.tasks["good"]
    await stuck.enqueue_many(None, [{}] * 2)
    await good.enqueue_many(None, [{}] * 5)
    one = refusing._worker(wait=False, install_signal_handlers=False)
    worker = asyncio.create_task(one.run())
    ended, _ = await asyncio.wait([worker], timeout=60)
    conn.execute("DROP TRIGGER refuse ON workrow.history")  # else it would never end
    await worker
    assert ended
    assert any(each.startswith("2 finished jobs cannot be written") for each in one.warnings())
    assert counts(conn) == {("stuck", "doing"): 2, ("good", "succeeded"): 5}
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert sum("its outcome cannot be stored: no place for" in each for each in said) == 2  # each once
    assert "2 finished jobs were not written; others will run them again" in said


async def test_one_that_is_refused_for_a_moment_is_written(
    refusing: workrow.App, conn: Any, caplog: Any, monkeypatch: Any
) -> None:
    job = await refusing.tasks["stuck"].enqueue(None)
    worker = asyncio.create_task(run(refusing))
    while not any("cannot be stored" in record.getMessage() for record in caplog.records):
        await asyncio.sleep(0.01)
    conn.execute("DROP TRIGGER refuse ON workrow.history")
    await worker
    assert await job.status() == "succeeded"


async def test_a_job_whose_workflow_cannot_be_enqueued_has_failed(refusing: workrow.App, conn: Any) -> None:
    job = await refusing.tasks["replaced"].enqueue(None)
    await run(refusing)
    assert counts(conn) == {("replaced", "failed"): 1}
    with pytest.raises(workrow.JobFailed, match="its end could not be stored as it was: no place for"):
        await job.result(timeout=5)


@pytest.mark.parametrize(
    ("change", "sweep", "ends"),
    [
        ("status = 'succeeded'", "SELECT workrow.sweep_finished_v1()", "succeeded"),
        ("expires_at = '2000-01-01'", "SELECT workrow.sweep_expired_v1()", "cancelled"),
    ],
)
async def test_a_sweep_passes_it(
    refusing: workrow.App, conn: psycopg.Connection, change: Any, sweep: Any, ends: str
) -> None:
    for name in ("good", "stuck", "good"):
        await refusing.tasks[name].enqueue(None)
    conn.execute(f"UPDATE procrastinate_jobs SET {change}")
    assert conn.execute(sweep).fetchone() == (2,)
    assert counts(conn)[("good", ends)] == 2
    assert conn.execute("SELECT task_name FROM procrastinate_jobs").fetchall() == [("stuck",)]
