"""Arguments and results with types, through the database."""

import enum
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pydantic
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

import workrow
from tests.integration import typed_tasks
from tests.integration.test_worker import row, run
from tests.integration.typed_tasks import Order

ORDER = Order(UUID(int=1), Decimal("10.50"), datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))


class Color(enum.Enum):
    RED = "red"


class Box(pydantic.BaseModel):
    orders: list[Order]
    colors: dict[str, Color] = {}


def rows(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT args, version FROM procrastinate_jobs ORDER BY id").fetchall()


def insert(conn: psycopg.Connection[Any], task: str, args: Any, version: int | None = None) -> int:
    found = conn.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, args, version)
           VALUES ('default', %s, %s, %s) RETURNING id""",
        [task, json.dumps(args), version],
    ).fetchone()
    assert found is not None
    return int(found[0])


def state(conn: psycopg.Connection[Any], job_id: int) -> dict[str, Any]:
    return row(conn, workrow.Job(job_id, "", ""))


async def test_every_way_to_enqueue_and_the_same_types_in_the_worker(open_app: workrow.App, conn: Any) -> None:
    seen: list[Any] = []

    @open_app.task(name="pack")
    async def pack(when: date, box: Box, wait: timedelta = timedelta(0), *, ids: dict[str, list[UUID]]) -> Box:
        seen.append((when, box, wait, ids))
        return box

    box = Box(orders=[ORDER], colors={"a": Color.RED})
    wanted: dict[str, Any] = {"when": date(2026, 1, 2), "box": box, "ids": {"x": [UUID(int=2)]}}
    job = await pack.enqueue(None, **wanted)
    pack.enqueue(conn, wanted["when"], box, timedelta(days=-1, microseconds=1), ids=wanted["ids"])
    pack.delay(**wanted)
    pack.apply_async(kwargs=wanted)
    await pack.enqueue_many(None, [wanted, wanted])
    with conn.transaction():
        pack.enqueue_copy(conn, [wanted])
    await pack.defer_async(**wanted)
    stored = rows(conn)[0][0]
    assert stored["when"] == "2026-01-02"
    assert stored["box"]["orders"] == [{"id": str(ORDER.id), "total": "10.50", "at": "2026-01-02T03:04:05.678901Z"}]
    await pack.defer_async(**stored)
    await pack.configure(connection=conn).defer_async(**stored)
    await run(open_app)
    expected = (*wanted.values(),)
    assert len(seen) == 10
    assert [wait for _, _, wait, _ in seen] == [timedelta(0), timedelta(days=-1, microseconds=1)] + [timedelta(0)] * 8
    assert all((when, got, ids) == expected for when, got, _, ids in seen)
    assert pack.load_result(row(conn, job)["result"]) == box
    assert await job.result(timeout=10) == box


@pytest.mark.parametrize(
    "wrong",
    [
        {"when": "2026-01-02"},
        {"when": datetime(2026, 1, 2)},
        {"when": date(2026, 1, 2), "colors": ["red"]},
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_enqueued(app: workrow.App, conn: Any, wrong: Any) -> None:
    @app.task(name="paint")
    async def paint(when: date, colors: list[Color] | None = None) -> None: ...

    for attempt in (
        lambda: paint.enqueue(conn, **wrong),
        lambda: paint.delay(**wrong),
        lambda: paint.enqueue_many(conn, [{"when": date(2026, 1, 2)}, wrong]),
    ):
        with pytest.raises(workrow.ArgumentError, match=r"^paint: argument (when|colors)="):
            attempt()
    assert rows(conn) == []


class TestOtherWaysToRun:
    async def test_in_a_process(self, open_app: workrow.App, conn: Any) -> None:
        double = open_app.task(name="double", run_in="process")(typed_tasks.double)
        job = await double.enqueue(None, ORDER, [UUID(int=3)])
        wrong = insert(conn, "double", {"order": {"id": 7}, "ids": []})
        await run(open_app)
        assert double.load_result(row(conn, job)["result"]).total == Decimal("21.00")
        told = state(conn, wrong)["quarantine"]
        assert "order={'id': 7} does not fit Order: id: UUID input should be a string" in told

    async def test_in_a_thread_with_a_context_and_middleware(self, open_app: workrow.App, conn: Any) -> None:
        raw: list[Any] = []

        def middleware(call: Any, context: Any, worker: Any) -> Any:
            raw.append(context.job.task_kwargs)
            return call()

        @open_app.task(name="later", task_middleware=[middleware])
        def later(ctx: workrow.JobContext, when: datetime) -> datetime:
            return when + timedelta(hours=1)

        job = await later.enqueue(None, ORDER.at)
        await run(open_app)
        assert later.load_result(row(conn, job)["result"]) == ORDER.at + timedelta(hours=1)
        # what the context tells stays JSON: the idempotency key is made of it
        assert raw == [{"when": "2026-01-02T03:04:05.678901Z"}]

    async def test_in_a_transaction(self, database_url: str, conn: Any) -> None:
        engine = create_async_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
        app = workrow.App(database_url, sessions=async_sessionmaker(engine))

        @app.task(name="book", transactional=True)
        async def book(session: AsyncSession, order: Order) -> dict[UUID, Decimal]:
            return {order.id: order.total}

        async with app.open_async():
            job = await book.enqueue(None, ORDER)
            await run(app)
            assert book.load_result(row(conn, job)["result"]) == {ORDER.id: ORDER.total}
        await engine.dispose()

    async def test_a_schedules_arguments(self, open_app: workrow.App, conn: Any) -> None:
        seen: list[Any] = []

        @open_app.task(name="report", cron="0 0 1 1 *")
        async def report(day: date = date(2026, 1, 1)) -> None:
            seen.append(day)

        await report.taking_json().enqueue(None, day="2027-01-01")
        await run(open_app)
        assert seen == [date(2027, 1, 1)]


class TestRowsOfOthers:
    async def test_a_row_that_stock_code_wrote(self, open_app: workrow.App, conn: Any) -> None:
        seen: list[Any] = []

        @open_app.task(name="bill", retry=workrow.Retry(max_attempts=5, wait=0))
        async def bill(order: Order, amount: float = 0.0) -> None:
            seen.append((order, amount))

        stored = {"id": str(ORDER.id), "total": "10.50", "at": "2026-01-02T03:04:05.678901+00:00"}
        insert(conn, "bill", {"order": stored})
        insert(conn, "bill", {"order": stored, "amount": 3})
        bad = insert(conn, "bill", {"order": {**stored, "total": "much"}})
        worse = insert(conn, "bill", {"order": stored, "amount": "3"})
        await run(open_app)
        assert seen == [(ORDER, 0.0), (ORDER, 3.0)]
        assert [type(amount) for _, amount in seen] == [float, float]
        for job, reason in ((bad, "total: "), (worse, "amount='3' does not fit float: Input should be a valid number")):
            found = state(conn, job)
            assert (found["status"], found["attempts"], found["discarded"]) == ("failed", 0, True)
            assert found["quarantine"].startswith("its arguments do not fit bill(order: ")
            assert reason in found["quarantine"]


class TestVersions:
    def declare(self, app: workrow.App, version: int, seen: list[Any]) -> workrow.Task[Any, Any]:
        def upcast(before: int, args: dict[str, Any]) -> dict[str, Any]:
            if before < 2:
                args["name"] = args.pop("first") + " " + args.pop("last")
            if before < 3:
                args["day"] = args.pop("year") + "-01-01"
            return args

        if version == 1:

            @app.task(name="greet")
            async def first(first: str, last: str, year: str) -> None:
                seen.append((first, last, year))

            return first

        @app.task(name="greet", version=version, upcast=upcast)
        async def greet(name: str, day: date) -> None:
            seen.append((name, day))

        return greet

    async def test_old_payloads_are_upcast(self, open_app: workrow.App, conn: Any) -> None:
        seen: list[Any] = []
        task = self.declare(open_app, 3, seen)
        insert(conn, "greet", {"first": "Ada", "last": "Lovelace", "year": "2026"})
        insert(conn, "greet", {"name": "Alan Turing", "year": "2027"}, version=2)
        await task.enqueue(None, "Grace Hopper", date(2028, 1, 1))
        broken = insert(conn, "greet", {"first": "Ada"})
        assert [version for _, version in rows(conn)] == [None, 2, 3, None]
        await run(open_app)
        assert seen == [
            ("Ada Lovelace", date(2026, 1, 1)),
            ("Alan Turing", date(2027, 1, 1)),
            ("Grace Hopper", date(2028, 1, 1)),
        ]
        assert "upcast from version 1 to 3 failed: KeyError('last')" in state(conn, broken)["quarantine"]

    async def test_every_way_to_enqueue_writes_the_version(self, open_app: workrow.App, conn: Any) -> None:
        task = self.declare(open_app, 3, [])
        args: Any = {"name": "Ada", "day": date(2026, 1, 1)}
        await task.enqueue(None, **args)
        task.enqueue(conn, **args)
        task.delay(**args)
        task.options(unique=("name",)).enqueue(conn, **args)
        await task.enqueue_many(None, [args, args])
        with conn.transaction():
            task.enqueue_copy(conn, [args])
        await task.defer_async(**args)
        task.defer(**args)
        await task.batch_defer_async(args, args)
        task.configure(connection=conn, priority=2).defer(**args)
        await open_app.configure_task("greet").defer_async(name="Ada", day="2026-01-01")
        assert [version for _, version in rows(conn)] == [3] * 13

    async def test_a_newer_job_is_left_to_who_knows_it(self, database_url: str, conn: Any) -> None:
        old, new = workrow.App(database_url), workrow.App(database_url)
        by_old: list[Any] = []
        by_new: list[Any] = []
        former, current = self.declare(old, 1, by_old), self.declare(new, 2, by_new)
        async with old.open_async(), new.open_async():
            jobs = [await former.enqueue(None, "Ada", "Lovelace", "2026")]
            calls = (current, current.options(priority=3), current.options(lock="a"), current.options(queue="other"))
            jobs += [await call.enqueue(None, "Alan", date(2026, 1, 1)) for call in calls]
            await run(old)
            assert by_old == [("Ada", "Lovelace", "2026")]
            found = [row(conn, job) for job in jobs]
            assert [each["status"] for each in found] == ["succeeded", *["todo"] * 4]
            assert [each["attempts"] for each in found[1:]] == [0] * 4
            assert [each["claims"] for each in found[1:]] == [0] * 4
            assert [each["version"] for each in found] == [1, *[2] * 4]
            await run(new)
        assert by_new == [("Alan", date(2026, 1, 1))] * 4

    async def test_a_retry_keeps_the_version(self, open_app: workrow.App, conn: Any) -> None:
        seen: list[int] = []

        @open_app.task(
            name="flaky", version=2, upcast=lambda version, args: {}, retry=workrow.Retry(max_attempts=2, wait=0)
        )
        async def flaky(n: int) -> None:
            seen.append(n)
            raise OSError

        job = await flaky.enqueue(None, 1)
        await run(open_app)
        assert seen == [1, 1]
        assert row(conn, job)["version"] == 2


async def test_too_large_a_payload(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="small")
    async def small(text: str) -> None: ...

    @open_app.task(name="large", max_payload=200_000)
    async def large(text: str) -> None: ...

    for attempt in (
        lambda: small.enqueue(conn, "x" * 70_000),
        lambda: small.enqueue_many(conn, [{"text": ""}, {"text": "x" * 70_000}]),
        lambda: small.defer(text="x" * 70_000),
        lambda: small.configure(connection=conn).defer(text="x" * 70_000),
    ):
        with pytest.raises(
            workrow.ArgumentError, match=r"max_payload=65,536; store the data elsewhere and pass its id"
        ):
            attempt()
    with pytest.raises(workrow.ArgumentError, match="max_payload"), conn.transaction():
        small.enqueue_copy(conn, [{"text": "x" * 70_000}])
    assert rows(conn) == []
    large.enqueue(conn, "x" * 70_000)
    large.configure(connection=conn).defer(text="x" * 70_000)
    large.defer(text="x" * 70_000)
    assert len(rows(conn)) == 3
