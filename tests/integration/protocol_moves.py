"""What the parties of the protocol may do next, by two numbers each: whose turn it is, and with what."""

from collections.abc import Callable
from typing import Any, TypeVar

from tests.integration.protocol import Claim, Op
from tests.integration.protocol_flows import OVER
from tests.integration.protocol_ops import Model

T = TypeVar("T")
Maker = Callable[[Any, int, int], Op | None]

JOBS, WORKERS = 5, 3
"""So few that they meet."""
CLAIMS = ("claim_jobs", "claim_notified_jobs", "claim_queue_jobs", "claim_mixed_jobs", "claim_locked_jobs")
ENDS = ("succeeded", "failed", "aborted", "quarantined")


def pick(among: list[T], n: int) -> T | None:
    """The n-th from the end, or nothing if there is nothing."""
    return among[-1 - n % len(among)] if among else None


class Moves:
    """Each gives what can be done now, or nothing; ``focus``: the job that it is to be done with."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.focus: int | None = None

    def is_full(self) -> bool:
        return sum(job.status in ("todo", "doing") for job in self.model.jobs.values()) >= JOBS

    def enqueue(self, n: int, m: int) -> Op | None:
        if self.is_full():
            return None
        if self.focus:
            job = self.model.jobs[self.focus]
            return self.model.enqueue(job.lock, job.queueing_lock, later=False)
        return self.model.enqueue((None, None, "a", "b")[n % 4], (None, "one", "one")[m % 3], later=n == 7)

    def start(self, n: int, m: int) -> Op | None:
        if self.is_full():
            return None
        return self.model.start(1 + n % 2, (None, None, "a")[m % 3], (None, None, "one")[n % 3], goes_on=m % 2 == 0)

    def sweep(self, n: int, m: int) -> Op | None:
        return self.model.sweep() if self.model.flows else None

    def delete_by_hand(self, n: int, m: int) -> Op | None:
        nodes = [id_ for id_, job in self.model.jobs.items() if job.node and job.status in ("todo", "doing")]
        job = pick(nodes, n) if m == 0 else None
        return self.model.delete_by_hand(job) if job else None

    def tell_again(self, n: int, m: int) -> Op | None:
        nodes = [node for flow in self.model.flows.values() for node in flow.nodes]
        node = pick([node for node in nodes if node.state in OVER and node.job], n)
        return self.model.tell_again(node) if node else None

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
        job = pick([id_ for id_, job in self.model.jobs.items() if job.quarantined and not job.node], n)
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


PLAIN: tuple[Maker, ...] = (
    *(Moves.enqueue, Moves.enqueue, Moves.register, Moves.beat, Moves.fall_silent, Moves.unregister),
    *(Moves.claim, Moves.claim, Moves.claim, Moves.rescue, Moves.rescue, Moves.stage),
    *(Moves.cancel, Moves.retry_from_outside, Moves.release_from_quarantine, Moves.finish),
    *(Moves.delete, Moves.finish_with_effect, Moves.retry, Moves.snooze, Moves.give_back),
    *(Moves.crash, Moves.mark, Moves.progress),
)
FLOWS: tuple[Maker, ...] = (Moves.start, Moves.start, Moves.sweep, Moves.tell_again, Moves.delete_by_hand)
ALONE: tuple[Maker, ...] = (
    Moves.enqueue,
    Moves.claim,
    Moves.stage,
    Moves.stock_fetch,
    Moves.a_day_passes,
)
