"""Roles that own nothing: each kind does all that it is for, and is told in one line what it is not for."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from procrastinate.exceptions import ConnectorException
from procrastinate.utils import causes
from psycopg import sql

import workrow
from tests.conftest import new_database
from workrow import Debounce, Limit, Rate, Throttle, Unique, schema
from workrow.celery import Celery, group
from workrow.celery.bridge.moves import Moves
from workrow.cli import main
from workrow.embedded.cluster import Cluster
from workrow.errors import InsufficientPrivilege, QueueFull, SchemaError
from workrow.schema.roles import KINDS, Kind

OLDER = Path("/usr/lib/postgresql/15/bin")
ROLES = ("workrow_owner", "workrow_producer", "workrow_worker", "workrow_operator", "workrow_viewer", "workrow_none")


def of(url: str, role: str) -> str:
    """The URL of the same database for another role."""
    return re.sub(r"//[^/]*@", f"//workrow_{role}@", url)


@pytest.fixture(scope="module", params=["embedded", "15"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that is this module's own, for roles are the whole server's."""
    directory = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        if request.param == "15":
            if not (OLDER / "postgres").exists():
                pytest.skip(f"PostgreSQL 15 is not installed in {OLDER}")
            patch.setattr("workrow.embedded.server.pg_bin", lambda: OLDER)
            # "all" in a map of users is new in version 16
            patch.setattr("workrow.embedded.server.Server._write_access", trust)
        cluster = Cluster(directory)
        cluster.join()
        stack.callback(cluster.leave)
        cluster.server.create_database("workrow")
        url = cluster.server.url("postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            for role in ROLES:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        yield url


def trust(server: Any) -> None:
    (server.directory / "pg_hba.conf").write_text("local all all trust\n")
    (server.directory / "pg_ident.conf").write_text("")


@pytest.fixture
def url(server: str) -> Iterator[str]:
    """The owner's URL of a migrated database where each role is what its name says."""
    with new_database(server) as admin:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} OWNER TO workrow_owner").format(sql.Identifier(connection.info.dbname))
            )
        owner = of(admin, "owner")
        schema.upgrade(owner)
        for kind in KINDS:
            schema.grant(owner, f"workrow_{kind}", kind)
        yield owner


def cli(url: str, *words: str) -> str:
    done = CliRunner().invoke(main, ["--database-url", url, *words])
    assert done.exit_code == 0, done.output
    return done.output


def refusal(url: str, *words: str) -> str:
    done = CliRunner().invoke(main, ["--database-url", url, *words])
    assert done.exit_code == 1
    assert done.output.count("\n") == 1, done.output
    return done.output


def tasks_of(app: workrow.App) -> None:
    @app.task(name="plain")
    async def plain(n: int) -> int:
        return n + 1

    @app.task(name="limited", queue="limited", limits=[Limit(2, name="api"), Rate("100/s", name="pace")])
    async def limited(n: int) -> None: ...

    @app.task(name="fails")
    async def fails() -> None:
        raise ValueError("no")

    @app.task(name="stepping")
    async def stepping(ctx: workrow.JobContext) -> int:
        one = await ctx.step("one", lambda: 1)
        value = await ctx.wait_for("go")
        await ctx.sleep(0)
        return one + await ctx.call(plain, value)


def app_of(url: str, role: str) -> workrow.App:
    app = workrow.App(of(url, role))
    tasks_of(app)
    return app


async def work(url: str, role: str = "worker") -> None:
    app = app_of(url, role)
    async with app.open_async():
        await app.run_worker_async(wait=False, install_signal_handlers=False)


async def enqueue_in_all_ways(url: str, app: workrow.App, role: str) -> set[int]:
    """The ids of what was enqueued."""
    plain: Any = app.tasks["plain"]
    limited: Any = app.tasks["limited"]
    ids = {
        (await plain.enqueue(None, n=1)).id,
        (await plain.options(delay=timedelta(seconds=0)).enqueue(None, n=1)).id,
        (await plain.options(queue="capped").enqueue(None, n=1)).id,
        (await limited.enqueue(None, n=1)).id,
        (await plain.options(expires=60).enqueue(None, n=2)).id,
        await plain.defer_async(n=3),
        plain.delay(n=4).id,
    }
    rules = (
        Unique(by=("n",)),
        Unique(by=("n",), states=("todo",)),
        Unique(by=("n",), within=60),
        Unique(by=("n",), on_conflict="replace"),
        Debounce(1, by=("n",)),
        Throttle(1, per=60, by=("n",)),
    )
    async with await psycopg.AsyncConnection.connect(of(url, role)) as on:
        for n, rule in enumerate(rules):
            option = {type(rule).__name__.lower(): rule}
            for _ in range(2):
                ids.add((await plain.options(**option).enqueue(on, n=100 + n)).id)
        ids |= {job.id for job in await plain.enqueue_many(on, [{"n": 5}, {"n": 6}])}
        ids |= {job.id for job in await limited.enqueue_many(on, [{"n": 5}, {"n": 6}])}
        with pytest.raises(workrow.AlreadyEnqueued):
            await plain.options(queueing_lock="once").enqueue_many(on, [{"n": 5}, {"n": 6}])
        with pytest.raises(workrow.QueueFull):
            await plain.options(queue="capped").enqueue_many(on, [{"n": 5}] * 9)
        assert await plain.enqueue_copy(on, [{"n": 7}]) == 1
        assert await limited.enqueue_copy(on, [{"n": 7}]) == 1
        rows = await (await on.execute("SELECT id FROM procrastinate_jobs")).fetchall()
    engine = sa.create_engine(of(url, role).replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        ids.add(plain.enqueue(connection, n=8).id)
    engine.dispose()
    return ids | {id_ for (id_,) in rows}


async def test_a_producer_enqueues_in_all_ways_and_waits_for_results(url: str) -> None:
    cli(url, "status")
    with psycopg.connect(of(url, "operator"), autocommit=True) as operator:
        operator.execute("SELECT workrow.set_queue_v1('capped', 3)")
    app = app_of(url, "producer")
    async with app.open_async():
        ids = await enqueue_in_all_ways(url, app, "producer")
        job: Any = await app.tasks["plain"].enqueue(None, n=41)  # type: ignore[attr-defined]
        assert await job.status() == "todo"
        assert await job.progress() is None
        assert (await app.job_manager.get_job_status_async(job.id)).value == "todo"
        waiting = asyncio.create_task(job.result(timeout=60))
        failing = await app.tasks["fails"].enqueue(None)  # type: ignore[attr-defined]
        await work(url)
        assert await waiting == 42
        with pytest.raises(workrow.JobFailed, match="ValueError: no"):
            await failing.result(timeout=60)
        with psycopg.connect(of(url, "viewer")) as viewer:
            seen = viewer.execute(
                "SELECT status, count(*) FROM workrow.jobs WHERE id = ANY(%s) GROUP BY 1", [list(ids)]
            )
            ended = dict(seen.fetchall())
        assert sum(ended.values()) == len(ids)
        assert ended["succeeded"] >= len(ids) - 2, "those that are debounced may wait"


async def test_a_producer_signals_a_job_whose_steps_a_worker_runs(url: str) -> None:
    app = app_of(url, "producer")
    async with app.open_async():
        job: Any = await app.tasks["stepping"].enqueue(None)  # type: ignore[attr-defined]
        await work(url)
        await workrow.signal(None, job, "go", 40)
        await work(url)  # what it calls
        await work(url)
        assert await job.result(timeout=10) == 42
        with pytest.raises(workrow.JobEnded):
            await workrow.signal(None, job, "go")
    with psycopg.connect(of(url, "viewer")) as viewer:
        seen = viewer.execute("SELECT name, state FROM workrow.steps ORDER BY name").fetchall()
    assert seen == [("call plain", "done"), ("go", "done"), ("one", "done"), ("sleep", "done")]


async def test_what_a_producer_may_not(url: str) -> None:
    app = app_of(url, "producer")
    async with app.open_async():
        job: Any = await app.tasks["plain"].enqueue(None, n=1)  # type: ignore[attr-defined]
        for ask, kind in (
            (lambda: job.cancel(), "operator"),
            (lambda: job.retry(), "operator"),
            (lambda: app.pause_queue_async("default"), "operator"),
            (
                lambda: app.schedules.create_async("s", app.tasks["plain"], every=timedelta(hours=1), args={"n": 1}),
                "worker",
            ),
            (lambda: app.job_manager.list_jobs_async(), "viewer"),
            (lambda: asyncio.to_thread(app.job_manager.list_queues), "viewer"),
            (lambda: app.job_manager.cancel_job_by_id_async(job.id), "worker"),
        ):
            with pytest.raises(InsufficientPrivilege) as caught:
                await ask()
            told = str(caught.value)
            assert "permission denied for" in told
            assert f"workrow.schema.grant(url, role, '{kind}')" in told
            assert "\n" not in told
    async with app.open_async():
        with pytest.raises(ConnectorException, match="'viewer'") as raised:
            await app.job_manager.list_jobs_async()
    assert [*causes(raised.value)] == [raised.value], "procrastinate's command prints each"
    with pytest.raises(
        InsufficientPrivilege, match=r"the role workrow_producer may not run workers, it lacks .*'worker'"
    ):
        await work(url, "producer")
    assert "workrow.schema.grant(url, role, 'viewer')" in refusal(of(url, "producer"), "status")
    assert "workrow.schema.grant(url, role, 'operator')" in refusal(of(url, "producer"), "cancel", str(job.id))
    refuses(
        of(url, "producer"),
        "SELECT args FROM procrastinate_jobs",
        "SELECT args FROM workrow.history",
        "SELECT args FROM workrow.jobs",
        "UPDATE procrastinate_jobs SET priority = 1",
        "DELETE FROM procrastinate_jobs",
        "INSERT INTO procrastinate_jobs (task_name, args, status) VALUES ('t', '{}', 'succeeded')",
        "SELECT workrow.end_job_v1(1, '{todo}', 'cancelled')",
        "SELECT workrow.prune_history_v1('0 days')",
    )


def refuses(url: str, *statements: str) -> None:
    """What is SQL is refused by the server, and so is all that an owner does."""
    owners = (
        "TRUNCATE procrastinate_jobs",
        "DROP TABLE workrow.pause_log",
        "CREATE TABLE workrow.mine ()",
        "INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (99, '', false)",
        "INSERT INTO workrow.granted_roles VALUES ('workrow_viewer', 'worker')",
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (*statements, *owners):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    with pytest.raises(SchemaError, match="does not own the tables: workrow_owner grants and revokes"):
        schema.grant(url, "workrow_viewer", "worker")
    with pytest.raises(InsufficientPrivilege, match=r"must be owner|permission denied for"):
        schema.downgrade(url, to=1)


async def history_of(url: str) -> tuple[int, int, int]:
    """The ids of a job that waits, of one that failed, and of one in quarantine."""
    app = app_of(url, "worker")
    async with app.open_async():
        tasks: dict[str, Any] = dict(app.tasks)
        failed = await tasks["fails"].enqueue(None)
        await tasks["limited"].enqueue(None, n=1)
        await app.run_worker_async(wait=False, install_signal_handlers=False)
        waiting = await tasks["plain"].options(queue="later").enqueue(None, n=1)
        lost = await tasks["plain"].options(queue="later").enqueue(None, n=1)
        await app.schedules.create_async("s", tasks["plain"], every=timedelta(hours=1), args={"n": 1})
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("SELECT workrow.end_job_v2(%s, '{todo}', 'failed', NULL, 'crashes')", [lost.id])
    return waiting.id, failed.id, lost.id


async def test_what_a_producer_sees_and_changes_of_others(url: str) -> None:
    """As docs/privileges.md says."""
    others, mine = app_of(url, "worker"), app_of(url, "producer")
    for app in (others, mine):

        @app.task(name="note", debounce=Debounce(3600, by=("key",)))
        async def note(key: str, text: str) -> None: ...

        @app.task(name="secret", hide=["key"], debounce=Debounce(3600, by=("key",)))
        async def secret(key: str) -> None: ...

    async with others.open_async(), mine.open_async():
        done: Any = await others.tasks["plain"].enqueue(None, n=41)  # type: ignore[attr-defined]
        await work(url)
        waiting = await others.tasks["note"].enqueue(None, key="readable", text="theirs")  # type: ignore[attr-defined]
        await others.tasks["secret"].enqueue(None, key="not to be read")  # type: ignore[attr-defined]
        with psycopg.connect(of(url, "producer")) as producer:
            keys = str(producer.execute("SELECT queueing_lock, lock, line FROM procrastinate_jobs").fetchall())
            result = producer.execute("SELECT result FROM workrow.history WHERE id = %s", [done.id]).fetchone()
        assert "readable" in keys
        assert "not to be read" not in keys
        assert result == (42,)
        await mine.tasks["note"].enqueue(None, key="readable", text="mine")  # type: ignore[attr-defined]
        assert await mine.job(waiting.id).parents() == []
    with psycopg.connect(url) as owner:
        found = owner.execute("SELECT args ->> 'text' FROM procrastinate_jobs WHERE id = %s", [waiting.id]).fetchone()
    assert found == ("mine",)
    refuses(of(url, "producer"), "SELECT unique_key FROM procrastinate_jobs")


async def test_an_operator_acts_and_looks(url: str) -> None:
    waiting, failed, lost = await history_of(url)
    mine = of(url, "operator")
    assert f"{failed}: " in cli(mine, "retry", str(failed))
    assert f"{lost}: released" in cli(mine, "release", str(lost))
    assert f"{waiting}: cancelled" in cli(mine, "cancel", str(waiting))
    cli(mine, "pause", "queue", "later", "--reason", "why")
    cli(mine, "resume", "queue", "later")
    cli(mine, "limits", "set", "api", "--max-running", "7")
    cli(mine, "limits", "pause", "api")
    cli(mine, "limits", "resume", "api")
    cli(mine, "limits", "reset", "api")
    cli(mine, "schedules", "pause", "s")
    cli(mine, "schedules", "resume", "s")
    cli(mine, "schedules", "delete", "s")
    await asyncio.to_thread(looks, mine, failed)
    app = app_of(url, "operator")
    async with app.open_async():
        assert await app.pause_task_async("plain")
        assert await app.resume_task_async("plain")
        assert await app.cancel_async(failed) == "cancelled"
    with psycopg.connect(mine, autocommit=True) as connection:
        connection.execute("SELECT workrow.set_queue_v1('later', 3)")


async def test_what_an_operator_may_not(url: str) -> None:
    app = app_of(url, "operator")
    async with app.open_async():
        with pytest.raises(InsufficientPrivilege, match=r"permission denied .*workrow.schema.grant\(.*'producer'\)"):
            await app.tasks["plain"].enqueue(None, n=1)  # type: ignore[attr-defined]
    with pytest.raises(InsufficientPrivilege, match="workrow_operator may not run workers"):
        await work(url, "operator")
    refuses(
        of(url, "operator"),
        "SELECT id FROM procrastinate_jobs",
        "DELETE FROM procrastinate_jobs",
        "DELETE FROM workrow.history",
        "INSERT INTO procrastinate_jobs (task_name) VALUES ('t')",
        "SELECT workrow.enqueue_once_v1('{}', '{}', '[]', '{}')",
        "SELECT workrow.prune_history_v1('0 days')",
    )


def looks(url: str, job_id: int) -> None:
    """Everything that a viewer may."""
    cli(url, "status")
    cli(url, "status", "--json")
    assert "fails" in cli(url, "job", str(job_id))
    cli(url, "limits", "list")
    cli(url, "schedules", "list")
    cli(url, "schema", "status")
    with psycopg.connect(url) as connection:
        views = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = CAST('workrow' AS regnamespace) AND relkind = 'v'"
        ).fetchall()
        for (view,) in views:
            connection.execute(sql.SQL("SELECT * FROM workrow.{}").format(sql.Identifier(view)))


async def test_a_viewer_only_looks(url: str) -> None:
    waiting, failed, _ = await history_of(url)
    mine = of(url, "viewer")
    await asyncio.to_thread(looks, mine, failed)
    for words in (
        ("cancel", str(waiting)),
        ("retry", str(failed)),
        ("pause", "queue", "later", "--reason", "why"),
        ("limits", "pause", "api"),
        ("schedules", "pause", "s"),
    ):
        assert "workrow.schema.grant(url, role, 'operator')" in refusal(mine, *words)
    app = app_of(url, "viewer")
    async with app.open_async():
        with pytest.raises(InsufficientPrivilege, match="'producer'"):
            await app.tasks["plain"].enqueue(None, n=1)  # type: ignore[attr-defined]
        with pytest.raises(InsufficientPrivilege, match="'producer'"):
            await app.job(waiting).result(timeout=20)
    with pytest.raises(InsufficientPrivilege, match="workrow_viewer may not run workers"):
        await work(url, "viewer")
    refuses(
        mine,
        "SELECT id FROM procrastinate_jobs",
        "SELECT id FROM workrow.history",
        "UPDATE workrow.schedules SET last_tick = now()",
        "SELECT workrow.cancel_job_v1(1)",
    )


async def test_a_worker_does_its_work_and_owns_nothing(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(
            """DO $$ DECLARE day text; BEGIN
               FOR day IN SELECT relname FROM pg_class WHERE relname ~ '^history_2' AND relkind = 'r' LOOP
                   EXECUTE 'DROP TABLE workrow.' || day;
               END LOOP; END $$"""
        )
    app = app_of(url, "worker")
    app.keep_history = timedelta(days=1)

    @app.periodic(cron="* * * * *")
    @app.task(name="ticking")
    async def ticking(timestamp: int) -> None: ...

    @app.task(name="declared", cron="* * * * *")
    async def declared() -> None: ...

    with psycopg.connect(of(url, "worker"), autocommit=True) as mine:
        mine.execute("SELECT workrow.set_queue_v1('capped', 3)")
    app.queue("capped", max_depth=5)
    async with app.open_async():
        ids = await enqueue_in_all_ways(url, app, "worker")
        await app.tasks["fails"].options(queue="q").enqueue(None)  # type: ignore[attr-defined]
        await app.schedules.create_async("s", app.tasks["plain"], every=timedelta(hours=1), args={"n": 1})
        await app.schedules.run_now_async("s")
        await app.run_worker_async(wait=False, install_signal_handlers=False)
        upkeep = app._worker()._upkeep.__self__  # type: ignore[attr-defined]
        await upkeep.run_once()
    with psycopg.connect(url) as owner:
        days = owner.execute("SELECT count(*) FROM pg_class WHERE relname ~ '^history_2' AND relkind = 'r'").fetchone()
        left = owner.execute("SELECT count(*) FROM workrow.jobs WHERE status = 'doing'").fetchone()
    assert (days, left) == ((4,), (0,))
    assert ids
    refuses(of(url, "worker"), "UPDATE workrow.history SET result = NULL", "DROP TABLE workrow.history")


@pytest.mark.parametrize(
    ("take", "told"),
    [
        (
            "REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM workrow_worker",
            "USAGE on public.procrastinate_jobs_id_seq",
        ),
        ("REVOKE INSERT ON workrow.lines FROM workrow_worker", "INSERT on workrow.lines"),
        ("REVOKE USAGE ON SCHEMA workrow FROM workrow_worker", "permission denied for schema workrow"),
        (
            "REVOKE ALL ON ALL TABLES IN SCHEMA workrow FROM workrow_worker",
            "permission denied for table schema_version",
        ),
        ("REVOKE UPDATE ON procrastinate_jobs FROM workrow_worker", "UPDATE on procrastinate_jobs"),
    ],
)
async def test_a_worker_that_lacks_a_grant_says_so_at_its_start(url: str, take: str, told: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(take.encode())
    with pytest.raises(InsufficientPrivilege, match=r"workrow.schema.grant\(url, .*'worker'") as caught:
        await work(url)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_worker_needs_no_rights_on_days_that_were_detached(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        ((day,),) = owner.execute(
            "SELECT min(CAST(oid AS regclass)::text) FROM pg_class WHERE relname ~ '^history_2' AND relkind = 'r'"
        ).fetchall()
        owner.execute(f"ALTER TABLE workrow.history DETACH PARTITION {day}".encode())
        await work(url)
        owner.execute("SELECT workrow.extend_history_v1()")


async def test_a_worker_that_may_not_keep_the_history_in_order_says_so_once(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("REVOKE EXECUTE ON FUNCTION workrow.extend_history_v1 FROM workrow_worker")
    app = app_of(url, "worker")
    async with app.open_async():
        await app.tasks["plain"].enqueue(None, n=1)  # type: ignore[attr-defined]
        upkeep = app._worker()._upkeep.__self__  # type: ignore[attr-defined]
        await upkeep.run_once()
        await upkeep.run_once()
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [
        "extend_history is left to others: permission denied for function extend_history_v1: to run jobs, a role needs "
        "workrow.schema.grant(url, role, 'worker')"
    ]


def rights(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            """SELECT CAST(oid AS regclass)::text, relacl::text FROM pg_class WHERE relacl::text LIKE '%workrow_%'
               UNION ALL SELECT oid::regprocedure::text, proacl::text FROM pg_proc WHERE proacl::text LIKE '%workrow_%'
               UNION ALL
               SELECT attrelid::regclass || '.' || attname, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL
               ORDER BY 1, 2"""
        ).fetchall()


def test_a_producer_goes_over_the_bridge_from_celery_and_an_operator_turns_its_dials(url: str) -> None:
    operator = Celery(broker=of(url, "operator"), set_as_current=False)
    operator.store.run("celery_dial", task="t", percent=50, sticky_by=None, shadow=None)
    operator.store.run("celery_switch", is_on=True)
    operator.close()
    producer = Celery(broker=of(url, "producer"), set_as_current=False)
    moves = Moves(producer.store)
    assert [row[:2] for row in moves.dials()] == [("t", 50)]
    moves.write("t", {"calls": [{"task": "t", "queue": "q", "priority": 0, "args": {"id": "1"}}]})
    producer.close()
    refuses(of(url, "producer"), "SELECT workrow.celery_switch_v1(false)", "SELECT * FROM workrow.celery_bridge_moves")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT came FROM workrow.celery_bridge_moves").fetchall() == [("dial",)]


def test_a_producer_calls_celery_tasks(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("SELECT workrow.set_queue_v1('celery', 4)")
    with Celery(broker=of(url, "producer"), set_as_current=False) as app:
        add: Any = app.task(name="add")(lambda x, y: x + y)
        result = add.delay(1, 2)
        group([add.s(1, 2), add.s(3, 4)], app=app).apply_async()
        again = [add.apply_async((5, 6), unique=Unique(by=("x",), on_conflict=how)) for how in ("skip", "replace")]
        assert again[0].id == again[1].id
        for call in (add.s(1, 2), group([add.s(1, 2), add.s(3, 4)], app=app), add.s(7, 7).set(unique=("x",))):
            with pytest.raises(QueueFull):
                call.apply_async()
        result.revoke()
        assert result.state == "REVOKED"


def test_grants_can_be_repeated_and_an_upgrade_renews_them(url: str) -> None:
    before = rights(url)
    for kind in KINDS:
        schema.grant(url, f"workrow_{kind}", kind)
    assert rights(url) == before
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("DROP VIEW workrow.quarantine")
        owner.execute("DROP FUNCTION workrow.pause_v1")
        owner.execute("ALTER FUNCTION workrow.cancel_job_v1 SECURITY INVOKER")
        owner.execute("REVOKE SELECT ON workrow.jobs FROM workrow_viewer")
    schema.upgrade(url)
    assert {name for name, _ in rights(url)} == {name for name, _ in before}
    cli(of(url, "operator"), "pause", "queue", "q", "--reason", "why")
    looks_at = "SELECT FROM workrow.quarantine, workrow.jobs"
    with psycopg.connect(of(url, "viewer")) as viewer:
        viewer.execute(looks_at)
    assert schema.status(url).changed == ()


def test_a_role_that_is_gone_keeps_no_upgrade(url: str, server: str) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE ROLE workrow_guest")
    schema.grant(url, "workrow_guest", "viewer")
    with psycopg.connect(re.sub(r"//[^/]*@", "//postgres@", url), autocommit=True) as admin:
        admin.execute("DROP OWNED BY workrow_guest")
        admin.execute("DROP ROLE workrow_guest")
        admin.execute("DROP VIEW workrow.quarantine")
    schema.upgrade(url)
    with psycopg.connect(url) as owner:
        assert owner.execute("SELECT FROM workrow.granted_roles WHERE role_name = 'workrow_guest'").fetchall() == []


def test_revoking_takes_what_no_other_kind_needs(url: str) -> None:
    schema.grant(url, "workrow_viewer", "producer")
    schema.grant(url, "workrow_viewer", "worker")
    schema.revoke(url, "workrow_viewer", "worker")
    with psycopg.connect(of(url, "viewer"), autocommit=True) as both:
        both.execute("SELECT FROM workrow.jobs")
        both.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            both.execute("DELETE FROM procrastinate_jobs")
    assert cli(url, "schema", "revoke", "workrow_viewer") == "nothing is granted to workrow_viewer now\n"
    assert "workrow_viewer" not in str(rights(url))
    schema.revoke(url, "workrow_viewer")
    assert "permission denied for schema workrow" in refusal(of(url, "viewer"), "status")
    assert cli(url, "schema", "grant", "workrow_viewer", "viewer") == "workrow_viewer is a viewer now\n"
    cli(of(url, "viewer"), "status")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda url: schema.grant(url, "workrow_viewer", "admin"),
            "there is no kind 'admin' of role: give one of 'producer'",
        ),  # type: ignore[arg-type]
        (
            lambda url: schema.grant(url, "workrow_unknown", "viewer"),
            "there is no role 'workrow_unknown': make it first",
        ),
        (lambda url: schema.grant(url, "o'$x", "viewer"), "cannot be the name of a role"),
        (lambda url: schema.grant(url, "workrow_owner", "viewer"), "the role workrow_owner owns the tables"),
    ],
)
def test_what_cannot_be_granted_is_told(url: str, call: Callable[[str], None], told: str) -> None:
    with pytest.raises(SchemaError) as caught:
        call(url)
    assert told in str(caught.value)


def test_tables_where_everybody_may_create_are_not_granted(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    with pytest.raises(SchemaError, match="REVOKE CREATE ON SCHEMA public FROM PUBLIC first"):
        schema.grant(url, "workrow_viewer", "viewer")


def test_temporary_tables_deceive_no_function_of_the_owner(url: str) -> None:
    with psycopg.connect(of(url, "operator"), autocommit=True) as operator:
        operator.execute("CREATE TEMP TABLE procrastinate_jobs (id bigint, status text)")
        operator.execute("SELECT workrow.cancel_job_v1(1)")  # in pg_temp it would find no column worker_id


def test_who_could_delete_jobs_before_keeps_what_it_could_do(url: str) -> None:
    schema.downgrade(url, to=6)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("GRANT ALL ON procrastinate_jobs TO workrow_none")
    schema.upgrade(url)
    with psycopg.connect(url) as owner:
        for role, may in (("workrow_none", True), ("public", False)):
            asked = owner.execute(
                "SELECT has_function_privilege(%s, 'workrow.cancel_job_v1(bigint,boolean)', 'EXECUTE')", [role]
            )
            assert asked.fetchone() == (may,)


async def test_a_way_down_and_up_forgets_the_list_and_revoke_takes_back_what_is_left(url: str) -> None:
    schema.downgrade(url, to=6)
    schema.upgrade(url)
    app = app_of(url, "producer")

    @app.task(name="secret", hide=["n"])
    async def secret(n: int) -> None: ...

    async with app.open_async():
        await secret.enqueue(None, n=1)
    for kind in KINDS:
        schema.grant(url, f"workrow_{kind}", kind)
    await work(url)
    await asyncio.to_thread(cli, of(url, "viewer"), "status")
    schema.downgrade(url, to=6)
    schema.upgrade(url)
    for kind in KINDS:
        with psycopg.connect(url) as owner:
            assert owner.execute("SELECT workrow.revoke_v1(%s)", [f"workrow_{kind}"]).fetchone() == (True,)
            assert owner.execute("SELECT workrow.revoke_v1(%s)", [f"workrow_{kind}"]).fetchone() == (False,)
    assert "workrow_" not in str(rights(url)).replace("workrow_owner", "")


def test_revoking_one_kind_without_the_list_leaves_the_listed_one(url: str) -> None:
    schema.downgrade(url, to=6)
    schema.upgrade(url)
    schema.grant(url, "workrow_worker", "producer")
    schema.revoke(url, "workrow_worker", "worker")
    with psycopg.connect(of(url, "worker")) as connection:
        connection.execute("SELECT id FROM procrastinate_jobs")
        connection.execute("INSERT INTO procrastinate_jobs (task_name, queue_name) VALUES ('plain', 'q')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM procrastinate_jobs")


@pytest.mark.parametrize(
    ("words", "told", "kind"),
    [
        (("schedules", "list"), "cannot read schedules: permission denied for ", "viewer"),
        (("schedules", "pause", "s"), "cannot pause schedule: permission denied for ", "operator"),
        (("schema", "status"), "permission denied for table installed_objects: to look, ", "viewer"),
    ],
)
def test_a_refused_command_is_told_in_its_own_words(url: str, words: tuple[str, ...], told: str, kind: str) -> None:
    said = refusal(of(url, "producer"), *words)
    assert said.startswith(f"Error: {told}")
    assert f"workrow.schema.grant(url, role, '{kind}')" in said
    assert "'producer'" not in said


def test_a_worker_is_told_who_sees_the_schemas_status(url: str) -> None:
    said = refusal(of(url, "worker"), "schema", "status")
    assert said.rstrip().endswith("to look, a role needs workrow.schema.grant(url, role, 'viewer')")


async def test_who_may_not_hide_arguments_is_told_to_be_a_producer(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("REVOKE ALL ON workrow.hidden_arguments FROM workrow_producer")
    app = app_of(url, "producer")

    @app.task(name="secret", hide=["n"])
    async def secret(n: int) -> None: ...

    async with app.open_async():
        with pytest.raises(InsufficientPrivilege, match=r"SELECT, INSERT ON workrow.hidden_arguments .*'producer'\)"):
            await secret.enqueue(None, n=1)


def test_grants_in_a_connections_transaction(url: str) -> None:
    with psycopg.connect(url) as owner:
        schema.grant(owner, "workrow_none", "viewer")
        owner.rollback()
    assert "workrow_none" not in str(rights(url))
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        schema.grant(connection, "workrow_none", "viewer")
    engine.dispose()
    assert "workrow_none" in str(rights(url))


async def test_tables_in_a_schema_whose_name_needs_quotes(server: str) -> None:
    with new_database(server) as admin:
        with psycopg.connect(admin, autocommit=True) as connection:
            name = sql.Identifier(connection.info.dbname)
            connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO workrow_owner").format(name))
            connection.execute("""CREATE SCHEMA "Our ""own"" Jobs" AUTHORIZATION workrow_owner""")
            connection.execute(sql.SQL("""ALTER DATABASE {} SET search_path = "Our ""own"" Jobs" """).format(name))
        owner = of(admin, "owner")
        schema.upgrade(owner)
        await work(owner, "owner")
        for kind in KINDS:
            schema.grant(owner, f"workrow_{kind}", kind)
        waiting, failed, lost = await history_of(owner)
        mine = of(owner, "operator")
        assert f"{lost}: released" in cli(mine, "release", str(lost))
        assert f"{waiting}: cancelled" in cli(mine, "cancel", str(waiting))
        await asyncio.to_thread(looks, of(owner, "viewer"), failed)
        app = app_of(owner, "producer")
        async with app.open_async():
            plain: Any = app.tasks["plain"]
            job = await plain.options(unique=Unique(by=("n",))).enqueue(None, n=1)
            await work(owner)
            assert await job.result(timeout=60) == 2
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("""REVOKE USAGE ON SCHEMA "Our ""own"" Jobs" FROM workrow_worker""")
        with pytest.raises(workrow.WorkrowError):
            await work(owner)
        schema.downgrade(owner, to=6)
        schema.upgrade(owner)
        assert schema.status(owner).changed == ()
        with (
            psycopg.connect(owner, options="-c search_path=public") as connection,
            pytest.raises(SchemaError, match='put "Our ""own"" Jobs" first on the search_path'),
        ):
            schema.status(connection)


def test_every_kind_is_described_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "privileges.md").read_text()
    kinds: tuple[Kind, ...] = KINDS
    assert all(f'"{kind}"' in text for kind in kinds)


def test_an_upgrade_grants_anew_only_where_not_everybody_may_create(url: str) -> None:
    schema.grant(url, "workrow_viewer", "viewer")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        owner.execute("DROP VIEW workrow.unroutable")
    with pytest.raises(SchemaError, match="granted roles .* REVOKE CREATE ON SCHEMA public FROM PUBLIC first"):
        schema.upgrade(url)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    schema.upgrade(url)
    with psycopg.connect(of(url, "viewer")) as viewer:
        viewer.execute("SELECT * FROM workrow.unroutable")
