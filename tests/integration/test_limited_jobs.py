"""Limits and rates of tasks: what workers run at the same time, and what starts in a time."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import procrastinate
import psycopg
import pytest

import workrow
from workrow import Limit, Rate
from workrow.errors import OptionError
from workrow.worker.claiming.lines import Lines


async def run(*apps: workrow.App, **options: Any) -> None:
    """Workers that run what is ready, until none is left."""
    async with asyncio.TaskGroup() as group:
        for app in apps:
            group.create_task(
                app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False, **options)
            )


class Room:
    """Counts who is inside."""

    def __init__(self) -> None:
        self.inside: Counter[object] = Counter()
        self.most: Counter[object] = Counter()
        self.ended: list[object] = []

    async def stay(self, key: object = None) -> None:
        self.inside[key] += 1
        self.most[key] = max(self.most[key], self.inside[key])
        await asyncio.sleep(0.01)
        self.inside[key] -= 1
        self.ended.append(key)


async def test_a_limit_holds_over_workers(open_app: workrow.App, conn: Any) -> None:
    room = Room()

    @open_app.task(name="one", limits=Limit(3))
    async def one() -> None:
        await room.stay()

    await one.enqueue_many(None, [{}] * 60)
    await run(open_app, open_app, open_app, concurrency=10)
    assert len(room.ended) == 60
    assert room.most[None] == 3


async def test_one_tenants_backlog_does_not_hold_back_another(open_app: workrow.App, conn: Any) -> None:
    room = Room()

    @open_app.task(name="report", limits=Limit(5, key="tenant"))
    async def report(tenant: str) -> None:
        await room.stay(tenant)

    await report.enqueue_many(None, [{"tenant": "a"}] * 500)
    await report.enqueue_many(None, [{"tenant": "b"}] * 10)
    await run(open_app, concurrency=20)
    assert room.most == {"a": 5, "b": 5}
    assert max(at for at, tenant in enumerate(room.ended) if tenant == "b") < 60


async def test_fifty_thousand_of_one_do_not_delay_ten_of_another(open_app: workrow.App, conn: Any) -> None:
    done: list[str] = []
    small_done = asyncio.Event()

    @open_app.task(name="mail", limits=Limit(5, key="tenant"))
    async def mail(tenant: str) -> None:
        done.append(tenant)
        if done.count("b") == 10:
            small_done.set()

    async with await psycopg.AsyncConnection.connect(open_app.database_url) as own:
        await mail.enqueue_copy(own, ({"tenant": "a"} for _ in range(50_000)))
    await mail.enqueue_many(None, [{"tenant": "b"}] * 10)
    worker = asyncio.create_task(open_app.run_worker_async(install_signal_handlers=False, concurrency=20))
    async with asyncio.timeout(30):
        await small_done.wait()
    assert 50_000 - done.count("a") > 49_000
    worker.cancel()
    await asyncio.wait([worker])


async def test_limits_compose_and_keys_take_turns(open_app: workrow.App, conn: Any) -> None:
    room = Room()

    @open_app.task(name="send", limits=(Limit(4), Limit(3, key="tenant")))
    async def send(tenant: str = "c") -> None:
        await room.stay(tenant)

    await send.enqueue_many(None, [{"tenant": "a"}] * 40)
    await send.enqueue_many(None, [{"tenant": "b"}] * 40)
    await send.enqueue_many(None, [{}] * 40)
    await run(open_app, concurrency=20)
    assert len(room.ended) == 120
    assert max(room.most.values()) <= 3
    first = Counter(room.ended[:60])
    assert min(first.values()) >= 15, first


async def test_weights_share_the_turns(open_app: workrow.App, conn: Any) -> None:
    order: list[str] = []

    @open_app.task(name="turn", limits=(Limit(2), Limit(2, key="tenant")))
    async def turn(tenant: str) -> None:
        order.append(tenant)
        await asyncio.sleep(0.002)

    for tenant in ("gold", "tin"):
        await turn.enqueue_many(None, [{"tenant": tenant}] * 90)
    conn.execute("SELECT workrow.declare_limit_v1('turn/tenant', 2, NULL, NULL, NULL)")
    conn.execute("SELECT workrow.set_limit_v1('turn/tenant', 'gold', weight => 3)")
    conn.commit()
    await run(open_app, concurrency=4)
    share = order[:80].count("gold") / 80
    assert 0.65 <= share <= 0.85, share


async def test_a_rate_spreads_the_starts_over_workers(open_app: workrow.App, conn: Any) -> None:
    starts: list[float] = []

    @open_app.task(name="call", limits=Rate("20/s"))
    async def call() -> None:
        starts.append(time.monotonic())

    await call.enqueue_many(None, [{}] * 60)
    options: Any = {"install_signal_handlers": False, "listen_notify": False}
    workers = [asyncio.create_task(open_app.run_worker_async(**options)) for _ in range(3)]
    async with asyncio.timeout(10):
        while len(starts) < 60:
            await asyncio.sleep(0.01)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    for start in starts:
        # claimed at the right time, a job may start a little later than another
        assert sum(start <= each < start + 0.9 for each in starts) <= 20
    assert 1.9 <= max(starts) - min(starts) <= 3.5


async def test_priority_delay_and_queue_still_count(open_app: workrow.App, conn: Any) -> None:
    order: list[str] = []

    @open_app.task(name="p", limits=Limit(1))
    async def p(name: str) -> None:
        order.append(name)

    await p.enqueue(None, "plain")
    await p.options(priority=5).enqueue(None, "high")
    later = await p.options(delay=timedelta(hours=1)).enqueue(None, "later")
    await p.options(queue="other").enqueue(None, "other")
    await run(open_app, queues=["default"])
    assert order == ["high", "plain"]
    row = conn.execute(
        "SELECT scheduled_at > now() + '50 minutes' FROM workrow.jobs WHERE id = %s", [later.id]
    ).fetchone()
    assert row == (True,)
    await run(open_app)
    assert order == ["high", "plain", "other"]


async def test_a_retry_and_a_job_handed_back_wait_in_line_again(open_app: workrow.App, conn: Any) -> None:
    room = Room()

    @open_app.task(name="flaky", limits=Limit(1), retry=workrow.Retry(max_attempts=3, wait=0.0))
    async def flaky(ctx: workrow.JobContext) -> None:
        await room.stay()
        if not ctx.job.attempts:
            raise OSError("once")

    jobs = await flaky.enqueue_many(None, [{}] * 5)
    for _ in range(5):
        await run(open_app, concurrency=5)
    rows = conn.execute("SELECT status, attempts FROM workrow.jobs WHERE id = ANY(%s)", [[job.id for job in jobs]])
    assert rows.fetchall() == [("succeeded", 2)] * 5
    assert room.most[None] == 1


async def test_procrastinates_defer_and_copy_know_the_limit(open_app: workrow.App, conn: Any) -> None:
    room = Room()

    @open_app.task(name="d", limits=Limit(1, key="tenant"))
    async def d(tenant: int) -> None:
        await room.stay(tenant)

    for _ in range(5):
        await d.defer_async(tenant=1)
    d.delay(tenant=1)
    async with await psycopg.AsyncConnection.connect(open_app.database_url) as own:
        assert await d.enqueue_copy(own, ({"tenant": 1} for _ in range(5))) == 5
    await run(open_app, concurrency=5)
    assert len(room.ended) == 11
    assert room.most[1] == 1


async def test_stock_procrastinate_leaves_limited_jobs_alone(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="limited", limits=Limit(1))
    async def limited() -> None: ...

    await limited.enqueue(None)
    conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    row = conn.execute("SELECT id FROM procrastinate_fetch_job_v2(NULL, (SELECT max(id) FROM procrastinate_workers))")
    assert row.fetchone() in (None, (None,))
    conn.rollback()


async def test_a_limit_is_changed_and_paused_at_run_time(open_app: workrow.App, conn: Any) -> None:
    room = Room()

    @open_app.task(name="c", limits=Limit(1, key="tenant"))
    async def c(tenant: int) -> None:
        await room.stay(tenant)

    await run(open_app)  # declares
    conn.execute("SELECT workrow.set_limit_v1('c/tenant', '2', max_running => 3)")
    conn.execute("SELECT workrow.set_limit_v1('c/tenant', '3', paused => true, actor => 'ann', reason => 'abuse')")
    conn.commit()
    for tenant in (1, 2, 3):
        await c.enqueue_many(None, [{"tenant": tenant}] * 9)
    await run(open_app, concurrency=20)
    assert room.most == {1: 1, 2: 3}
    seen = conn.execute(
        "SELECT key, max_running, paused, blocked_lines, actor, reason FROM workrow.limits WHERE key = '3'"
    ).fetchone()
    assert seen == ("3", 1, True, 1, "ann", "abuse")
    conn.execute("SELECT workrow.reset_limit_v1('c/tenant', '3')")
    conn.commit()
    await run(open_app, concurrency=20)
    assert room.most[3] == 1
    assert room.ended.count(3) == 9
    with pytest.raises(psycopg.errors.NoDataFound, match="no limit is named nope"):
        conn.execute("SELECT workrow.set_limit_v1('nope', max_running => 3)")


@pytest.mark.parametrize(
    "change",
    [
        *(
            "max_running => -1",
            "weight => 'nan'",
            "weight => 0",
            "rate_count => 0, rate_seconds => 1",
            "rate_count => 5",
        ),
        *("rate_count => 1, rate_seconds => 'inf'", "rate_count => 1, rate_seconds => 1, rate_burst => 0"),
    ],
)
async def test_what_cannot_be_set(open_app: workrow.App, conn: Any, change: str) -> None:
    open_app.task(name="t", limits=Limit(2, key="k"))(keyed)
    await run(open_app)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="limit t/k"):
        conn.execute(f"SELECT workrow.set_limit_v1('t/k', {change})")
    assert conn.execute("SELECT workrow.set_limit_v1('t/k', NULL, max_running => 0) IS NULL").fetchone() == (False,)
    assert conn.execute("SELECT workrow.reset_limit_v1('t/k', NULL)").fetchone() == (True,)


def keyed(k: int) -> None: ...


@pytest.mark.parametrize("other", [Limit(6, name="smtp"), Rate("5/s", name="smtp")])
def test_limits_of_one_name_that_contradict_each_other(app: workrow.App, other: Any) -> None:
    mails = workrow.Blueprint("mails")
    app.task(name="one", limits=Limit(5, name="smtp"))(keyed)
    mails.task(name="same", limits=Limit(5, name="smtp"))(keyed)
    app.include(mails)
    with pytest.raises(
        OptionError, match=r"task two: the limit 'smtp' is .* here, and another one in task (one|same); "
    ):
        app.task(name="two", limits=other)(keyed)
    more = workrow.Blueprint("more")
    more.task(name="two", limits=other)(keyed)
    with pytest.raises(OptionError, match="the limit 'smtp' is"):
        app.include(more)


async def test_what_a_dead_worker_held_is_free_when_its_jobs_are_rescued(open_app: workrow.App, conn: Any) -> None:
    done: list[int] = []

    @open_app.task(name="r", limits=Limit(1))
    async def r(n: int) -> None:
        done.append(n)

    await run(open_app)
    await r.enqueue_many(None, [{"n": 1}, {"n": 2}])
    conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')")
    conn.execute("SELECT workrow.call_lines_v1()")
    row = conn.execute(
        "SELECT id FROM workrow.claim_limited_v1((SELECT max(id) FROM procrastinate_workers), '{r}', NULL, 9)"
    ).fetchall()
    assert len(row) == 1
    conn.commit()
    await run(open_app)
    assert done == []
    conn.execute("SELECT workrow.rescue_jobs_v1()")
    conn.commit()
    await run(open_app)
    assert sorted(done) == [1, 2]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (lambda: Limit(0), r"Limit\(0\): must be a whole number of jobs, at least 1"),
        (lambda: Limit(True), r"Limit\(True\)"),
        (lambda: Rate("100"), r"Rate\('100'\): must be a count and a period, such as '100/m'"),
        (lambda: Rate("0/m"), "must be a count and a period"),
        (lambda: Rate("5/0s"), "must be a count and a period"),
        (lambda: Rate("5/m", burst=0), r"burst=0\): must be a whole number"),
        (lambda: Limit(1, name="x", scope="queue"), "give one of the two"),
        (lambda: Limit(1, scope="world"), "must be 'task' or 'queue'"),  # type: ignore[arg-type]
        (lambda: Limit(1, key=""), "must be a non-empty string"),
        (lambda: Limit(2, key="nope"), r"key names no argument of t\(tenant\)"),
        (lambda: (Limit(2), Limit(3)), "two such limits"),
        (lambda: 3, "must be a Limit, a Rate, or several"),
        (lambda: (3,), "must be a Limit, a Rate, or several"),
    ],
)
def test_bad_limits_are_refused_where_they_are_declared(app: workrow.App, limits: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):

        @app.task(name="t", limits=limits())
        async def t(tenant) -> None: ...  # type: ignore[no-untyped-def]


async def test_a_claim_that_fails_in_the_middle_loses_nothing(
    open_app: workrow.App, conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    @open_app.task(name="m")
    async def m(n: int) -> None:
        ran.append(n)

    @open_app.task(name="other", limits=Limit(1))
    async def other() -> None: ...

    claim, failures = Lines.claim, iter([True])

    async def failing(self: Lines, limit: int, pauses: Any) -> list[Any]:
        claimed = await claim(self, limit, pauses)
        # the second one of a round: plain jobs are claimed by then
        if not self._undeclared and conn.execute("SELECT 1 FROM procrastinate_jobs WHERE status = 'doing'").fetchone():
            conn.rollback()
            if next(failures, False):
                raise RuntimeError("in the middle of a claim")
        return claimed

    monkeypatch.setattr(Lines, "claim", failing)
    await m.enqueue_many(None, [{"n": n} for n in range(3)])
    await run(open_app, concurrency=10)
    assert not next(failures, False)
    assert sorted(ran) == [0, 1, 2]


async def test_a_newer_version_is_left_to_who_knows_it(database_url: str, conn: Any) -> None:
    old, new = workrow.App(database_url), workrow.App(database_url)
    seen: list[str] = []

    @old.task(name="greet", limits=Limit(1, key="name"))
    async def former(name: str) -> None:
        seen.append(f"old {name}")

    @new.task(
        name="greet", limits=Limit(1, key="name"), version=2, upcast=lambda version, args: {**args, "title": "Dr"}
    )
    async def current(name: str, title: str) -> None:
        seen.append(f"{title} {name}")

    async with old.open_async(), new.open_async():
        await former.enqueue(None, "Ada")
        newer = await current.enqueue(None, "Ada", "Lady")
        await run(old)
        assert seen == ["old Ada"]
        found = conn.execute("SELECT status, claims FROM procrastinate_jobs WHERE id = %s", [newer.id]).fetchone()
        assert found == ("todo", 0)
        await former.enqueue(None, "Alan")
        await run(new)
    assert sorted(seen[1:]) == ["Dr Alan", "Lady Ada"]


async def test_another_queue_on_the_way(open_app: workrow.App, conn: Any) -> None:
    ran_in: list[str] = []

    class Move(procrastinate.BaseRetryStrategy):
        def get_retry_decision(
            self, *, exception: BaseException, job: procrastinate.jobs.Job
        ) -> procrastinate.RetryDecision | None:
            return None if job.queue == "slow" else procrastinate.RetryDecision(retry_in={"seconds": 0}, queue="slow")

    @open_app.task(name="moves", limits=Limit(1, key="who"), pass_context=True, retry=Move())
    async def moves(context: Any, who: str) -> None:
        ran_in.append(context.job.queue)
        if context.job.queue != "slow":
            raise OSError

    await moves.enqueue(None, 'é\n"\\')
    await run(open_app, queues=["default"])
    assert ran_in == ["default"]
    await run(open_app, queues=["slow"])
    assert ran_in == ["default", "slow"]
    assert conn.execute("SELECT status FROM workrow.all_jobs").fetchone() == ("succeeded",)


async def test_replaced_arguments_take_the_limits_of_their_own_key(open_app: workrow.App, conn: Any) -> None:
    room = Room()

    @open_app.task(
        name="sync",
        limits=Limit(1, key="tenant"),
        unique=workrow.Unique(by=("document",), states=("todo",), on_conflict="replace"),
    )
    async def sync(document: int, tenant: str) -> None:
        await room.stay(tenant)

    first = await sync.enqueue_many(None, [{"document": n, "tenant": "a"} for n in range(20)])
    again = await sync.enqueue_many(None, [{"document": n, "tenant": "b"} for n in range(20)])
    assert [job.id for job in again] == [job.id for job in first]
    later = sync.options(at=datetime.now(UTC) + timedelta(hours=1))
    waiting = await later.enqueue(None, document=77, tenant="a")
    assert (await later.enqueue(None, document=77, tenant="b")).id == waiting.id
    await run(open_app, concurrency=10)
    assert room.most == {"b": 1}
    assert len(room.ended) == 20
    left = conn.execute("SELECT id, due_at > now() + interval '50 min' FROM procrastinate_jobs").fetchall()
    assert left == [(waiting.id, True)]
