"""``json_dumps`` and ``json_loads`` of a connector write and read arguments and results."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import procrastinate
import psycopg
import pytest
from procrastinate.testing import InMemoryConnector

import workrow


class Money:
    """A class that only the two functions below know."""

    def __init__(self, amount: str) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.amount == self.amount

    __hash__ = None  # type: ignore[assignment]


class Encoder(json.JSONEncoder):
    def default(self, value: Any) -> Any:
        if isinstance(value, Money):
            return {"type": "money", "amount": value.amount}
        return {"type": "decimal", "value": str(value)} if isinstance(value, Decimal) else super().default(value)


def decode(found: dict[str, Any]) -> Any:
    match found.get("type"):
        case "money":
            return Money(found["amount"])
        case "decimal":
            return Decimal(found["value"])
        case None:
            return found
    raise ValueError(f"nothing of the type {found['type']!r} was written here")


OPTIONS: dict[str, Any] = {
    "json_dumps": partial(json.dumps, cls=Encoder),
    "json_loads": partial(json.loads, object_hook=decode),
}


def pay_of(home: Any, got: list[Any]) -> Any:
    """A task whose parameters are known to pydantic, to the functions above, or to nobody."""

    async def pay(money: Money, rest: Any, amount: Decimal, day: date) -> Money:
        got.append((money, rest, amount, day))
        return money

    return home.task(name="pay")(pay)


def double(money: Money) -> Money:
    """A task that a child process finds."""
    return Money(money.amount * 2)


SENT: dict[str, Any] = {
    "money": Money("1.50"),
    "rest": [Decimal("2.50"), {"deep": Money("3")}],
    "amount": Decimal("4.500"),
    "day": date(2026, 2, 28),
}


async def drain(app: workrow.App) -> None:
    await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[workrow.App]:
    app = workrow.App(connector=procrastinate.PsycopgConnector(conninfo=database_url, **OPTIONS))
    async with app.open_async():
        yield app


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "enqueue": lambda task, _: task.enqueue(None, **SENT),
    "many": lambda task, _: task.enqueue_many(None, [SENT]),
    "transaction": lambda task, on: task.enqueue(on, **SENT),
    "copy": lambda task, on: task.enqueue_copy(on, [SENT]),
    "unique": lambda task, _: task.options(unique=("money", "amount")).enqueue(None, **SENT),
    "defer": lambda task, _: task.defer_async(**SENT),
}


@pytest.mark.parametrize("way", list(WAYS))
async def test_arguments_and_results(way: str, database_url: str, conn: psycopg.Connection) -> None:
    got: list[Any] = []
    async with opened(database_url) as app:
        sent = WAYS[way](pay_of(app, got), conn)
        job = await sent if hasattr(sent, "__await__") else sent
        job = job[0] if isinstance(job, list) else job
        await drain(app)
        assert got == [tuple(SENT.values())]
        assert [type(value) for value in got[0]] == [Money, list, Decimal, date]
        if not isinstance(job, int):
            assert await job.result(timeout=10) == Money("1.50")
    stored = conn.execute("SELECT args, result FROM workrow.history").fetchone()
    assert stored is not None
    assert stored[0]["money"] == stored[1] == {"type": "money", "amount": "1.50"}


async def test_jobs_and_workers_of_procrastinate_understand_ours(database_url: str) -> None:
    ours: list[Any] = []
    theirs: list[Any] = []
    stock = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database_url, **OPTIONS))
    stock_pay = stock.task(name="pay")(lambda money, amount: theirs.append((money, amount)))
    async with opened(database_url) as app, stock.open_async():

        @app.task(name="pay")
        async def pay(money: Money, amount: Decimal) -> None:
            ours.append((money, amount))

        sent = (Money("7"), Decimal("1.10"))
        await stock_pay.defer_async(money=sent[0], amount=sent[1])
        await drain(app)
        await pay.enqueue(None, *sent)
        await stock.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        assert ours == theirs == [sent]


async def test_what_the_functions_do_not_know(
    database_url: str, conn: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(database_url) as app:
        pay = pay_of(app, [])
        with pytest.raises(workrow.ArgumentError, match="pay: argument rest=.*json_dumps"):
            await pay.enqueue(None, **{**SENT, "rest": object()})
        with pytest.raises(workrow.ArgumentError, match="argument amount='4' does not fit Decimal"):
            await pay.enqueue(None, **{**SENT, "amount": "4"})
        conn.execute(
            "INSERT INTO procrastinate_jobs (task_name, queue_name, args) VALUES ('pay', 'default', %s)",
            ['{"money": {"type": "lira"}}'],
        )
        await drain(app)
    assert conn.execute("SELECT status FROM workrow.jobs").fetchall() == [("failed",)]
    assert "json_loads failed: ValueError(\"nothing of the type 'lira'" in caplog.text


async def test_steps_and_signals(database_url: str, conn: psycopg.Connection) -> None:
    got: list[Any] = []
    async with opened(database_url) as app:

        @app.task(name="steps", retry=workrow.Retry(max_attempts=2, wait=0))
        async def steps(ctx: workrow.JobContext) -> None:
            got.append((await ctx.step("double", double, Money("1")), await ctx.wait_for("money")))
            if ctx.attempt == 1:
                raise OSError

        job = await steps.enqueue(None)
        await workrow.signal(None, job, "money", Money("2"))
        await drain(app)
    assert got == [(Money("11"), Money("2"))] * 2
    stored = conn.execute("SELECT result FROM workrow.steps ORDER BY name").fetchall()
    assert stored == [({"type": "money", "amount": amount},) for amount in ("11", "2")]


async def test_in_a_child_process(database_url: str, conn: psycopg.Connection) -> None:
    async with opened(database_url) as app:
        job = await app.task(name="double", run_in="process")(double).enqueue(None, Money("1"))
        await drain(app)
        assert await job.result(timeout=10) == Money("11")
    assert conn.execute("SELECT result FROM workrow.jobs").fetchone() == ({"type": "money", "amount": "11"},)


async def test_errors_are_not_read_by_them(database_url: str) -> None:
    async with opened(database_url) as app:

        @app.task(name="bad")
        async def bad() -> None:
            raise KeyError("gone")

        job = await bad.enqueue(None)
        await drain(app)
        with pytest.raises(workrow.JobFailed, match="KeyError"):
            await job.result(timeout=10)


def test_a_class_that_nobody_knows_is_refused_when_the_app_is_known() -> None:
    def blueprint() -> workrow.Blueprint:
        made = workrow.Blueprint("shop")
        pay_of(made, [])
        return made

    knowing = workrow.App(connector=procrastinate.PsycopgConnector(**OPTIONS))
    knowing.include(blueprint())
    assert "pay" in knowing.tasks
    plain = workrow.App(connector=InMemoryConnector())
    for register in (
        lambda: plain.include(blueprint()),
        lambda: plain.add_tasks_from(blueprint(), namespace="n"),
        lambda: pay_of(plain, []),
    ):
        with pytest.raises(workrow.OptionError, match="task pay: parameter money: Money cannot be stored as JSON"):
            register()
    assert not [name for name in plain.tasks if name.endswith("pay")]


def reads_of(home: Any, got: list[Any]) -> None:
    """Tasks that give back what they got."""

    @home.task(name="plain")
    async def plain(amount: Decimal, rest: Any) -> Any:
        got.append((amount, rest))
        return rest

    @home.task(name="transactional", transactional=True)
    async def transactional(on: psycopg.AsyncConnection[Any], amount: Decimal, rest: Any) -> Any:
        return await plain(amount, rest)


@pytest.mark.parametrize("task", ["plain", "transactional"])
@pytest.mark.parametrize("knows", [True, False])
async def test_who_runs_a_job_reads_and_writes_it_with_the_functions_of_its_own_connector(
    database_url: str, conn: psycopg.Connection, knows: bool, task: str
) -> None:
    got: list[Any] = []
    some, none = ({"conninfo": database_url, **each} for each in (OPTIONS, {}))
    first = workrow.App(connector=procrastinate.PsycopgConnector(**(none if knows else some)))
    reads_of(first, got)
    other = first.with_connector(procrastinate.PsycopgConnector(**(some if knows else none)))
    money = {"type": "money", "amount": "2"}
    (job_id,) = conn.execute(
        "INSERT INTO procrastinate_jobs (task_name, queue_name, args) VALUES (%s, 'default', %s) RETURNING id",
        [task, json.dumps({"amount": "1.50", "rest": money})],
    ).fetchone() or (0,)
    async with other.open_async():
        await drain(other)
        assert got == [(Decimal("1.50"), Money("2") if knows else money)]
        assert await other.job(job_id).result(timeout=10) == got[0][1]
    assert conn.execute("SELECT result FROM workrow.jobs").fetchone() == (money,)


def test_a_connector_that_cannot_read_what_the_tasks_take_is_refused() -> None:
    app = workrow.App(connector=procrastinate.PsycopgConnector(**OPTIONS))
    pay_of(app, [])
    unable = procrastinate.PsycopgConnector()
    for put in (app.with_connector, app.replace_connector):
        with pytest.raises(workrow.OptionError, match="task pay: parameter money: Money cannot be stored as JSON"):
            put(unable)
        put(InMemoryConnector())
    with app.replace_connector(procrastinate.PsycopgConnector(**OPTIONS)) as same:
        assert same is app
