"""The parties of the protocol, as a state machine for Hypothesis: any of them acts, alone or beside another one."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

import psycopg
from hypothesis import HealthCheck, Phase, currently_in_test_context, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.integration.protocol import Claim, Job, Op
from tests.integration.protocol_ops import Model
from workrow.database.held import PATIENCE_MS

T = TypeVar("T")
Maker = Callable[["Protocol", int, int], Op | None]

BOUND_SECONDS = 1.0
"""For so long any statement may take while a user's transaction is open; it waits for `PATIENCE_MS` at most."""
FOR_ALL = ("claim_", "rescue", "stage", "register", "beat", "progress")
"""How statements are called that serve everybody: what is held they pass over."""
JOBS, WORKERS = 5, 3
"""So few that they meet."""
CLAIMS = ("claim_jobs", "claim_notified_jobs", "claim_queue_jobs", "claim_mixed_jobs", "claim_locked_jobs")
ENDS = ("succeeded", "failed", "aborted", "quarantined")


@dataclass
class World:
    """Connections in autocommit mode: one to look, one for each of two parties, and one for a user who is slow."""

    looks: psycopg.Connection
    first: psycopg.Connection
    second: psycopg.Connection
    user: psycopg.Connection
    thread: ThreadPoolExecutor

    def empty(self) -> None:
        for table in ("procrastinate_workers", "procrastinate_jobs", "workrow.history", "protocol_effects"):
            self.looks.execute(f"DELETE FROM {table}")

    def is_second_blocked(self) -> bool:
        query = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
        return self.looks.execute(query, [self.second.info.backend_pid]).fetchone() == (True,)


def tell(step: str) -> None:
    """For the report of a failing run."""
    if currently_in_test_context():
        note(step)


def pick(among: list[T], n: int) -> T | None:
    """The n-th from the end, or nothing if there is nothing."""
    return among[-1 - n % len(among)] if among else None


SEED = st.integers(0, 2**32)


class Protocol(RuleBasedStateMachine):
    """What the parties do, in any order; after each step, the database is what the model says."""

    def __init__(self, world: World, load: Callable[[str], str], *often: Maker) -> None:
        super().__init__()
        self.often = often
        self.world = world
        self.model = Model(load)
        self.sound = True
        self.path: list[int] = []
        self.focus: int | None = None
        world.empty()

    # what can be done; n and m choose whose turn it is and with what

    def enqueue(self, n: int, m: int) -> Op | None:
        if sum(job.status in ("todo", "doing") for job in self.model.jobs.values()) >= JOBS:
            return None
        if self.focus:
            job = self.model.jobs[self.focus]
            return self.model.enqueue(job.lock, job.queueing_lock, later=False)
        return self.model.enqueue((None, None, "a", "b")[n % 4], (None, "one", "one")[m % 3], later=n == 7)

    def register(self, n: int, m: int) -> Op | None:
        return self.model.register(stock=n == 0) if len(self.model.leases) < WORKERS else None

    def beat(self, n: int, m: int) -> Op | None:
        worker = pick(self.model.workers, n)
        return self.model.beat(worker) if worker else None

    def fall_silent(self, n: int, m: int) -> Op | None:
        worker = pick([*self.model.leases], n)
        return self.model.fall_silent(worker) if worker else None

    def unregister(self, n: int, m: int) -> Op | None:
        worker = pick([*self.model.leases], n)
        return self.model.unregister(worker) if worker else None

    def claim(self, n: int, m: int) -> Op | None:
        worker = pick(self.model.workers, n)
        return self.model.claim(CLAIMS[m % len(CLAIMS)], worker, 1 + n % 3) if worker else None

    def rescue(self, n: int, m: int) -> Op | None:
        return self.model.rescue(1 if n == 7 else 1000)

    def stage(self, n: int, m: int) -> Op | None:
        return self.model.stage()

    def cancel(self, n: int, m: int) -> Op | None:
        job = self.focus or pick([*self.model.jobs][-JOBS:], n)
        return self.model.cancel(job) if job else None

    def retry_from_outside(self, n: int, m: int) -> Op | None:
        job = self.focus or pick([id_ for id_, job in self.model.jobs.items() if job.status in ("doing", "failed")], n)
        return self.model.retry_from_outside(job) if job else None

    def release_from_quarantine(self, n: int, m: int) -> Op | None:
        job = pick([id_ for id_, job in self.model.jobs.items() if job.quarantined], n)
        return self.model.release_from_quarantine(job) if job else None

    def finish(self, n: int, m: int) -> Op | None:
        batch = self.batch(n, m)
        return self.model.finish(batch, ENDS[n % len(ENDS)]) if batch else None

    def delete(self, n: int, m: int) -> Op | None:
        batch = self.batch(n, m)
        return self.model.finish(batch, "deleted") if batch else None

    def finish_with_effect(self, n: int, m: int) -> Op | None:
        batch = self.batch(n, m)
        return self.model.finish_with_effect(batch[0]) if batch else None

    def retry(self, n: int, m: int) -> Op | None:
        batch = self.batch(n, m)
        return self.model.retry(batch, 3600.0 if n == 7 else 0.0) if batch else None

    def snooze(self, n: int, m: int) -> Op | None:
        batch = self.batch(n, m)
        return self.model.snooze(batch) if batch else None

    def give_back(self, n: int, m: int) -> Op | None:
        batch = self.batch(n, m)
        return self.model.give_back(batch) if batch else None

    def crash(self, n: int, m: int) -> Op | None:
        batch = self.batch(n, m)
        return self.model.crash(batch[0]) if batch else None

    def supersede(self, n: int, m: int) -> Op | None:
        batch = self.batch(n, m)
        return self.model.supersede(batch, failed=n % 2 == 0) if batch else None

    def mark(self, n: int, m: int) -> Op | None:
        batch = self.batch(n, m)
        return self.model.mark(batch[0]) if batch else None

    def progress(self, n: int, m: int) -> Op | None:
        batch = self.batch(n, m)
        return self.model.progress(batch) if batch else None

    def batch(self, n: int, m: int) -> list[Claim]:
        """Claims of one worker, perhaps two of the same job: first one that holds its job, or one that lost it, mostly
        to another claim."""
        model = self.model
        of_focus = [claim for claim in model.claims if self.focus in (None, claim.job)]
        lost = [claim for claim in of_focus if not model.holds(claim)]
        contested = [claim for claim in lost if model.jobs[claim.job].status == "doing"]
        held = [claim for claim in of_focus if model.holds(claim)]
        first = pick([held, contested or held, contested or lost, lost][m % 4], n)
        if first is None:
            return []
        others = [claim for claim in reversed(model.claims) if claim.worker == first.worker and claim != first]
        return list(dict.fromkeys([first, *others[: m % 3]]))

    def stock_fetch(self, n: int, m: int) -> Op | None:
        worker = pick(self.model.stock, n)
        return self.model.claim_by_stock_code(worker) if worker else None

    def a_day_passes(self, n: int, m: int) -> Op | None:
        return self.model.a_day_passes() if n < 2 else None

    def draw(self, random: Random, makers: tuple[Maker, ...]) -> Op:
        """Something that can be done now."""
        while True:
            op = random.choice(makers)(self, random.randrange(12), random.randrange(12))
            if op is not None:
                return op

    # the steps

    @initialize(seed=SEED)
    def begin(self, seed: int) -> None:
        self.path.append(seed)
        for _ in range(2):
            self.act(self.model.register())
        for queueing_lock in (None, "one"):
            self.act(self.model.enqueue(None, queueing_lock, later=False))

    @rule(seed=SEED)
    def step(self, seed: int) -> None:
        """One rule, for of many Hypothesis leaves some out of each run. And chances of our own: it repeats its choices,
        so that each step's depend on all before it."""
        self.path.append(seed)
        random = Random(repr(self.path))
        way = random.randrange(9)
        if way < 4:
            self.act(self.draw(random, TOGETHER + ALONE + self.often))
        elif way < 7:
            # mostly both want the same job
            running = self.model.running()
            self.focus = random.choice(running).id if running and random.random() < 0.8 else None
            one, two = self.draw(random, TOGETHER), self.draw(random, TOGETHER)
            self.focus = None
            self.interleave(one, two, commit=random.random() < 0.8)
        elif way == 7:
            self.beside_a_slow_user(random, commit=random.random() < 0.5)
        else:
            claims = self.batch(random.randrange(12), random.randrange(12))
            self.end_as_the_worker_does(claims, again=random.random() < 0.5)

    def end_as_the_worker_does(self, claims: list[Claim], *, again: bool) -> None:
        """A retry or a hand-back; what is refused is superseded or, at last, finished as failed."""
        for claim in claims:
            self.act(self.model.retry([claim], 0.0) if again else self.model.give_back([claim]))
            self.act(self.model.supersede([claim], failed=again))
            self.act(self.model.finish([claim], "failed"))
            assert not self.model.holds(claim), "a worker that ends its jobs holds none"

    def act(self, op: Op) -> None:
        self.sound = False
        self.model.fresh.clear()
        tell(op.name)
        op.settle(op.run(self.world.first), True)
        self.model.check(self.world.looks)
        self.sound = True

    def interleave(self, one: Op, two: Op, *, commit: bool) -> None:
        self.sound = False
        self.model.fresh.clear()
        tell(f"{one.name} | {two.name} | {'commit' if commit else 'rollback'}")
        world = self.world
        future: Future[Any]
        with world.first.transaction(force_rollback=not commit):
            result = one.run(world.first)
            future = world.thread.submit(two.run, world.second)
            while not wait([future], 0.002).done and not world.is_second_blocked():
                pass
        if commit:
            one.settle(result, True)
        two.settle(future.result(10), False)
        self.model.check(world.looks)
        self.sound = True

    def beside_a_slow_user(self, random: Random, *, commit: bool) -> None:
        """A user's transaction locks a job's row, or has enqueued one, and stays open while others act."""
        user = self.world.user
        enqueue = self.enqueue(random.randrange(12), random.randrange(12)) if random.random() < 0.5 else None
        job, unseen = random.choice([*self.model.jobs]), dict[int, Job]()
        with user.transaction(force_rollback=not commit):
            if enqueue is not None:
                tell(f"a user, slowly: {enqueue.name}")
                before = {*self.model.jobs}
                enqueue.settle(enqueue.run(user), True)
                # nobody sees it before the commit
                unseen = {id_: self.model.jobs.pop(id_) for id_ in {*self.model.jobs} - before}
            else:
                tell(f"a user, slowly: locks {job}")
                user.execute("SELECT FROM procrastinate_jobs WHERE id = %s FOR UPDATE", [job])
                self.model.locked = job
            for _ in range(random.randrange(1, 4)):
                self.act_beside_a_user(self.draw(random, TOGETHER))
        self.sound = False
        tell(f"the user: {'commit' if commit else 'rollback'}")
        self.model.locked = None
        if commit:
            self.model.jobs |= unseen
        self.model.check(self.world.looks)
        self.sound = True

    def act_beside_a_user(self, op: Op) -> None:
        """It is done, or left, at once: what needs what the user holds may only be refused, and changes nothing."""
        self.sound = False
        self.model.fresh.clear()
        tell(op.name)
        first = self.world.first
        first.execute(f"SET lock_timeout = {PATIENCE_MS}".encode())
        began = time.monotonic()
        try:
            result = op.run(first)
        except psycopg.errors.LockNotAvailable:
            assert not op.name.startswith(FOR_ALL), f"{op.name}: it waits for a user, and everybody for it"
        else:
            op.settle(result, False)
        assert time.monotonic() - began < BOUND_SECONDS, op.name
        first.execute("SET lock_timeout = '5s'")
        self.model.check(self.world.looks)
        self.sound = True

    def teardown(self) -> None:
        """Nothing is lost: after everybody was rescued, everything can be run to its end."""
        if not self.sound:
            return
        model = self.model
        for worker in [*model.leases]:
            self.act(model.fall_silent(worker))
        self.act(model.a_day_passes())
        self.act(model.rescue())
        assert not model.running()
        self.act(model.register())
        worker = model.workers[-1]
        for _ in [*model.jobs]:
            self.act(model.stage())
            self.act(model.claim("claim_queue_jobs", worker, 1000))
            self.act(model.claim("claim_locked_jobs", worker, 1000))
            for claim in [claim for claim in model.claims if model.holds(claim)]:
                self.act(model.finish_with_effect(claim))
            left = [job for job in model.jobs.values() if job.status in ("todo", "doing")]
            if not left:
                return
        assert not left, f"these never end: {left}"


TOGETHER: tuple[Maker, ...] = (
    *(Protocol.enqueue, Protocol.enqueue, Protocol.register, Protocol.beat, Protocol.fall_silent, Protocol.unregister),
    *(Protocol.claim, Protocol.claim, Protocol.claim, Protocol.rescue, Protocol.rescue, Protocol.stage),
    *(Protocol.cancel, Protocol.retry_from_outside, Protocol.release_from_quarantine, Protocol.finish),
    *(Protocol.delete, Protocol.finish_with_effect, Protocol.retry, Protocol.snooze, Protocol.give_back),
    *(Protocol.crash, Protocol.mark, Protocol.progress),
)
ALONE: tuple[Maker, ...] = (
    Protocol.enqueue,
    Protocol.claim,
    Protocol.stage,
    Protocol.stock_fetch,
    Protocol.a_day_passes,
)


def run(world: World, load: Callable[[str], str], examples: int, *often: Maker) -> None:
    """Run the machine. ``often``: what is to be done more often than the rest."""
    run_state_machine_as_test(
        lambda: Protocol(world, load, *often),  # type: ignore[arg-type]
        settings=settings(
            max_examples=examples,
            stateful_step_count=60,
            phases=(Phase.generate,),
            derandomize=True,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
