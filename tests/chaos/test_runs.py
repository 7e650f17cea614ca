"""What the judge knows of a claim that a crash of the server took is what a worker does with one."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import workrow
from tests.chaos.app import EFFECT
from tests.chaos.cluster import Cluster
from tests.chaos.facts import Facts, Run
from tests.chaos.judge import plain_effects
from tests.chaos.runs import note_run, runs_in
from workrow import schema


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A server that syncs nothing by itself for ten seconds."""
    directory = Path(tempfile.mkdtemp(prefix="workrow-chaos-"))
    directory.chmod(0o755)
    cluster = Cluster(directory, directory, settings={"wal_writer_delay": "10s"})
    try:
        cluster.start()
        schema.upgrade(cluster.url)
        with psycopg.connect(cluster.url) as connection:
            connection.execute(Path(__file__).with_name("tables.sql").read_bytes())
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(directory)


async def test_a_claim_that_a_crash_took_is_run_again_by_the_same_number(cluster: Cluster, tmp_path: Path) -> None:
    app = workrow.App(cluster.url)
    app.around_run(note_run)
    begun, go_on = asyncio.Event(), asyncio.Event()

    @app.task(name="chaos.coroutine")
    async def counted(ctx: workrow.JobContext, key: str) -> None:
        begun.set()
        await go_on.wait()
        async with await psycopg.AsyncConnection.connect(cluster.url, autocommit=True) as own:
            await own.execute(EFFECT, (ctx.job.id, ctx.job.attempts, key, 1))

    noted = logging.FileHandler(tmp_path / "worker-0.log")
    logger = logging.getLogger("tests.chaos.runs")
    logger.addHandler(noted)
    logger.setLevel(logging.INFO)
    try:
        async with app.open_async():
            job = await counted.enqueue(None, key="k")
            # one slot: what runs is not claimed once more meanwhile
            worker = asyncio.create_task(app.run_worker_async(concurrency=1, install_signal_handlers=False))
            await begun.wait()
            await asyncio.to_thread(cluster.crash)
            await asyncio.to_thread(cluster.restart)
            with psycopg.connect(cluster.url) as connection:
                assert connection.execute("SELECT status, claims FROM procrastinate_jobs").fetchone() == ("todo", 0)
            go_on.set()
            assert await job.result(timeout=30) is None
            worker.cancel()
            await asyncio.wait([worker])
    finally:
        logger.removeHandler(noted)
        logger.setLevel(logging.NOTSET)
        noted.close()
    first, again = runs_in(tmp_path)
    assert first[:3] == again[:3] == Run(job.id, 1, first.worker, 0)[:3]
    with psycopg.connect(cluster.url) as connection:
        assert plain_effects(connection, Facts(runs=[first, again], crashes=cluster.crashes)) == []
        (told,) = plain_effects(connection, Facts(runs=[first, again]))
    assert told == f"job {job.id} (succeeded) had 2 effects in 1 claims and 0 that a crash took"
