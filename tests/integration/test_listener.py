"""What is heard, whoever says it: any role that may connect can notify."""

import asyncio
import selectors
from typing import Any

import psycopg
import pytest

import workrow
from workrow.database.link import Link
from workrow.database.listener import Listener, of_jobs
from workrow.worker.claiming.claimer import BUSY_SURVEY, NOTIFIED_MOST, Claimer

NONSENSE = [
    "",
    "null",
    "[]",
    "7",
    "[" * 5000,
    '{"type": "job_inserted"}',
    '{"type": "job_inserted", "job_id": 99999999999999999999}',
    '{"type": "job_inserted", "job_id": -1}',
    '{"type": "job_inserted", "job_id": Infinity}',
    '{"type": "job_inserted", "job_id": 1e300}',
    '{"type": "job_inserted", "job_id": true}',
    '{"type": "job_inserted", "job_id": "7"}',
    '{"type": "job_inserted", "job_id": {}}',
    '{"type": ["abort_job_requested"], "job_id": 7}',
    '{"type": null, "job_id": 7}',
]


@pytest.mark.parametrize("payload", NONSENSE)
def test_nonsense_is_nothing(payload: str) -> None:
    heard: list[int] = []
    of_jobs(heard.append, heard.append)(payload)
    assert heard == []


def test_procrastinates_words_are_understood() -> None:
    jobs: list[int] = []
    aborts: list[int] = []
    hear = of_jobs(jobs.append, aborts.append)
    hear('{"type": "job_inserted", "job_id": 7}')
    hear('{"type": "job_inserted", "job_id": 0}')
    hear('{"type": "abort_job_requested", "job_id": 9223372036854775807}')
    assert (jobs, aborts) == ([7, 0], [2**63 - 1])


async def test_a_role_without_rights_stops_no_worker(
    open_app: workrow.App,
    conn: psycopg.Connection[Any],
    database_url: str,
    new_role: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: asyncio.Queue[int] = asyncio.Queue()

    @open_app.task(name="note")
    async def note(n: int) -> None:
        done.put_nowait(n)

    worker = asyncio.create_task(open_app.run_worker_async(install_signal_handlers=False))
    try:
        async with asyncio.timeout(30):
            while not conn.execute("SELECT FROM workrow.sleepers").fetchall():
                await asyncio.sleep(0.01)
            whose = psycopg.conninfo.make_conninfo(database_url, user=new_role)
            async with await psycopg.AsyncConnection.connect(whose, autocommit=True) as nobody:
                for payload in NONSENSE:
                    await nobody.execute("SELECT pg_notify('procrastinate_any_queue_v1', %s)", [payload])
            await note.enqueue(None, n=1)
            assert await done.get() == 1
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_no_more_ids_are_kept_than_a_claim_may_ask_for(
    open_app: workrow.App, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    conn.autocommit = True

    @open_app.task(name="note")
    async def note() -> None: ...

    most = 0
    notify = Claimer.notify

    def counted(self: Claimer, job_id: int) -> None:
        nonlocal most
        for flood in range(1, 3 * NOTIFIED_MOST):
            notify(self, flood)
        notify(self, job_id)
        most = max(most, len(self._notified))

    monkeypatch.setattr(Claimer, "notify", counted)
    worker = asyncio.create_task(open_app.run_worker_async(install_signal_handlers=False))
    try:
        async with asyncio.timeout(30):
            while not conn.execute("SELECT FROM workrow.sleepers").fetchall():
                await asyncio.sleep(0.01)
            await (await note.enqueue(None)).result()
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert most == NOTIFIED_MOST


async def test_the_job_that_woke_a_sleeper_starts_before_the_survey(
    open_app: workrow.App, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    conn.autocommit = True
    order: list[str] = []
    ask = Link.run

    async def watched(self: Link, name: str, /, **params: Any) -> Any:
        order.append(name)
        return await ask(self, name, **params)

    @open_app.task(name="note")
    async def note() -> None:
        order.append("started")

    monkeypatch.setattr(Link, "run", watched)
    worker = asyncio.create_task(
        open_app.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=60)
    )
    try:
        async with asyncio.timeout(30):
            for _ in range(3):
                await asyncio.sleep(BUSY_SURVEY)  # so that a survey is due
                while not conn.execute("SELECT FROM workrow.sleepers").fetchall():
                    await asyncio.sleep(0.01)
                await (await note.enqueue(None)).result()
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    told = [n for n, name in enumerate(order) if name == "claim_notified_jobs"]
    parts = [order[at:end] for at, end in zip(told, [*told[1:], None], strict=True)]
    before = [part[1 : part.index("started")] for part in parts if "started" in part]
    # a survey may have been faster, and its claim
    started = [part for part in before if not any(name.startswith("claim_") for name in part)]
    assert started
    assert not any("survey_jobs" in part for part in started)
    assert "survey_jobs" in order[told[0] :]


async def test_what_comes_in_the_same_read_as_the_check_is_heard(database_url: str) -> None:
    heard: list[str] = []

    async def connect() -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(database_url, autocommit=True)

    async with await connect() as connection, await connect() as sender:
        listener = Listener(connect, ["jobs"], heard.append, lambda: None, lambda: None)
        for channel in ("jobs", listener._canary):
            await connection.execute(f'LISTEN "{channel}"')
        # one transaction: first what the listener waits for, then a job
        await sender.execute(f"SELECT pg_notify('{listener._canary}', ''), pg_notify('jobs', 'job 1')")
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            assert selector.select(10), "both are there, unread"
        await listener._hear_for(connection, 5, stop_after=1)
        await listener._hear_for(connection, 0.1)
    assert heard == ["job 1"]
