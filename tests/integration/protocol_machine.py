"""The parties of the protocol, as a state machine for Hypothesis: any of them acts, alone or beside another one."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from random import Random
from typing import Any

import psycopg
from hypothesis import HealthCheck, Phase, currently_in_test_context, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.integration.protocol import Claim, Op
from tests.integration.protocol_flows import OVER
from tests.integration.protocol_moves import ALONE, FLOWS, PLAIN, Maker, Moves, pick
from tests.integration.protocol_ops import Model
from workrow.database.held import PATIENCE_MS

BOUND_SECONDS = 1.0
"""For so long any statement may take while a user's transaction is open; it waits for `PATIENCE_MS` at most."""
FOR_ALL = ("claim_", "rescue", "stage", "register", "beat", "progress", "sweep")
"""How statements are called that serve everybody: what is held they pass over."""


@dataclass
class World:
    """Connections in autocommit mode: one to look, one for each of two parties, and one for a user who is slow."""

    looks: psycopg.Connection
    first: psycopg.Connection
    second: psycopg.Connection
    user: psycopg.Connection
    thread: ThreadPoolExecutor

    def empty(self) -> None:
        tables = ("procrastinate_workers", "procrastinate_jobs", "workrow.history", "protocol_effects")
        for table in (*tables, "workrow.flow_nodes", "workrow.flows"):
            self.looks.execute(f"DELETE FROM {table}")

    def is_second_blocked(self) -> bool:
        query = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
        return self.looks.execute(query, [self.second.info.backend_pid]).fetchone() == (True,)


def tell(step: str) -> None:
    """For the report of a failing run."""
    if currently_in_test_context():
        note(step)


SEED = st.integers(0, 2**32)


class Protocol(Moves, RuleBasedStateMachine):
    """What the parties do, in any order; after each step, the database is what the model says."""

    def __init__(self, world: World, load: Callable[[str], str], *often: Maker, flows: bool = True) -> None:
        RuleBasedStateMachine.__init__(self)
        Moves.__init__(self, Model(load, world.looks))
        self.often = often
        self.flows = flows
        self.together = PLAIN + FLOWS if flows else PLAIN
        self.world = world
        self.sound = True
        self.path: list[int] = []
        world.empty()

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
            self.act(self.draw(random, self.together + ALONE + self.often))
        elif way < 7:
            # mostly both want the same job, or two of the same workflow
            running = self.model.running()
            job = random.choice(running) if running and random.random() < 0.8 else None
            self.focus = job.id if job else None
            one = self.draw(random, self.together)
            if job and job.node and random.random() < 0.5:
                self.focus = random.choice([node.job for node in self.model.flows[job.node.flow].nodes if node.job])
            two = self.draw(random, self.together)
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
        self.settle(op, op.run(self.world.first), alone=True)
        self.model.check(self.world.looks)
        self.sound = True

    def settle(self, op: Op, result: Any, *, alone: bool) -> None:
        self.model.alone = alone
        op.settle(result, alone)

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
            self.settle(one, result, alone=True)
        self.settle(two, future.result(10), alone=False)
        self.model.check(world.looks)
        self.sound = True

    def beside_a_slow_user(self, random: Random, *, commit: bool) -> None:
        """A user's transaction locks a job's or a workflow's row, or has enqueued one, and stays open: others act."""
        user, model = self.world.user, self.model
        maker = random.choice((Moves.enqueue, Moves.start)) if self.flows else Moves.enqueue
        op = maker(self, random.randrange(12), random.randrange(12)) if random.random() < 0.5 else None
        live = [id_ for id_, job in model.jobs.items() if job.status in ("todo", "doing")]
        job, flow = random.choice(live or [*model.jobs]), pick([*model.flows], random.randrange(2))
        jobs, flows = {**model.jobs}, {**model.flows}
        unseen: tuple[Any, Any] = {}, {}
        with user.transaction(force_rollback=not commit):
            if op is not None:
                tell(f"a user, slowly: {op.name}")
                self.settle(op, op.run(user), alone=True)
                # nobody sees it before the commit
                unseen = model.jobs, model.flows
                model.jobs, model.flows = jobs, flows
            elif flow and random.random() < 0.5:
                tell(f"a user, slowly: locks workflow {flow}")
                user.execute("SELECT FROM workrow.flows WHERE id = %s FOR UPDATE", [flow])
            else:
                tell(f"a user, slowly: locks {job}")
                user.execute("SELECT FROM procrastinate_jobs WHERE id = %s FOR UPDATE", [job])
                model.locked = job
            for _ in range(random.randrange(1, 4)):
                self.act_beside_a_user(self.draw(random, self.together))
        self.sound = False
        tell(f"the user: {'commit' if commit else 'rollback'}")
        model.locked = None
        if commit:
            model.jobs = unseen[0] | model.jobs
            model.flows = unseen[1] | model.flows
        model.check(self.world.looks)
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
            self.settle(op, result, alone=False)
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
        self.act(model.sweep())
        self.act(model.register())
        worker = model.workers[-1]
        for _ in range(len(model.jobs) + len(model.flows)):
            self.act(model.stage())
            self.act(model.claim("claim_queue_jobs", worker, 1000))
            self.act(model.claim("claim_locked_jobs", worker, 1000))
            for claim in [claim for claim in model.claims if model.holds(claim)]:
                self.act(model.finish_with_effect(claim))
            left = [job for job in model.jobs.values() if job.status in ("todo", "doing")]
            if not left:
                break
        assert not left, f"these never end: {left}"
        assert all(flow.state in OVER for flow in model.flows.values()), f"these never end: {model.flows}"


def run(world: World, load: Callable[[str], str], examples: int, *often: Maker, flows: bool = True) -> None:
    """Run the machine. ``often``: what is to be done more often than the rest. ``flows``: with workflows; to find what
    is nothing of theirs takes longer beside them."""
    run_state_machine_as_test(
        lambda: Protocol(world, load, *often, flows=flows),  # type: ignore[arg-type]
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
