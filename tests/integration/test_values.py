"""What comes back from the database: any time, any setting of the database or the role, any refusal of a row."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

import workrow
from tests.integration import process_tasks
from tests.integration.test_worker import run
from workrow.database.connector import is_pooled
from workrow.database.outage import LOST, Refused, is_lost, judged
from workrow.maintenance.scheduler import Scheduler
from workrow.worker.finishing import finisher
from workrow.worker.finishing.writer import Writer
from workrow.worker.outcome import Outcome

ELSEWHERE = (
    "-c DateStyle=German -c IntervalStyle=iso_8601 -c TimeZone=America/New_York "
    "-c default_transaction_isolation=serializable"
)


def states(conn: psycopg.Connection[Any]) -> list[str]:
    return [each for (each,) in conn.execute("SELECT status FROM workrow.jobs ORDER BY id").fetchall()]


@pytest.mark.parametrize("when", ["-infinity", "4000-01-01 BC", "0001-01-01 00:00:00+00"])
async def test_a_time_that_python_cannot_hold_costs_no_claim(
    open_app: workrow.App, conn: psycopg.Connection[Any], when: str
) -> None:
    @open_app.task(name="t")
    async def t(n: int = 0) -> None: ...

    conn.execute(
        "INSERT INTO procrastinate_jobs (task_name, queue_name, scheduled_at) VALUES ('t', 'default', %s)", [when]
    )
    await t.enqueue_many(None, [{"n": n} for n in range(3)])
    await run(open_app)
    assert states(conn) == ["succeeded"] * 4


@pytest.mark.parametrize(
    ("when", "year"), [("infinity", 9999), ("-infinity", 1), ("294276-01-01", 9999), ("4000-01-01 BC", 1)]
)
@pytest.mark.parametrize("binary", [True, False])
async def test_a_time_is_read_as_the_nearest(database_url: str, when: str, year: int, binary: bool) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as own:
        await is_pooled(own)
        cursor = own.cursor(binary=binary)
        found = await (await cursor.execute("SELECT CAST(%s AS timestamptz)", [when])).fetchone()
        assert found is not None
        assert found[0].year == year


def with_options(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}options={quote(options)}"


async def test_connections_pin_what_they_rely_on(database_url: str) -> None:
    app = workrow.App(with_options(database_url, ELSEWHERE))
    async with app.open_async():
        (row,) = await app.connector.execute_query_all_async(
            """SELECT current_setting('DateStyle') AS dates, current_setting('TimeZone') AS zone,
               current_setting('transaction_isolation') AS isolation"""
        )
    assert row["dates"].startswith("ISO")
    assert (row["zone"], row["isolation"]) == ("UTC", "read committed")


@pytest.mark.parametrize("style", ["postgres", "iso_8601", "sql_standard", "postgres_verbose"])
async def test_schedules_are_read_in_any_interval_style(
    database_url: str, conn: psycopg.Connection[Any], style: str
) -> None:
    app = workrow.App(with_options(database_url, f"-c IntervalStyle={style}"))
    spans = {"every": timedelta(hours=30), "jitter": timedelta(seconds=0.25), "max_late": timedelta(days=3)}

    @app.task(name="t", schedule=workrow.Schedule(**spans))
    async def t() -> None: ...

    async with app.open_async():
        scheduler = Scheduler(app.connector, [t], timedelta(minutes=10))
        await scheduler.start()
        await app.schedules.create_async("dynamic", t, **spans)
        conn.execute("UPDATE workrow.timetable SET last_tick = now() - INTERVAL '31 hours', next_due = now()")
        await scheduler.run_once()
        states = await app.schedules.list_async()
    assert [(each.every, each.jitter, each.max_late) for each in states] == [tuple(spans.values())] * 2
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (2,)


@pytest.mark.parametrize("state", ["54000", "40003", "55000"])
def test_a_refused_statement_is_no_outage(state: str) -> None:
    error = psycopg.errors.lookup(state)("no")
    assert isinstance(error, LOST)  # by its class alone
    refused = judged(error)
    assert isinstance(refused, Refused)
    assert (refused.sqlstate, str(refused)) == (state, "no")
    assert not is_lost(error)


@pytest.mark.parametrize("state", ["57P01", "08006", "53300", "25006"])
def test_a_database_that_is_away_is_an_outage(state: str) -> None:
    assert is_lost(psycopg.errors.lookup(state)("no"))


async def test_a_success_whose_row_is_refused_stays_a_success(
    open_app: workrow.App, conn: psycopg.Connection[Any]
) -> None:
    @open_app.task(name="t")
    async def t(n: int) -> str:
        return "odd" if n == 1 else "fine"

    conn.execute("ALTER TABLE workrow.history ADD CONSTRAINT odd CHECK (result <> '\"odd\"')")
    jobs = await t.enqueue_many(None, [{"n": n} for n in range(3)])
    assert jobs
    await run(open_app)
    assert states(conn) == ["succeeded"] * 3
    ((result, errors),) = conn.execute("SELECT result, errors FROM workrow.history WHERE args ->> 'n' = '1'").fetchall()
    assert result is None
    assert errors[0]["type"] == "workrow.ResultNotKept"
    assert "odd" in errors[0]["message"]


@pytest.mark.parametrize("transactional", [False, True])
async def test_an_end_that_meets_a_partition_being_attached_is_written_again(
    open_app: workrow.App, conn: psycopg.Connection[Any], transactional: bool
) -> None:
    @open_app.task(name="plain")
    async def plain(n: int) -> int:
        return n

    @open_app.task(name="own", transactional=True)
    async def own(on: psycopg.AsyncConnection[Any], n: int) -> int:
        return n

    # what PostgreSQL says to a row that was sent to the default partition while that of its day was attached
    conn.execute("CREATE SEQUENCE refusals")
    conn.execute(
        """CREATE FUNCTION refuse_once() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN
               IF nextval('refusals') = 1 THEN
                   RAISE check_violation USING
                       MESSAGE = 'new row for relation "history_default" violates partition constraint';
               END IF;
               RETURN new;
           END $$"""
    )
    conn.execute("CREATE TRIGGER refuse BEFORE INSERT ON workrow.history FOR EACH ROW EXECUTE FUNCTION refuse_once()")
    await (own if transactional else plain).enqueue(None, n=7)
    await run(open_app)
    ((status, result, errors),) = conn.execute("SELECT status, result, errors FROM workrow.history").fetchall()
    assert (status, result, errors) == ("succeeded", 7, None)
    assert conn.execute("SELECT last_value > 1 FROM refusals").fetchone() == (True,)


@pytest.mark.parametrize("run_in", [None, "process", "hooked process"])
async def test_a_result_that_is_too_large_is_left_out(
    open_app: workrow.App, conn: psycopg.Connection[Any], run_in: str | None
) -> None:
    seen: list[Any] = []

    async def look(process: Any, context: Any, worker: Any) -> Any:
        seen.append(await process())
        return seen[-1]

    repeat = open_app.task(name="repeat", max_result=1000, run_in="process" if run_in else None, pass_context=False)(
        process_tasks.repeat
    )
    # bytes with the quotes: 1,000, one more, and two for each character
    jobs = [await repeat.enqueue(None, *given) for given in (("x", 998), ("x", 999), ("é", 500))]
    await run(open_app, **({"worker_middleware": [look]} if run_in == "hooked process" else {}))
    assert states(conn) == ["succeeded"] * 3
    assert await jobs[0].result() == "x" * 998
    for job, size in ((jobs[1], "1,001"), (jobs[2], "1,002")):
        with pytest.raises(workrow.NoResult, match=f"it is {size} bytes of JSON, more than max_result=1,000"):
            await job.result()
    assert "x" * 999 not in seen  # it has not come out of the child


async def test_the_app_says_how_large_results_may_be(database_url: str, conn: psycopg.Connection[Any]) -> None:
    app = workrow.App(database_url, max_result=100)

    @app.task(name="typed")
    def typed(n: int) -> set[int]:
        return set(range(n))

    @app.task(name="own", transactional=True, max_result=200)
    async def own(on: psycopg.AsyncConnection, n: int) -> str:
        await on.execute("INSERT INTO workrow.queue_names VALUES (%s)", [f"q{n}"])
        return "x" * n

    async with app.open_async():
        for task in (typed, own):
            await task.enqueue_many(None, [{"n": 20}, {"n": 199}])
        await run(app)
    found = conn.execute("SELECT status, result IS NOT NULL FROM workrow.jobs ORDER BY id").fetchall()
    assert found == [("succeeded", True), ("succeeded", False)] * 2
    names = conn.execute("SELECT name FROM workrow.queue_names WHERE name ~ '^q'").fetchall()
    assert sorted(names) == [("q199",), ("q20",)]


async def test_many_large_results_are_written_in_several_statements(
    open_app: workrow.App, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finisher, "BATCH_CHARACTERS", 1000)
    batches: list[int] = []
    write = Writer.write

    async def counted(self: Writer, batch: list[Outcome]) -> None:
        batches.append(sum(len(each.result or "") for each in batch))
        await write(self, batch)

    monkeypatch.setattr(Writer, "write", counted)

    @open_app.task(name="t")
    async def t(n: int) -> str:
        return "x" * n

    await t.enqueue_many(None, [{"n": 300}] * 20 + [{"n": 5000}])
    await run(open_app, concurrency=30)
    assert states(conn) == ["succeeded"] * 21
    assert sum(batches) == 20 * 302 + 5002
    assert all(size <= 1000 or size == 5002 for size in batches)


@pytest.mark.parametrize("state", ["40001", "40P01"])
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_conflict_is_repeated_and_is_no_outage(
    open_app: workrow.App, conn: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture, state: str, times: int
) -> None:
    @open_app.task(name="t")
    async def t() -> None: ...

    conn.execute("CREATE SEQUENCE conflicts")
    conn.execute(
        f"""CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN
               IF nextval('conflicts') <= {times} THEN
                   RAISE SQLSTATE '{state}' USING MESSAGE = 'another transaction';
               END IF;
               RETURN coalesce(new, old);
           END $$"""
    )
    conn.execute(
        "CREATE TRIGGER conflict BEFORE UPDATE OR DELETE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION conflict()"
    )
    await t.enqueue(None)
    await run(open_app)  # its claim is refused so often
    assert states(conn) == ["succeeded"]
    assert "is away" not in caplog.text
    await t.enqueue(None)
    conn.execute(f"SELECT setval('conflicts', 1, false), '{times}'")
    conn.execute("ALTER TABLE procrastinate_jobs DISABLE TRIGGER conflict")
    conn.execute("CREATE TRIGGER conflict BEFORE INSERT ON workrow.history FOR EACH ROW EXECUTE FUNCTION conflict()")
    await run(open_app)  # and here its end
    assert states(conn) == ["succeeded"] * 2
    assert "is away" not in caplog.text


async def test_a_count_of_attempts_that_is_full_holds_no_end_back(
    open_app: workrow.App, conn: psycopg.Connection[Any]
) -> None:
    @open_app.task(name="plain")
    async def plain() -> None: ...

    @open_app.task(name="own", transactional=True)
    async def own(on: psycopg.AsyncConnection[Any]) -> None: ...

    @open_app.task(name="failing", retry=workrow.Retry(max_attempts=2, wait=3600))
    async def failing() -> None:
        raise workrow.RetryLater(in_=3600)

    for task in (plain, own, failing):
        await task.enqueue(None)
    conn.execute("UPDATE procrastinate_jobs SET attempts = 2147483647")
    await run(open_app)
    found = conn.execute("SELECT status, attempts FROM workrow.jobs ORDER BY id").fetchall()
    assert found == [("succeeded", 2147483647)] * 2 + [("failed", 2147483647)]
