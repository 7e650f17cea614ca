"""A task in a child process that returns a workflow is replaced by it, as any other is."""

from typing import Any

import pytest

import workrow
from tests.integration.process_app import app, count, give_back, split, strange, stranger, unfit
from tests.integration.test_worker import run
from workrow.database.connector import Connector


async def test_what_follows_waits_for_it(database_url: str, conn: Any) -> None:
    with app.replace_connector(Connector(database_url)):
        async with app.open_async():
            workflow = await workrow.chain(split.s([1, 2]), count.s()).enqueue(None)
            nothing = await workrow.chain(split.s([]), count.s()).enqueue(None)
            alone = await split.enqueue(None, [3])
            bad = await unfit.enqueue(None)
            await run(app)
            assert (await workflow.result(timeout=5), await nothing.result(timeout=5)) == (2, 0)
            begun = (await alone.result(timeout=5))["workflow_id"]
            assert await app.workflow(begun).result(timeout=5) == ["3 cm, hush"]
            with pytest.raises(workrow.JobFailed, match="ArgumentError: measure.*missing a required argument: .word."):
                await bad.result(timeout=5)
    specs = "SELECT args, priority FROM procrastinate_jobs WHERE task_name = 'measure' UNION ALL SELECT args, priority "
    rows = conn.execute(specs + "FROM workrow.history WHERE task_name = 'measure' ORDER BY args").fetchall()
    assert rows == [({"size": {"cm": cm}, "word": "hush"}, 7) for cm in (1, 2, 3)]
    assert conn.execute("SELECT count(*) FROM workrow.workflows").fetchone() == (3,)


async def test_an_app_that_the_child_cannot_find(open_app: workrow.App) -> None:
    job = await open_app.task(name="lost", run_in="process")(give_back).enqueue(None)
    await run(open_app)
    with pytest.raises(workrow.JobFailed, match="the app is no attribute of an imported module; assign it at the top"):
        await job.result(timeout=5)


async def test_a_workflow_of_another_apps_tasks(database_url: str, conn: Any) -> None:
    with app.replace_connector(Connector(database_url)):
        async with app.open_async():
            jobs = [await strange.enqueue(None), await stranger.enqueue(None)]
            await run(app)
            for job in jobs:
                with pytest.raises(workrow.JobFailed, match="which does not have it: declare it there, or on a"):
                    await job.result(timeout=5)
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
