"""What an app provides, and a worker injects by type."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

import workrow
from tests.integration import process_tasks
from tests.integration.test_worker import row, run
from workrow import inject


class Client:
    """Tells what happens to it."""

    opened = 0

    def __init__(self) -> None:
        self.log: list[str] = []
        self.closed = False

    async def __aenter__(self) -> "Client":
        Client.opened += 1
        self.task = asyncio.current_task()
        return self

    async def __aexit__(self, *error: object) -> None:
        assert asyncio.current_task() is self.task, "anyio's cancel scopes demand it"
        self.closed = True


class Settings:
    name = "live"


async def test_a_worker_opens_a_resource_once_and_closes_it(open_app: workrow.App, conn: Any) -> None:
    made: list[Client] = []

    @open_app.provider()
    async def client() -> AsyncIterator[Client]:
        async with Client() as client:
            made.append(client)
            await asyncio.sleep(0)
            yield client

    open_app.provide(Settings, Settings)

    @open_app.task(name="fetch")
    async def fetch(path: str, client: Client = inject(), settings: Settings = inject()) -> str:
        assert not client.closed
        client.log.append(path)
        return settings.name

    @open_app.task(name="fetch_sync")
    def fetch_sync(ctx: workrow.JobContext, path: str, *, client: Client = inject()) -> bool:
        client.log.append(path)
        return threading.current_thread() is not threading.main_thread()

    jobs = [await fetch.enqueue(None, "a"), await fetch.enqueue(None, path="b"), await fetch_sync.enqueue(None, "c")]
    await run(open_app, concurrency=3)
    assert [row(conn, job)["result"] for job in jobs] == ["live", "live", True]
    (one,) = made
    assert sorted(one.log) == ["a", "b", "c"]
    assert one.closed
    assert conn.execute("SELECT DISTINCT args FROM workrow.history WHERE id = %s", [jobs[0].id]).fetchone() == (
        {"path": "a"},
    )


async def test_injected_parameters_are_no_arguments(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="fetch", cron="0 0 * * *")
    async def fetch(path: str = "/", client: Client = inject()) -> None: ...

    assert list(fetch.signature.parameters) == ["path"]
    with pytest.raises(workrow.ArgumentError, match="client"):
        fetch.enqueue(conn, client=Client())
    with pytest.raises(AttributeError, match="only a worker injects"):
        (await _returned(fetch)).get("/")


async def _returned(fetch: Any) -> Any:
    return inspect.signature(fetch.func).parameters["client"].default


async def test_a_resource_of_the_job_lives_as_long_and_hears_how_it_ends(open_app: workrow.App, conn: Any) -> None:
    told: list[str] = []

    @open_app.provider(scope="job")
    async def client(ctx: workrow.JobContext) -> AsyncIterator[Client]:
        told.append(f"open {ctx.job.task_kwargs}")
        try:
            yield Client()
        except OSError as error:
            told.append(f"hears {error}")
        told.append("close")

    @open_app.task(name="fetch")
    async def fetch(fail: bool, client: Client = inject()) -> None:
        told.append("run")
        if fail:
            raise OSError("no")

    jobs = [await fetch.enqueue(None, False), await fetch.enqueue(None, True)]
    await run(open_app, concurrency=1)
    assert [row(conn, job)["status"] for job in jobs] == ["succeeded", "failed"]
    assert told == ["open {'fail': False}", "run", "close", "open {'fail': True}", "run", "hears no", "close"]


async def test_a_sync_resource_of_a_sync_job_is_opened_in_its_thread(open_app: workrow.App, conn: Any) -> None:
    threads: list[threading.Thread] = []

    @contextmanager
    def opened() -> Iterator[Settings]:
        threads.append(threading.current_thread())
        yield Settings()
        threads.append(threading.current_thread())

    open_app.provide(Settings, opened, scope="job")

    @open_app.task(name="sync")
    def sync(settings: Settings = inject()) -> str:
        threads.append(threading.current_thread())
        return settings.name

    @open_app.task(name="async")
    async def async_(settings: Settings = inject()) -> str:
        return settings.name

    job = await sync.enqueue(None)
    await run(open_app)
    assert row(conn, job)["result"] == "live"
    assert len(set(threads)) == 1
    assert threads[0] is not threading.main_thread()
    job = await async_.enqueue(None)
    await run(open_app)
    assert row(conn, job)["result"] == "live"


async def test_a_session_for_each_job(database_url: str, conn: Any) -> None:
    engine = create_async_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    app = workrow.App(database_url)
    app.provide(AsyncSession, async_sessionmaker(engine), scope="job")

    @app.task(name="one")
    async def one(session: AsyncSession = inject()) -> int | None:
        return await session.scalar(text("SELECT 41 + 1"))

    async with app.open_async():
        job = await one.enqueue(None)
        await run(app)
    assert row(conn, job)["result"] == 42
    await engine.dispose()


async def test_two_of_a_type_are_told_apart_by_annotated(open_app: workrow.App, conn: Any) -> None:
    open_app.provide(Annotated[str, "host"], lambda: "db1")
    open_app.provide(Annotated[str, "user"], lambda: "me")

    @open_app.task(name="both")
    async def both(host: Annotated[str, "host"] = inject(), user: Annotated[str, "user"] = inject()) -> str:
        return f"{user}@{host}"

    job = await both.enqueue(None)
    await run(open_app)
    assert row(conn, job)["result"] == "me@db1"


async def test_a_resource_that_does_not_open_fails_the_attempt_and_is_tried_again(
    open_app: workrow.App, conn: Any
) -> None:
    tries = 0

    async def make() -> Settings:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("not there yet")
        return Settings()

    open_app.provide(Settings, make)

    @open_app.task(name="use", retry=workrow.Retry(max_attempts=3, wait=0))
    async def use(settings: Settings = inject()) -> str:
        return settings.name

    job = await use.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["attempts"], found["error"]) == ("succeeded", 3, "not there yet")


async def test_a_missing_provider_stops_the_worker_and_not_the_job(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="use")
    async def use(settings: Settings = inject()) -> str:
        return settings.name

    job = await use.enqueue(None)
    with pytest.raises(workrow.ConfigurationError, match=r"task use: nobody provides settings: Settings = inject\(\)"):
        await run(open_app)
    assert row(conn, job)["claims"] == 0
    with open_app.overriding(Settings, Settings()):
        await run(open_app)
    assert row(conn, job)["result"] == "live"


async def test_tests_override(open_app: workrow.App, conn: Any) -> None:
    open_app.provide(Client, Client)

    @open_app.task(name="use")
    async def use(client: Client = inject()) -> Any:
        return type(client).__name__

    class Fake: ...

    before = Client.opened
    with open_app.overriding(Client, Fake()):
        job = await use.enqueue(None)
        await run(open_app)
        assert row(conn, job)["result"] == "Fake"
    assert Client.opened == before
    job = await use.enqueue(None)
    await run(open_app)
    assert row(conn, job)["result"] == "Client"


async def test_a_resource_that_does_not_close_does_not_hold_the_worker(
    open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workrow.worker.running.provision.CLOSE_SECONDS", 0.01)
    never = asyncio.Event()

    async def make() -> AsyncIterator[Settings]:
        yield Settings()
        await never.wait()

    open_app.provide(Settings, make)

    @open_app.task(name="use")
    async def use(settings: Settings = inject()) -> str:
        return settings.name

    await use.enqueue(None)
    await run(open_app)
    assert "not closed after" in caplog.text


def test_what_cannot_work_is_refused_at_declaration(app: workrow.App) -> None:
    app.provide(Settings, Settings)
    wrong: list[tuple[Any, Any, Any]] = [
        (Settings, Settings, "worker"),
        (Client, "client", "worker"),
        (Client, Client(), "worker"),
        (Client, lambda ctx: Client(), "worker"),
        (Client, lambda ctx, more: Client(), "job"),
        (Client, Client, "thread"),
        ("Client", Client, "worker"),
    ]
    for kind, factory, scope in wrong:
        with pytest.raises(workrow.OptionError):
            app.provide(kind, factory, scope=scope)
    with pytest.raises(workrow.OptionError, match="annotate what it returns"):
        app.provider()(lambda: 1)
    with pytest.raises(workrow.OptionError, match="needs a type"):

        @app.task
        def untyped(client=inject()) -> None: ...  # type: ignore[no-untyped-def]

    with pytest.raises(workrow.OptionError, match="run_in='process'"):
        app.task(name="p", run_in="process")(process_tasks.wants_a_client)
