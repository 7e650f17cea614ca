"""Batch handlers: many jobs of a task in one call, each with an end of its own."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pydantic
import pytest
import sqlalchemy as sa
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_worker import row, run
from workrow.database.urls import libpq_url
from workrow.testing import Harness, inline


class Doc(NamedTuple):
    id: int
    title: str = "untitled"


class Bad(Exception): ...


async def test_jobs_come_together_and_each_has_its_own_end(open_app: workrow.App, conn: Any) -> None:
    calls: list[list[tuple[int, str]]] = []

    @open_app.task(name="index", batch=workrow.Batch(size=10, within=60), retry=workrow.Retry(max_attempts=2, wait=600))
    async def index(docs: list[tuple[int, str]]) -> list[str | Exception]:
        calls.append(docs)
        answers: list[str | Exception] = [title.upper() for _, title in docs]
        answers[1] = Bad("no. 1")
        answers[2] = workrow.Discard("not wanted")
        answers[3] = workrow.Snooze(in_=600)
        answers[4] = workrow.RetryLater("busy", in_=300)
        return answers

    jobs = [await index.enqueue(None, number, f"t{number}") for number in range(6)]
    await run(open_app, concurrency=3)
    assert calls == [[(number, f"t{number}") for number in range(6)]]
    found = [row(conn, job) for job in jobs]
    assert [(each["status"], each["attempts"], each["result"]) for each in found] == [
        ("succeeded", 1, "T0"),
        ("todo", 1, None),
        ("failed", 1, None),
        ("todo", 0, None),
        ("todo", 1, None),
        ("succeeded", 1, "T5"),
    ]
    assert found[1]["error"] == "no. 1"
    assert found[2]["discarded"]
    assert await jobs[0].result(timeout=5) == "T0"


async def test_an_error_of_the_call_is_each_jobs_own(open_app: workrow.App, conn: Any) -> None:
    sizes: list[int] = []

    @open_app.task(name="post", batch=workrow.Batch(Doc, size=10), retry=workrow.Retry(max_attempts=2, wait=0))
    def post(docs: list[Doc]) -> None:
        sizes.append(len(docs))
        raise Bad("the service is away")

    first = await post.enqueue(None, 1)
    conn.execute("UPDATE procrastinate_jobs SET attempts = 1 WHERE id = %s", [first.id])
    second = await post.enqueue(None, 2)
    await run(open_app, concurrency=2)
    assert sizes == [2, 1]
    for job in (first, second):
        found = row(conn, job)
        assert (found["status"], found["attempts"], found["error"]) == ("failed", 2, "the service is away")
        assert 'raise Bad("the service is away")' in found["traceback"]


ANSWERS: list[Any] = [[1], [1, 2, 3], "ab", 7, {1: 2, 3: 4}]


async def test_answers_that_do_not_fit_the_jobs_fail_them(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="count", batch=workrow.Batch(size=2, by="arg0"))
    async def count(numbers: list[tuple[int, int]]) -> Any:
        return ANSWERS[numbers[0][0]]

    for number in range(2 * len(ANSWERS)):
        await count.enqueue(None, number // 2, number)
    await run(open_app)
    errors = conn.execute("SELECT error_type, error FROM workrow.jobs WHERE status = 'failed'").fetchall()
    assert len(errors) == 2 * len(ANSWERS)
    for kind, error in errors:
        assert kind == "TypeError"
        assert error.endswith(
            "for 2 jobs: return a list with an answer for each, in their order (a result, or an exception in its "
            "place), or None"
        )


class Awkward(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


ERRORS = (Awkward, SystemExit, GeneratorExit, StopIteration, asyncio.CancelledError, KeyboardInterrupt)


@pytest.mark.parametrize("raised", [True, False])
async def test_whatever_an_error_is_the_others_end(open_app: workrow.App, conn: Any, raised: bool) -> None:
    @open_app.task(name="odd", batch=workrow.Batch(size=2, by="arg0"))
    async def odd(kinds: list[tuple[int, str]]) -> list[Any]:
        error = ERRORS[kinds[0][0]]()
        if raised:
            raise error
        return ["well", error]

    for number in range(len(ERRORS)):
        await odd.enqueue(None, number, "first")
        await odd.enqueue(None, number, "second")
    await asyncio.wait_for(run(open_app, concurrency=2), 30)
    ends = conn.execute(
        "SELECT args ->> 'arg1', status, count(*) FROM workrow.jobs GROUP BY 1, 2 ORDER BY 1"
    ).fetchall()
    assert ends == [("first", "failed" if raised else "succeeded", len(ERRORS)), ("second", "failed", len(ERRORS))]


async def test_answers_may_be_classes_of_errors(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="classes", batch=workrow.Batch(size=2))
    def classes(numbers: list[tuple[int]]) -> list[Any]:
        return [Bad, workrow.Discard]

    jobs = [await classes.enqueue(None, number) for number in range(2)]
    await run(open_app)
    assert [row(conn, job)["status"] for job in jobs] == ["failed", "failed"]
    assert row(conn, jobs[1])["discarded"]


async def test_one_that_does_not_fit_is_quarantined_alone(open_app: workrow.App, conn: Any) -> None:
    @dataclasses.dataclass
    class Point:
        x: int
        tags: list[str] = dataclasses.field(default_factory=list)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("left of the map")

    seen: list[Any] = []

    @open_app.task(name="draw", batch=workrow.Batch(Point, size=10))
    async def draw(points: list[Point]) -> None:
        seen.extend(points)

    with pytest.raises(
        workrow.ArgumentError, match=r"draw\(x: int, .*: the arguments do not fit: ValueError: left of the map"
    ):
        await draw.enqueue(None, -1)
    with pytest.raises(workrow.ArgumentError, match="left of the map"):
        await draw.enqueue_many(None, [{"x": 1}, {"x": -1}])
    with pytest.raises(workrow.ArgumentError, match="argument x='1' does not fit int"):
        await draw.enqueue(None, "1")  # type: ignore[call-overload]
    for args in ('{"x": 1}', '{"x": "one"}', '{"x": -1}', "[]", '{"x": 2, "tags": ["a"]}'):
        conn.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('default', 'draw', %s)", [args]
        )
    await run(open_app)
    assert seen == [Point(1), Point(2, ["a"])]
    assert conn.execute("SELECT status FROM workrow.jobs ORDER BY id").fetchall() == [
        (status,) for status in ("succeeded", "failed", "failed", "failed", "succeeded")
    ]
    reasons = conn.execute("SELECT quarantine FROM workrow.jobs WHERE status = 'failed' ORDER BY id").fetchall()
    assert "left of the map" in reasons[1][0]


async def test_jobs_of_one_key_come_together(open_app: workrow.App) -> None:
    calls: list[set[str]] = []

    @open_app.task(name="keyed", batch=workrow.Batch(Doc, size=3, by="title"))
    async def keyed(docs: list[Doc]) -> None:
        calls.append({f"{doc.title} {doc.id}" for doc in docs})

    for number in range(4):
        await keyed.enqueue(None, number, "a")
        await keyed.enqueue(None, number, "b")
    await keyed.enqueue(None, 10)
    await keyed.enqueue(None, 11, title="untitled")
    await run(open_app, concurrency=8)
    assert sorted(calls, key=lambda call: sorted(call)) == [
        {"a 0", "a 1", "a 2"},
        {"a 3"},
        {"b 0", "b 1", "b 2"},
        {"b 3"},
        {"untitled 10", "untitled 11"},
    ]


async def test_a_batch_gathers_without_a_slot_and_runs_in_one(open_app: workrow.App, conn: Any) -> None:
    going, seen = asyncio.Event(), list[Any]()

    @open_app.task(name="gather", batch=workrow.Batch(size=3, within=0.2))
    async def gather(numbers: list[tuple[int]]) -> None:
        seen.append([number for (number,) in numbers])
        await going.wait()

    @open_app.task(name="plain")
    async def plain(number: int) -> None:
        seen.append(number)

    first = await gather.enqueue(None, 1)
    async with Running(open_app, concurrency=2):
        await until(lambda: row(conn, first)["status"] == "doing")
        await plain.enqueue(None, 100)
        await until(lambda: seen == [100, [1]])  # it waits for others, and not for ever
        for number in range(2, 7):
            await gather.enqueue(None, number)
        await until(lambda: len(seen) == 3)
        assert seen[2] == [2, 3, 4], "a full one starts at once"
        last = await plain.enqueue(None, 101)
        await asyncio.sleep(0.3)
        assert row(conn, last)["status"] == "todo", "two calls, two slots"
        going.set()
        await until(lambda: len(seen) == 5)
    assert [5, 6] in seen
    assert 101 in seen


async def test_what_gathers_goes_back_when_the_worker_stops(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="never", batch=workrow.Batch(size=3, within=3600))
    async def never(numbers: list[tuple[int]]) -> None:
        raise AssertionError

    job = await never.enqueue(None, 1)
    async with Running(open_app):
        await until(lambda: row(conn, job)["status"] == "doing")
    assert (row(conn, job)["status"], row(conn, job)["attempts"]) == ("todo", 0)


async def test_one_that_somebody_put_back_is_lost_and_runs_anew(open_app: workrow.App, conn: Any) -> None:
    calls: list[list[int]] = []
    going = asyncio.Event()

    @open_app.task(name="again", batch=workrow.Batch(size=2, within=0.1), aliases=["former"])
    async def again(numbers: list[tuple[int]]) -> list[int]:
        got = [number for (number,) in numbers]
        calls.append(got)
        await going.wait()
        return got

    one = await again.enqueue(None, 1)
    conn.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('other', 'former', '{\"arg0\": 2}')"
    )
    async with Running(open_app, concurrency=2):
        await until(lambda: calls == [[1, 2]])
        conn.execute("UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL WHERE id = %s", [one.id])
        await until(lambda: calls == [[1, 2], [1]])
        going.set()
        await until(lambda: conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,))
    ends = conn.execute("SELECT status, claims, attempts, result FROM workrow.jobs ORDER BY id").fetchall()
    assert ends == [("succeeded", 2, 1, 1), ("succeeded", 1, 1, 2)]


async def test_what_gathers_goes_back_in_a_pause(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="never", batch=workrow.Batch(size=3, within=3600))
    async def never(numbers: list[tuple[int]]) -> None:
        raise AssertionError

    job = await never.enqueue(None, 1)
    async with Running(open_app):
        await until(lambda: row(conn, job)["status"] == "doing")
        await open_app.pause_task_async("never")
        await until(lambda: row(conn, job)["status"] == "todo")


async def test_what_gathers_is_aborted_when_it_is_cancelled(open_app: workrow.App, conn: Any) -> None:
    seen: list[int] = []

    @open_app.task(name="cancelled", batch=workrow.Batch(size=2, within=3600))
    async def cancelled(numbers: list[tuple[int]]) -> None:
        seen.extend(number for (number,) in numbers)

    first = await cancelled.enqueue(None, 1)
    async with Running(open_app, abort_job_polling_interval=0.05):
        await until(lambda: row(conn, first)["status"] == "doing")
        assert await first.cancel() == "aborting"
        await until(lambda: row(conn, first)["status"] == "aborted")
        others = [await cancelled.enqueue(None, number) for number in (2, 3)]
        await until(lambda: all(row(conn, each)["status"] == "succeeded" for each in others))
    assert seen == [2, 3]


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_jobs_may_leave_a_call_and_the_last_one_ends_it(open_app: workrow.App, conn: Any, kind: str) -> None:
    calls: list[str] = []
    asked = threading.Event()

    async def on_loop(contexts: list[workrow.JobContext], numbers: list[tuple[int]]) -> list[int]:
        calls.append("began")
        try:
            while not asked.is_set():
                await asyncio.sleep(0.01)
        finally:
            calls.append("ended")
        return [number for (number,) in numbers]

    def in_thread(contexts: list[workrow.JobContext], numbers: list[tuple[int]]) -> list[int]:
        calls.append("began")
        try:
            while not asked.is_set():
                time.sleep(0.01)
        finally:
            calls.append("ended")
        return [number for (number,) in numbers]

    batch = workrow.Batch(size=2, within=60)
    task: Any = open_app.task(name="long", batch=batch)(on_loop if kind == "async" else in_thread)
    one, two = [await task.enqueue(None, number) for number in range(2)]
    async with Running(open_app, concurrency=1, abort_job_polling_interval=0.05):
        await until(lambda: len(calls) == 1)
        await one.cancel(terminate=True)
        await until(lambda: row(conn, one)["status"] == "aborted")
        assert calls == ["began"], "it goes on for the other one"
        asked.set()
        assert await two.result(timeout=10) == 1
        asked.clear()
        three, four = [await task.enqueue(None, number) for number in range(2)]
        await until(lambda: len(calls) == 3)
        await three.cancel(terminate=True)
        await four.cancel(terminate=True)
        await until(lambda: (row(conn, three)["status"], row(conn, four)["status"]) == ("aborted", "aborted"))
        await until(lambda: calls == ["began", "ended"] * 2)


async def test_what_has_crashed_runs_alone(open_app: workrow.App, conn: Any) -> None:
    calls: list[list[int]] = []

    @open_app.task(name="suspect", batch=workrow.Batch(size=10))
    async def suspect(numbers: list[tuple[int]]) -> None:
        calls.append([number for (number,) in numbers])

    jobs = [await suspect.enqueue(None, number) for number in range(4)]
    conn.execute("UPDATE procrastinate_jobs SET crashes = 1 WHERE id = %s", [jobs[1].id])
    await run(open_app)
    assert sorted(calls) == [[0, 2, 3], [1]]


async def test_limits_count_jobs_and_hold_their_line(open_app: workrow.App) -> None:
    calls: list[int] = []

    @open_app.task(name="limited", batch=workrow.Batch(size=10), limits=workrow.Limit(2))
    async def limited(numbers: list[tuple[int]]) -> None:
        calls.append(len(numbers))

    for number in range(5):
        await limited.enqueue(None, number)
    await run(open_app, concurrency=10)
    assert sum(calls) == 5
    assert max(calls) == 2


async def test_a_time_limit_is_of_the_call_and_fails_each(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="slow", batch=workrow.Batch(size=2), time_limit=0.1)
    async def slow(numbers: list[tuple[int]]) -> None:
        await asyncio.sleep(60)

    jobs = [await slow.enqueue(None, number) for number in range(2)]
    await run(open_app)
    assert [row(conn, job)["error_type"] for job in jobs] == ["workrow.errors.TimeLimitExceeded"] * 2


async def test_hooks_are_around_each_job_and_resources_around_the_call(open_app: workrow.App, conn: Any) -> None:
    events: list[Any] = []

    class Client: ...

    def client() -> Client:
        events.append("opened")
        return Client()

    open_app.provide(Client, client, scope="job")

    @open_app.around_run
    async def around(ctx: workrow.JobContext) -> AsyncIterator[None]:
        if ctx.job.task_kwargs["arg0"] == 2:
            raise Bad("not this one")
        try:
            yield
        finally:
            events.append(ctx.job.id)

    @open_app.task(name="hooked", batch=workrow.Batch(size=3))
    async def hooked(
        contexts: list[workrow.JobContext], numbers: list[tuple[int]], client: Client = workrow.inject()
    ) -> list[int]:
        assert isinstance(client, Client)
        events.append([ctx.job.id for ctx in contexts])
        for ctx in contexts:
            ctx.progress(ctx.attempt, 10)
        return [number for (number,) in numbers]

    jobs = [await hooked.enqueue(None, number) for number in range(3)]
    await run(open_app)
    ids = [job.id for job in jobs]
    assert events == ["opened", ids[:2], ids[0], ids[1]]
    assert [row(conn, job)["status"] for job in jobs] == ["succeeded", "succeeded", "failed"]
    said = await jobs[0].progress()
    assert said is not None
    assert said.fraction == 0.1


async def test_an_error_of_the_call_tells_no_secret_of_any_job(open_app: workrow.App, conn: Any) -> None:
    class Login(pydantic.BaseModel):
        user: str
        token: pydantic.SecretStr

    @open_app.task(name="login", batch=workrow.Batch(Login, size=3))
    async def login(logins: list[Login]) -> None:
        raise Bad(" and ".join(each.token.get_secret_value() for each in logins))

    jobs = [await login.enqueue(None, user="ada", token=pydantic.SecretStr(f"hush-{n}")) for n in range(2)]
    await run(open_app)
    for job in jobs:
        assert row(conn, job)["error"] == "*** and ***"
        assert "hush" not in row(conn, job)["traceback"]


async def test_what_expires_while_it_gathers_is_not_started(open_app: workrow.App, conn: Any) -> None:
    seen: list[int] = []

    @open_app.task(name="fresh", batch=workrow.Batch(size=3, within=0.3))
    async def fresh(numbers: list[tuple[int]]) -> None:
        seen.extend(number for (number,) in numbers)

    async with Running(open_app):
        old = await fresh.options(expires=0.15).enqueue(None, 1)
        new = await fresh.enqueue(None, 2)
        await until(lambda: row(conn, new)["status"] == "succeeded")
        await until(lambda: row(conn, old)["status"] == "cancelled")
    assert seen == [2]


@pytest.fixture
async def transactional_app(database_url: str, conn: Any) -> AsyncIterator[workrow.App]:
    conn.execute("CREATE TABLE stored (number int, claims int)")
    url = libpq_url(database_url).replace("postgresql://", "postgresql+psycopg://")
    engine, sync_engine = create_async_engine(url), create_engine(url)
    app = workrow.App(database_url, sessions=async_sessionmaker(engine), sync_sessions=sessionmaker(sync_engine))
    async with app.open_async():
        yield app
    await engine.dispose()
    sync_engine.dispose()


STORE = sa.text("INSERT INTO stored (number) VALUES (:number)")


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_effects_and_ends_of_a_call_commit_together(transactional_app: Any, conn: Any, kind: str) -> None:
    app, calls = transactional_app, list[int]()

    async def on_loop(
        session: AsyncSession, contexts: list[workrow.JobContext], numbers: list[tuple[int]]
    ) -> list[Any]:
        calls.append(len(numbers))
        for (number,) in numbers:
            await session.execute(STORE, {"number": number})
        if len(calls) == 1:
            raise Bad("all of it")
        return [Bad("this one") if number == 2 else number for (number,) in numbers]

    def in_thread(session: Session, numbers: list[tuple[int]]) -> list[Any]:
        calls.append(len(numbers))
        session.execute(STORE, [{"number": number} for (number,) in numbers])
        if len(calls) == 1:
            raise Bad("all of it")
        return [Bad("this one") if number == 2 else number for (number,) in numbers]

    options = {"batch": workrow.Batch(size=3), "transactional": True, "retry": workrow.Retry(max_attempts=2, wait=0)}
    task = app.task(name="store", **options)(on_loop if kind == "async" else in_thread)
    for number in range(3):
        await task.enqueue(None, number)
    await run(app)
    assert calls == [3, 3]
    assert conn.execute("SELECT number FROM stored ORDER BY 1").fetchall() == [(0,), (1,), (2,)]
    ends = conn.execute("SELECT status, attempts, result, error FROM workrow.jobs ORDER BY id").fetchall()
    assert ends == [
        ("succeeded", 2, 0, "all of it"),
        ("succeeded", 2, 1, "all of it"),
        ("failed", 2, None, "this one"),
    ]


@pytest.mark.parametrize("left", ["lost", "aborted"])
async def test_where_one_of_a_transaction_is_gone_nothing_stays(
    transactional_app: workrow.App, conn: Any, left: str
) -> None:
    app, going, calls = transactional_app, asyncio.Event(), list[list[int]]()

    @app.task(name="store", batch=workrow.Batch(size=3), transactional=True)
    async def store(session: AsyncSession, numbers: list[tuple[int]]) -> list[int]:
        got = [number for (number,) in numbers]
        calls.append(got)
        await session.execute(STORE, [{"number": number} for number in got])
        await going.wait()
        return got

    jobs = [await store.enqueue(None, number) for number in range(3)]
    async with Running(app, concurrency=1, abort_job_polling_interval=0.05):
        await until(lambda: calls == [[0, 1, 2]])
        if left == "lost":
            conn.execute("UPDATE procrastinate_jobs SET claims = claims + 1 WHERE id = %s", [jobs[1].id])
            going.set()
        else:
            await jobs[1].cancel(terminate=True)
            await until(lambda: row(conn, jobs[1])["status"] == "aborted")
            going.set()
        await until(lambda: [row(conn, jobs[n])["status"] for n in (0, 2)] == ["succeeded"] * 2)
    assert calls == [[0, 1, 2], [0, 2]]
    assert conn.execute("SELECT number FROM stored ORDER BY 1").fetchall() == [(0,), (2,)]
    assert [row(conn, jobs[n])["attempts"] for n in (0, 2)] == [1, 1]


async def test_a_result_that_the_database_does_not_take_is_not_kept_and_the_others_are(
    transactional_app: workrow.App, conn: Any
) -> None:
    app, calls = transactional_app, list[int]()

    @app.task(name="store", batch=workrow.Batch(size=2), transactional=True)
    async def store(session: AsyncSession, numbers: list[tuple[int]]) -> list[Any]:
        calls.append(len(numbers))
        await session.execute(STORE, [{"number": number} for (number,) in numbers])
        return ["\x00", None]

    jobs = [await store.enqueue(None, number) for number in range(2)]
    await run(app)
    assert [row(conn, job)["status"] for job in jobs] == ["succeeded", "succeeded"]
    assert conn.execute("SELECT count(*) FROM stored").fetchone() == (2,)
    with pytest.raises(workrow.NoResult):
        await jobs[0].result(timeout=5)
    assert await jobs[1].result(timeout=5) is None


async def test_the_test_kit_fills_batches_and_inline_runs_each_alone(app: workrow.App) -> None:
    calls: list[list[int]] = []

    @app.task(name="kit", batch=workrow.Batch(Doc, size=3, within=60))
    async def kit(docs: list[Doc]) -> list[int]:
        calls.append([doc.id for doc in docs])
        return [doc.id for doc in docs]

    async with Harness(app) as jobs:
        for number in range(5):
            await kit.enqueue(None, number)
        assert [each.result for each in await jobs.drain()] == [0, 1, 2, 3, 4]
        assert calls == [[0, 1, 2], [3, 4]]
        await kit.enqueue_many(None, [{"id": 5}, {"id": 6}])
        assert len(await jobs.drain(limit=1)) == 1
        assert calls[2:] == [[5]]
    calls.clear()
    with inline() as ran:
        await kit.enqueue(None, 7)
        await kit.enqueue_many(None, [{"id": 8}, {"id": 9}])
    assert calls == [[7], [8], [9]]
    assert [each.result for each in ran] == [7, 8, 9]


async def test_the_test_kit_runs_batches_beside_jobs_that_come_between_them(app: workrow.App) -> None:
    @app.task(name="kit", batch=workrow.Batch(size=3, within=60))
    async def kit(numbers: list[tuple[int]]) -> None: ...

    @app.task(name="plain")
    async def plain() -> None: ...

    async with Harness(app) as jobs:
        for task in "kp", "kppkk", "pkkpkkkpk":
            for each in task:
                await (kit.enqueue(None, 1) if each == "k" else plain.enqueue(None))
            async with asyncio.timeout(20):
                assert len(await jobs.drain()) == len(task)
        await plain.enqueue(None)
        await kit.enqueue_many(None, [{"arg0": number} for number in range(3)])
        assert len(await jobs.drain(limit=3)) == 3
        assert len(await jobs.waiting()) == 1


async def test_inline_a_batch_works_in_the_callers_transaction(transactional_app: workrow.App, conn: Any) -> None:
    @transactional_app.task(name="store", batch=workrow.Batch(size=3), transactional=True)
    async def store(session: AsyncSession, numbers: list[tuple[int]]) -> None:
        await session.execute(STORE, [{"number": number} for (number,) in numbers])

    assert transactional_app.sessions is not None
    with inline():
        async with transactional_app.sessions() as session:
            await store.enqueue(session, 1)
            await session.rollback()
            await store.enqueue(session, 2)
            await session.commit()
    assert conn.execute("SELECT number FROM stored").fetchall() == [(2,)]
