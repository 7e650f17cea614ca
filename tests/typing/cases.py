"""Read by mypy only; see test_mypy.py."""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, NamedTuple, assert_type

import psycopg
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

import workrow

app = workrow.App("postgresql://localhost/x")
emails = workrow.Blueprint("emails", queue="emails", retry=workrow.Retry(max_attempts=5))


@emails.task(discard_on=(ValueError,))
async def send(user_id: int, subject: str = "hello") -> str:
    return f"{user_id} {subject}"


@app.task
def count(words: list[str]) -> int:
    return len(words)


@emails.task(cron="0 9 * * mon", timezone="Europe/Berlin")
async def weekly(ctx: workrow.JobContext) -> None: ...


class Client: ...


@emails.task
async def with_resource(n: int, client: Client = workrow.inject()) -> float:
    return n / 2


@emails.task
async def with_context(ctx: workrow.JobContext, n: int) -> float:
    return n / 2


async def asynchronous(session: AsyncSession, connection: AsyncConnection, raw: psycopg.AsyncConnection) -> None:
    assert_type(await send.enqueue(session, 1), workrow.Job[str])
    assert_type(await send.enqueue(connection, user_id=1, subject="x"), workrow.Job[str])
    assert_type(await send.enqueue(raw, 1), workrow.Job[str])
    assert_type(send.enqueue(None, 1), Awaitable[workrow.Job[str]])
    assert_type(await with_context.enqueue(None, 3), workrow.Job[float])
    assert_type(await with_resource.enqueue(None, 3), workrow.Job[float])
    assert_type(await weekly.enqueue(None), workrow.Job[None])
    assert_type(await send.options(delay=timedelta(days=1)).enqueue(session, user_id=1), workrow.Job[str])
    assert_type(await send.enqueue_many(session, [{"user_id": 1}]), list[workrow.Job[str]])
    assert_type(await send.enqueue_copy(session, [{"user_id": 1}]), int)
    await send.enqueue(session, "1")  # E
    await send.enqueue(session)  # E
    await send.enqueue(session, 1, nosuch=2)  # E
    await with_context.enqueue(None, n="3")  # E
    await send.options(dealy=3).enqueue(session, 1)  # E
    await send.options(priority="high").enqueue(session, 1)  # E
    await send.enqueue("postgresql://", 1)  # E


def synchronous(session: Session, connection: Connection, raw: psycopg.Connection) -> None:
    assert_type(count.enqueue(session, ["a"]), workrow.Job[int])
    assert_type(count.enqueue(connection, ["a"]), workrow.Job[int])
    assert_type(count.enqueue(raw, words=["a"]), workrow.Job[int])
    assert_type(count.enqueue_many(session, [{"words": []}]), list[workrow.Job[int]])
    assert_type(count.delay(["a"]), workrow.Job[int])
    assert_type(count.apply_async((["a"],), countdown=3), workrow.Job[int])
    assert_type(count.enqueue_copy(raw, ({"words": []} for _ in range(3))), int)
    count.delay("abc")  # E
    count.enqueue_copy(None, [])  # E
    count.delay()  # E
    count.enqueue(session, [1])  # E
    count.apply_async(countdown="3")  # E


@emails.task
async def report(failure: workrow.Failure) -> None:
    assert_type(failure.reason, Literal["failed", "discarded", "expired", "crashed", "bad_arguments"])
    failure.reason = "failed"  # E


@emails.task(on_failure=report)
async def reported() -> None:
    raise workrow.RateLimited(retry_after="120")  # E


@emails.task(on_failure=3)  # E
async def unreported() -> None: ...


@emails.task(qeue="x")  # E
def misspelt() -> None: ...


async def steps(ctx: workrow.JobContext, session: AsyncSession, connection: Connection, job: workrow.Job[str]) -> None:
    async def fetch(n: int) -> str:
        return str(n)

    async def write(session: AsyncSession, n: int) -> bytes:
        return b""

    assert_type(await ctx.step("fetch", fetch, 1), str)
    assert_type(await ctx.step("len", len, [1]), int)
    assert_type(await ctx.transactional_step("write", write, 1), bytes)
    assert_type(await ctx.call(send, 1, subject="x"), str)
    assert_type(await ctx.call(count.options(priority=1), ["a"]), int)
    assert_type(await ctx.sleep(timedelta(days=1)), None)
    assert_type(workrow.signal(session, job, "go", 1), Awaitable[None])
    assert_type(workrow.signal(None, job, "go"), Awaitable[None])
    assert_type(workrow.signal(connection, 7, "go"), None)
    await ctx.step("fetch", fetch, "1")  # E
    await ctx.call(send)  # E
    await ctx.call(fetch, 1)  # E


@app.task
def sync_steps(ctx: workrow.SyncJobContext, n: int) -> int:
    assert_type(ctx.step("len", len, [n]), int)
    assert_type(ctx.call(count, ["a"]), int)
    assert_type(ctx.sleep(1), None)
    return n


def typed_sync_steps(session: Session) -> None:
    assert_type(sync_steps.enqueue(session, 1), workrow.Job[int])
    sync_steps.enqueue(session, n="1")  # E


class Doc(NamedTuple):
    id: int
    title: str = ""


@dataclass
class Point:
    x: int
    y: float = 0


@emails.task(batch=workrow.Batch(Doc, size=100, within=0.5), queue="index")
async def index(docs: list[Doc]) -> list[int | Exception]:
    return [doc.id for doc in docs]


@emails.task(batch=workrow.Batch(Point, by=("x", "y"), within=timedelta(seconds=1)))
def draw(contexts: list[workrow.JobContext], points: list[Point], client: Client = workrow.inject()) -> None: ...


@emails.task(batch=workrow.Batch(Doc), transactional=True)
async def store(session: AsyncSession, docs: list[Doc]) -> list[int]:
    return [doc.id for doc in docs]


@app.task(batch=workrow.Batch(size=100, within=0.5))
async def score(pairs: list[tuple[int, str]]) -> list[float | BaseException]:
    return [len(name) / number for number, name in pairs]


@app.task(batch=workrow.Batch(size=100))
def forget(numbers: list[tuple[int]]) -> None: ...


@app.task(batch=workrow.Batch())
def untold(docs: list[Doc]) -> list[str | None]:
    return [None for _ in docs]


async def batches(session: AsyncSession) -> None:
    assert_type(await index.enqueue(session, 1, "x"), workrow.Job[int])
    assert_type(await index.enqueue(session, 1, title="x"), workrow.Job[int])
    assert_type(await index.options(priority=3).enqueue(session, id=1), workrow.Job[int])
    assert_type(await draw.enqueue(session, 1, 2.5), workrow.Job[None])
    assert_type(await store.enqueue(session, 1, "x"), workrow.Job[int])
    assert_type(await score.enqueue(session, 1, "x"), workrow.Job[float])
    assert_type(await forget.enqueue(session, 1), workrow.Job[None])
    assert_type(await untold.enqueue(session, 1), workrow.Job[str | None])
    await index.enqueue(session, "1")  # E
    await index.enqueue(session, [Doc(1)])  # E
    await draw.enqueue(session)  # E
    await draw.enqueue(session, 1, z=2)  # E
    await score.enqueue(session, 1)  # E
    await score.enqueue(session, "x", 1)  # E
    await forget.enqueue(session, 1, 2)  # E


@app.task(batch=workrow.Batch(Doc))  # E
async def of_others(points: list[Point]) -> None: ...


workrow.Batch(size="many")  # E
workrow.Batch(lambda: 3, within="soon")  # E


def workflows(session: Session, async_session: AsyncSession) -> None:
    @app.task(name="size")
    def size(url: str) -> int:
        return len(url)

    @app.task(name="double")
    def double(n: int, times: int = 2) -> int:
        return n * times

    @app.task(name="total")
    def total(numbers: list[int], label: str) -> str:
        return label

    assert_type(workrow.chain(size.s("a"), double.si(1)).enqueue(session), workrow.Workflow[int])
    assert_type(workrow.group(size.s("a"), size.s("b")).enqueue(session), workrow.Workflow[list[int]])
    assert_type(workrow.chain(size.s("a"), size.si("b")).enqueue(async_session), Awaitable[workrow.Workflow[int]])
    assert_type(workrow.chord([size.s("a")], total.s("x")).enqueue(session), workrow.Workflow[str])
    assert_type(workrow.map(size, ["a"]).enqueue(session), workrow.Workflow[list[int]])
    workrow.chain(size.si("a"), double.options(priority=1).s())
    workrow.chain(size.s("a"), total.s("x"))  # E
    size.si(1)  # E
    size.s("a", "b", "c")  # E
    workrow.chain(size)  # E
