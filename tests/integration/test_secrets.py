"""What is hidden is stored as it is, and shown nowhere: not in a log, a view, an error or what a command prints."""

import asyncio
import logging
import pickle
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.types.json import Jsonb
from pydantic import BaseModel, SecretBytes, SecretStr
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import workrow
from tests.integration import process_tasks
from tests.integration.test_worker import run
from workrow import Limit, Retry, Unique
from workrow.cli import main
from workrow.worker.outcome import Claimed

CANARY = "c4n4ry'\"\n-of-the-coal-mine"
SEEN = "c4n4ry"
"""What is looked for: a part of it, for whatever is cut."""


class Login(BaseModel):
    user: str
    password: SecretStr


@dataclass
class Key:
    name: str
    value: Annotated[str, workrow.Secret]


class Nested(BaseModel):
    logins: dict[str, list[Login]]
    key: Key | None = None


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """All log lines, also of libraries, with every field."""
    kept: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(f"{self.format(record)} {record.__dict__}")

    handler = Keep()
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield kept
    root.removeHandler(handler)
    root.setLevel(level)


def views(conn: psycopg.Connection) -> str:
    """What every view in our schema says."""
    names = conn.execute("SELECT viewname FROM pg_views WHERE schemaname = 'workrow' ORDER BY 1").fetchall()
    return "\n".join(str(conn.execute(f'SELECT * FROM workrow."{name}"').fetchall()) for (name,) in names)


def commands(url: str, ids: list[int]) -> str:
    """What the commands print that show something."""
    calls = [
        ["status"],
        ["status", "--json"],
        ["schedules", "list"],
        ["schedules", "list", "--json"],
        ["limits", "list"],
    ]
    for job_id in ids:
        calls += [["job", str(job_id)], ["job", str(job_id), "--json"], ["job", str(job_id), "--tracebacks"]]
    said = []
    for call in calls:
        done = CliRunner().invoke(main, ["--database-url", url, *call])
        assert done.exception is None, (call, done.output, done.exception)
        said.append(done.output)
    return "\n".join(said)


def nowhere(said: str) -> None:
    at = said.find(SEEN)
    assert at < 0, said[max(0, at - 300) : at + 100]


def stored(conn: psycopg.Connection, job_id: int) -> Any:
    row = conn.execute("SELECT args FROM procrastinate_jobs WHERE id = %s", [job_id]).fetchone()
    assert row is not None
    return row[0]


async def test_the_values_arrive(open_app: workrow.App, conn: Any) -> None:
    got: list[Any] = []

    @open_app.task(name="all", hide=("pin",))
    async def every(
        token: SecretStr,
        key: SecretBytes,
        login: Login,
        nested: Nested,
        plain: Annotated[str, workrow.Secret],
        pin: int,
    ) -> SecretStr:
        got.extend((token, key, login, nested, plain, pin))
        return token

    login = Login(user="u", password=SecretStr(CANARY))
    values = {
        "token": SecretStr(CANARY),
        "key": SecretBytes(b"\xff" + CANARY.encode()),
        "login": login,
        "nested": Nested(logins={"a": [login]}, key=Key("n", CANARY)),
        "plain": CANARY,
        "pin": 123456,
    }
    job = await every.enqueue(None, **values)  # type: ignore[arg-type]
    assert stored(conn, job.id)["nested"]["logins"]["a"][0]["password"] == CANARY
    await run(open_app)
    assert got == list(values.values())
    assert await job.result(timeout=5) == SecretStr(CANARY)
    row = conn.execute("SELECT args, result FROM workrow.jobs WHERE id = %s", [job.id]).fetchone()
    assert row == (dict.fromkeys(values, "***"), "***")


def spill(token: str, way: str = "raise", attempt: int = 1) -> str:
    """Ends in this way, and tells the token wherever it can."""
    if way == "raise":
        raise ValueError(f"refused: {token}", token) from KeyError(token)
    if way == "cut":
        raise ValueError(f"refused: {token[:18]}…{token[-18:]}")
    if way == "discard":
        raise workrow.Discard(f"no such {token}")
    if way == "later":
        raise workrow.RetryLater(3600, f"busy: {token}")
    if way == "limited":
        raise workrow.RateLimited(f"429 for {token}", retry_after=600)
    if way == "snooze":
        raise workrow.Snooze(3600)
    if way == "model":
        Login(user=token, password=None)  # type: ignore[arg-type]  # pydantic's error has the input in it
    return token


async def test_every_end_of_a_job_keeps_it(
    open_app: workrow.App, conn: Any, records: list[str], database_url: str
) -> None:
    told: list[workrow.Failure] = []

    @open_app.task(name="told")
    async def hook(failure: workrow.Failure) -> None:
        told.append(failure)

    common: dict[str, Any] = {"hide": ("token", "return"), "on_failure": hook}

    @open_app.task(name="loop", retry=Retry(max_attempts=2, wait=0), **common)
    async def on_loop(token: str, way: str) -> str:
        return spill(token, way)

    @open_app.task(name="thread", **common)
    def in_thread(token: str, way: str) -> str:
        return spill(token, way)

    @open_app.task(name="tx", transactional=True, **common)
    async def transactional(connection: psycopg.AsyncConnection[Any], token: str, way: str) -> str:
        if way == "sql":
            await connection.execute("SELECT CAST(%s AS integer)", [token])
        return spill(token, way)

    @open_app.task(name="limited", limits=Limit(1, key="token"), unique=("token",), expires=3600, **common)
    async def limited(token: str, way: str) -> str:
        return spill(token, way)

    @open_app.task(name="typed", on_failure=hook)
    async def typed(token: SecretStr, n: int = 1) -> None:
        raise ValueError(token.get_secret_value())

    @open_app.task(name="old", version=2, upcast=lambda version, args: {"token": args["key"]}, hide=("token", "key"))
    async def upcast(token: str) -> None: ...

    jobs = []
    ways = ("return", "raise", "cut", "discard", "later", "limited", "snooze", "model")
    for task in (on_loop, in_thread, transactional, limited):
        jobs += [await task.enqueue(None, token=CANARY + way, way=way) for way in ways]
    jobs.append(await transactional.enqueue(None, CANARY, "sql"))
    jobs.append(await typed.enqueue(None, SecretStr(CANARY)))
    in_child = open_app.task(name="child", run_in="process", **common)(process_tasks.spill)
    jobs += [await in_child.enqueue(None, token=CANARY, way=way) for way in ("raise", "exit")]
    jobs.append(await limited.options(expires=0.001).enqueue(None, token=f"{CANARY} late", way="return"))
    jobs.append(await limited.options(delay=3600).enqueue(None, token=f"{CANARY} scheduled", way="return"))
    jobs += [await on_loop.options(lock=lock).enqueue(None, CANARY, "raise") for lock in ("a", None)]
    ids = [job.id for job in jobs]
    nowhere(views(conn))
    for name, args in (
        ("typed", {"token": [CANARY]}),
        ("typed", {"token": CANARY, "n": "x"}),
        ("typed", {"tokem": 1, "token": CANARY}),
        ("typed", [CANARY]),
        ("old", {"key": {CANARY: 1}}),
        ("old", {"token": CANARY}),
        ("all unknown", {"token": "t"}),
    ):
        query = "INSERT INTO procrastinate_jobs (task_name, queue_name, args) VALUES (%s, 'default', %s) RETURNING id"
        ids.append(conn.execute(query, [name, Jsonb(args)]).fetchone()[0])
    await run(open_app, concurrency=4)
    ended = dict(conn.execute("SELECT status, count(*) FROM workrow.jobs WHERE id = ANY(%s) GROUP BY 1", [ids]))
    assert ended.keys() >= {"succeeded", "failed", "todo", "cancelled"}, ended
    assert len(told) > 20
    assert any("refused: ***" in (each.error_message or "") for each in told)
    nowhere(views(conn))
    nowhere(str(told))
    nowhere(commands(database_url, ids))
    assert len(records) > 50
    for record in records:
        nowhere(record)


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_on_its_way_into_the_table_nobody_says_it(
    open_app: workrow.App, conn: Any, records: list[str], database_url: str, driver: str
) -> None:
    task = open_app.task(name="send", hide=("token",))(spill)
    engine = create_async_engine(database_url.replace("postgresql://", f"postgresql+{driver}://"), echo=True)
    async with AsyncSession(engine) as session:
        await task.enqueue(session, CANARY)
        await task.enqueue_many(session, [{"token": CANARY}, {"token": CANARY, "way": "raise"}])
        await task.options(unique=Unique(by="args")).enqueue(session, token=CANARY)
        await session.commit()
        conn.execute("ALTER TABLE procrastinate_jobs ADD CONSTRAINT none_more CHECK (priority < 0) NOT VALID")
        with pytest.raises(Exception, match="none_more") as caught:
            await task.enqueue(session, CANARY)
        conn.execute("ALTER TABLE procrastinate_jobs DROP CONSTRAINT none_more")
    await engine.dispose()
    nowhere("".join(traceback.format_exception(caught.value)))
    await task.defer_async(token=CANARY)
    await asyncio.to_thread(task.configure(priority=1).batch_defer, {"token": CANARY}, {"token": CANARY})
    async with await psycopg.AsyncConnection.connect(database_url) as own:
        assert await task.enqueue_copy(own, [{"token": CANARY}] * 2) == 2
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE args->>'token' = %s", [CANARY]).fetchone() == (
        9,
    )
    listed = list(await open_app.job_manager.list_jobs_async())
    assert len(listed) == 9
    nowhere(str(listed) + views(conn))
    for record in records:
        nowhere(record)


def test_errors_of_a_call_say_neither_the_value_nor_why(app: workrow.App, conn: Any) -> None:
    @app.task(name="typed", hide=("code",))
    async def typed(token: SecretStr, login: Login | None = None, code: int = 7, default: str = "d") -> None: ...

    schedule = workrow.Schedule(every=timedelta(hours=1), args={"token": [CANARY]})
    for call in (
        lambda: typed.enqueue(conn, [CANARY]),  # type: ignore[arg-type]
        lambda: typed.enqueue(conn, SecretStr("t"), code=CANARY),  # type: ignore[arg-type]
        lambda: typed.enqueue(conn, SecretStr("t"), login={CANARY: 1}),  # type: ignore[arg-type]
        lambda: typed.enqueue(conn, SecretStr(f"{CANARY}\x00")),
        lambda: typed.enqueue(conn, SecretStr(CANARY), other=1),  # type: ignore[call-arg]
        lambda: typed.check_schedule(schedule),
    ):
        with pytest.raises((workrow.ArgumentError, workrow.OptionError)) as caught:
            call()
        nowhere(str(caught.value))
        assert "***" in str(caught.value)
    nowhere(repr(schedule))


async def test_who_reads_the_views_alone_sees_none_of_older_rows(app: workrow.App, conn: Any, new_role: str) -> None:
    """Rows, keys and lines of yesterday's code, which hid nothing."""
    old = app.task(name="old", unique=("token",), limits=Limit(1, key="token"))(spill)
    job = old.enqueue(conn, CANARY)
    conn.execute("INSERT INTO workrow.limit_buckets (bucket, name, key) VALUES (%s, 'old/token', %s)", ["b", CANARY])
    assert SEEN in views(conn)
    hiding = workrow.App(connector=app.connector)
    new = hiding.task(name="old", unique=("token",), limits=Limit(1, key="token"), hide=("token",))(spill)
    second, third = new.enqueue(conn, "other"), new.enqueue(conn, "other")
    assert second.id == third.id != job.id
    try:
        conn.execute(f"GRANT USAGE ON SCHEMA workrow TO {new_role}")
        for (name,) in conn.execute("SELECT viewname FROM pg_views WHERE schemaname = 'workrow'").fetchall():
            conn.execute(f'GRANT SELECT ON workrow."{name}" TO {new_role}')
        conn.execute(f"SET ROLE {new_role}")
        nowhere(views(conn))
        row = conn.execute("SELECT args, unique_key, line FROM workrow.jobs WHERE id = %s", [job.id]).fetchone()
        assert row == ({"token": "***"}, "old:***", "***")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT * FROM workrow.hidden_arguments")
    finally:
        conn.execute("RESET ROLE")


async def test_schedules_and_others_arguments(open_app: workrow.App, conn: Any, database_url: str) -> None:
    got: list[Any] = []

    @open_app.task(name="sync", aliases=["former"])
    async def sync(token: SecretStr) -> None:
        got.append(token.get_secret_value())

    @open_app.task(name="others")
    async def others(n: int, **rest: SecretStr) -> None:
        got.append((n, rest))

    await open_app.schedules.create_async("s", sync, every=timedelta(hours=1), args={"token": CANARY})
    await open_app.schedules.update_async("s", priority=3)
    await open_app.schedules.run_now_async("s")
    job = await others.enqueue(None, n=1, key=SecretStr(CANARY))
    conn.execute(
        "INSERT INTO procrastinate_jobs (task_name, queue_name, args) VALUES ('former', 'default', %s)",
        [Jsonb({"token": CANARY})],
    )
    await run(open_app)
    nowhere(views(conn) + commands(database_url, [job.id]) + str(await open_app.schedules.list_async()))
    assert sorted(got, key=str) == [(1, {"key": SecretStr(CANARY)}), CANARY, CANARY]


async def test_a_rolled_back_note_goes_with_its_job(app: workrow.App, conn: Any) -> None:
    task = app.task(name="send", hide=("token",))(spill)
    with conn.transaction(force_rollback=True):
        task.enqueue(conn, CANARY)
        assert conn.execute("SELECT name FROM workrow.hidden_arguments").fetchall() == [("token",)]
    assert conn.execute("SELECT name FROM workrow.hidden_arguments").fetchall() == []
    for _ in range(2):
        task.enqueue(conn, CANARY)
    assert conn.execute("SELECT name FROM workrow.hidden_arguments").fetchall() == [("token",)]


def test_hide_names_arguments(app: workrow.App) -> None:
    for wrong in ("token", ("tokem",), (1,), ("a b",)):
        with pytest.raises(workrow.OptionError, match="hide="):
            app.task(name="t", hide=wrong)(spill)  # type: ignore[arg-type]


def test_a_job_says_of_itself_what_may_be_said(app: workrow.App) -> None:
    row = (1, "q", "t", 0, None, None, {"token": CANARY, "n": 1}, None, 0, 1, 0, None, None, None)
    claimed = Claimed(row, 1)
    claimed.hidden = frozenset({"token"})
    nowhere(f"{claimed} {claimed!r} {claimed.job} {claimed.job!r} {claimed.job.log_context()}")
    assert claimed.job.call_string == "t[1](token='***', n=1)"
    assert claimed.job.task_kwargs["token"] == CANARY
    assert pickle.loads(pickle.dumps(claimed.job)) == claimed.job


@pytest.mark.usefixtures("all_of_unicode")
def test_what_a_row_says_draws_nothing_on_a_terminal(conn: Any, database_url: str) -> None:
    odd = "a\x1b[2Jb\x9b1mc\rd\u202ee\nforged"
    entry = {"attempt": 1, "at": "now", "type": odd, "message": odd, "traceback": f"one\n{odd}\n", "discarded": False}
    query = """
        INSERT INTO workrow.history (id, queue_name, task_name, priority, args, status, attempts, errors, finished_at)
        VALUES (7, 'q', %s, 0, %s, 'failed', 1, %s, now())"""
    conn.execute(query, [odd[:60], Jsonb({"n": odd}), Jsonb([entry])])
    for call in (["status"], ["job", "7", "--tracebacks"]):
        said = CliRunner().invoke(main, ["--database-url", database_url, *call]).output
        assert "forged" in said
        assert not set(said) & set("\x1b\x9b\r\u202e"), said
        assert not any(line.startswith("forged") for line in said.splitlines())
