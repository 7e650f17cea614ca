"""The faults: what each does, and when, in the order that the seed says."""

import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from tests.chaos import app as chaos
from tests.chaos.facts import Disturbance
from tests.chaos.fleet import CLOCK_OFF_SECONDS
from tests.chaos.ticks import RECOVERY_SECONDS
from tests.chaos.world import World

Group = Literal["worker", "server", "network", "other"]
Heal = Callable[[], None]
LONG_OUTAGE_SECONDS = 60.0
STEP_EVERY = 100.0
"""Seconds between two steps of the server's clock: within a minute after one that sets it back no tick is owed."""
OURS = "application_name NOT IN ('chaos', 'standby') AND backend_type = 'client backend' AND pid <> pg_backend_pid()"


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault.

    Args:
        name: for log and table.
        group: there is one of each group at a time.
        inject: does it and returns after how many seconds to call what to heal it; None if it cannot be done now.
        single: it leaves all workers but one alone.
    """

    name: str
    group: Group
    inject: Callable[[World], tuple[float, Heal] | None]
    single: bool = False


def _some_worker(world: World) -> int | None:
    calm = [number for number, worker in sorted(world.fleet.workers.items()) if worker.calm]
    # one is always left alone by the faults of workers, so that there is somebody to take over
    others = [number for number in calm if number != world.spared]
    return world.random.choice(others) if len(calm) > 1 and others else None


def _on_worker(
    world: World, act: Callable[[int], str], seconds: float, heal: Callable[[int], None] | None = None
) -> tuple[float, Heal] | None:
    number = _some_worker(world)
    if number is None:
        return None
    began = time.time()
    worker = world.fleet.workers[number]
    world.say(f"{worker.program.name} (pid {worker.process.pid}): {act(number)}")

    def done() -> None:
        if heal:
            heal(number)
        world.note(number, began)

    return seconds, done


def kill(world: World) -> tuple[float, Heal] | None:
    """kill -9; the supervisor starts it again."""

    def act(number: int) -> str:
        world.fleet.signal(number, signal.SIGKILL)
        return "kill -9"

    return _on_worker(world, act, 2.0)


def pause(world: World) -> tuple[float, Heal] | None:
    """SIGSTOP for twice the lease, then SIGCONT; with or without its child processes."""
    everyone = world.random.random() < 0.5

    def act(number: int) -> str:
        world.fleet.signal(number, signal.SIGSTOP, everyone=everyone)
        return f"SIGSTOP{' with its children' if everyone else ''}"

    def wake(number: int) -> None:
        if number in world.fleet.workers:
            world.fleet.signal(number, signal.SIGCONT, everyone=everyone)
            world.say(f"{world.fleet.workers[number].program.name}: SIGCONT")

    return _on_worker(world, act, 2 * world.lease + 0.5, wake)


def deploy(world: World, clock_off: int = 0) -> tuple[float, Heal] | None:
    """SIGTERM; it has to end with code 0, and another one starts."""

    def act(number: int) -> str:
        wrong = bool(clock_off) and world.fleet.next_clock(number, clock_off)
        world.fleet.signal(number, signal.SIGTERM)
        return f"SIGTERM{f', and the next one has a clock off by {clock_off} s' if wrong else ''}"

    return _on_worker(world, act, 4.0)


def wrong_clock(world: World) -> tuple[float, Heal] | None:
    """The next process of a worker has a clock that is off by an hour."""
    return deploy(world, world.random.choice((-1, 1)) * CLOCK_OFF_SECONDS)


def _on_all(world: World, what: str, seconds: float, heal: Heal | None = None) -> tuple[float, Heal]:
    began = time.time()
    world.troubles.add(what)
    world.say(what)

    def done() -> None:
        if heal:
            heal()
        world.troubles.discard(what)
        world.troubled_at = time.monotonic()
        world.note(None, began)
        world.say(f"{what}: over")

    return seconds, done


def terminate_some(world: World) -> tuple[float, Heal] | None:
    """pg_terminate_backend of three connections, whosever they are."""
    return _terminate(world, 3)


def terminate_all(world: World) -> tuple[float, Heal] | None:
    """pg_terminate_backend of all connections."""
    return _terminate(world, None)


def _terminate(world: World, limit: int | None) -> tuple[float, Heal] | None:
    query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS} ORDER BY random() LIMIT %s"
    with world.connect() as connection:
        count = len(connection.execute(query, [limit]).fetchall())
    return _on_all(world, f"pg_terminate_backend of {count}", 0.1)


def crash(world: World) -> tuple[float, Heal] | None:
    """The server stops at once and comes back at once."""
    world.cluster.crash()
    return _on_all(world, "immediate stop and restart", 0.0, world.cluster.restart)


def outage(world: World, seconds: float | None = None) -> tuple[float, Heal] | None:
    """The server is away for some seconds."""
    seconds = seconds or world.random.uniform(3, 8)
    world.cluster.crash()
    return _on_all(world, f"outage of {seconds:.0f} s", seconds, world.cluster.restart)


def long_outage(world: World) -> tuple[float, Heal] | None:
    """The server is away for a minute."""
    return outage(world, LONG_OUTAGE_SECONDS)


def failover(world: World) -> tuple[float, Heal] | None:
    """The primary is lost, the standby takes over, the old primary becomes the new standby."""
    world.cluster.fail_over()
    world.retarget()
    return _on_all(world, "failover", world.random.uniform(0.5, 2), world.cluster.rebuild)


def bounce(world: World) -> tuple[float, Heal] | None:
    """PgBouncer is killed, or told to stop, and comes back."""
    assert world.bouncer is not None
    how = world.random.choice((signal.SIGKILL, signal.SIGTERM))
    world.bouncer.stop(how)
    return _on_all(world, f"pgbouncer gets {how.name}", world.random.uniform(0, 3), world.bouncer.start)


def cut_one(world: World) -> tuple[float, Heal] | None:
    """The network between a worker and the server is cut for a moment."""

    def act(number: int) -> str:
        world.proxy.cut(number)
        return "network cut"

    return _on_worker(world, act, 0.1)


def partition(world: World) -> tuple[float, Heal] | None:
    """Nothing gets through between a worker and the server for twice the lease; then all of it, or a reset."""
    reset = world.random.random() < 0.5

    def act(number: int) -> str:
        world.troubles.add("partition")
        world.proxy.blackhole(number)
        return "network swallows everything"

    def heal(number: int) -> None:
        if reset:
            world.proxy.cut(number)
        world.proxy.heal(number)
        world.troubles.discard("partition")
        world.troubled_at = time.monotonic()
        world.say(f"door {number}: network healed{' with a reset' if reset else ''}")

    return _on_worker(world, act, 2 * world.lease + 1, heal)


def cut_all(world: World) -> tuple[float, Heal] | None:
    """Every connection is reset."""
    world.proxy.cut()
    return _on_all(world, "network cut for all", 0.1)


def blackhole_all(world: World) -> tuple[float, Heal] | None:
    """Nothing gets through for anybody."""
    world.proxy.blackhole()
    return _on_all(world, "network swallows everything for all", world.random.uniform(3, 7), world.proxy.heal)


def slow_all(world: World) -> tuple[float, Heal] | None:
    """Everything takes longer for everybody; the database is there, so nobody is excused from stopping or starting."""
    began = time.time()
    world.proxy.slow()
    world.say("the network is slow for all")

    def done() -> None:
        world.proxy.heal()
        world.note(None, began)
        world.say("the network is slow for all: over")

    return world.random.uniform(4, 8), done


def _with_connection(world: World, what: str, seconds: float, *statements: str) -> tuple[float, Heal] | None:
    connection = world.connect()
    for statement in statements:
        connection.execute(statement)
    world.say(what)

    def done() -> None:
        with contextlib.suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        connection.close()
        world.say(f"{what}: over")

    return seconds, done


def snapshot(world: World) -> tuple[float, Heal] | None:
    """A transaction that keeps an old snapshot."""
    begin, look = "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM procrastinate_jobs"
    return _with_connection(world, "idle in transaction with a snapshot", 15, begin, look)


def uncommitted(world: World) -> tuple[float, Heal] | None:
    """Jobs that are enqueued and not committed for a while; then they are, or they are rolled back."""
    connection = world.connect()
    keys = [f"open-{time.monotonic_ns()}-{number}" for number in range(20)]
    commits = world.random.random() < 0.5
    connection.execute("BEGIN")
    connection.cursor().executemany(
        "INSERT INTO chaos.orders (key, kind, producer) VALUES (%s, 'coroutine', -1)", [(key,) for key in keys]
    )
    chaos.coroutine.enqueue_many(connection, [{"key": key} for key in keys])
    world.say("20 jobs are enqueued and not committed")

    def done() -> None:
        with contextlib.suppress(psycopg.Error):
            connection.execute("COMMIT" if commits else "ROLLBACK")
        connection.close()
        world.say(f"the 20 jobs are {'committed' if commits else 'rolled back'}")

    return 6, done


def holder(world: World) -> tuple[float, Heal] | None:
    """A user's transaction that keeps rows which workers write: of jobs that wait or run, and of limits."""
    return _with_connection(
        world,
        "idle in transaction with locked rows",
        6,
        "BEGIN",
        "SELECT FROM procrastinate_jobs ORDER BY random() LIMIT 20 FOR UPDATE SKIP LOCKED",
        "SELECT FROM workrow.limit_buckets ORDER BY random() LIMIT 2 FOR UPDATE SKIP LOCKED",
    )


def step_clock(world: World) -> tuple[float, Heal] | None:
    """The server's clock steps by a minute or an hour; the next time it steps back to where it was."""
    clock = world.cluster.clock
    assert clock is not None
    if time.monotonic() < world.next_step:
        return None
    world.next_step = time.monotonic() + STEP_EVERY
    now = 0 if clock.ahead else world.random.choice((-1, 1)) * world.random.choice((60, 3600))
    set_clock(world, now)
    return 1.0, lambda: None


def set_clock(world: World, seconds: int) -> None:
    """Let the server's clock be so much ahead of the real one."""
    clock = world.cluster.clock
    assert clock is not None
    step, began = seconds - clock.ahead, time.time()
    clock.set(seconds)
    world.say(f"the server's clock steps by {step:+d} s, and is {seconds:+d} s ahead")
    if step < 0:
        # schedules go on within a minute; a tick that is late now is due when the clock shows its time again
        world.disturbances.append(Disturbance(None, began - RECOVERY_SECONDS, began + 60))
    else:
        world.disturbances.append(Disturbance(None, began, began))


def crowd(world: World) -> tuple[float, Heal] | None:
    """Connections until the server takes no more; those of all are dropped, so that they have to be made anew."""
    held: list[psycopg.Connection[Any]] = []
    with world.connect() as admin:
        with contextlib.suppress(psycopg.Error):
            while True:
                held.append(psycopg.connect(world.cluster.url, connect_timeout=5, application_name="chaos"))
        admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")
        with contextlib.suppress(psycopg.Error):
            while True:
                held.append(psycopg.connect(world.cluster.url, connect_timeout=5, application_name="chaos"))

    def leave() -> None:
        for connection in held:
            connection.close()

    return _on_all(world, f"too many connections ({len(held)} of ours)", 4.0, leave)
