"""A model of the protocol: each job's state, who holds it and by which claim; and what may come back from a statement.

`protocol_flows.Flows` adds workflows, and `protocol_ops.Model` what workers and outsiders do.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import psycopg

from workrow import sql

if TYPE_CHECKING:
    from tests.integration.protocol_flows import Flow

MAX_CRASHES = 2

Rows = list[tuple[Any, ...]]


class Claim(NamedTuple):
    """What a worker keeps of a claim: the fence asks for all three."""

    job: int
    worker: int
    token: int


@dataclass
class Node:
    """A part of a workflow. ``job``: what it has become, once it waits for nobody."""

    flow: int
    number: int
    lock: str | None
    queueing_lock: str | None
    state: str = "waiting"
    job: int | None = None

    def __str__(self) -> str:
        return f"node {self.number} of workflow {self.flow}"


@dataclass
class Job:
    """One job. ``when``: it can run now, as soon as it is staged, or later."""

    id: int
    lock: str | None
    queueing_lock: str | None
    when: Literal["ready", "due", "later"]
    status: str = "todo"
    worker: int | None = None
    claims: int = 0
    attempts: int = 0
    crashes: int = 0
    marked: int | None = None
    abort: bool = False
    quarantined: bool = False
    forsaken: bool = False
    """It runs without an owner for so long that it may be rescued."""
    effects: int = 0
    node: Node | None = None

    @property
    def row(self) -> tuple[Any, ...]:
        """What the database has to say of it; an owner means something only while it runs."""
        running = self.status == "doing"
        return (
            self.id,
            "live" if self.status in ("todo", "doing") else "history",
            self.status,
            self.worker if running else None,
            self.claims,
            self.attempts,
            self.crashes,
            self.quarantined,
            self.effects,
            self.node and self.node.flow,
            self.node and self.node.number,
        )


STATE = """
    SELECT
        jobs.id, jobs.place, CAST(jobs.status AS text), CASE WHEN jobs.status = 'doing' THEN jobs.worker_id END,
        jobs.claims, jobs.attempts, jobs.crashes, jobs.quarantined,
        (SELECT count(*) FROM protocol_effects AS effect WHERE effect.job_id = jobs.id),
        jobs.workflow_id, jobs.workflow_node
    FROM (
        SELECT
            id, 'live' AS place, status, worker_id, claims, attempts, crashes, false AS quarantined,
            workflow_id, workflow_node
        FROM procrastinate_jobs
        UNION ALL
        SELECT
            id, 'history', status, worker_id, claims, attempts, crashes, quarantine IS NOT NULL,
            workflow_id, workflow_node
        FROM workrow.history
    ) AS jobs
    ORDER BY jobs.id, jobs.place
"""
"""Every row there is of every job: one with two of them, or with none, does not equal the model's."""


def never(alone: bool) -> bool:
    """No excuse."""
    return False


@dataclass
class Op:
    """Something that one party does, in one transaction.

    Args:
        name: what it is, for the log.
        statements: texts with their parameters. The rows of the last one count.
        apply: takes the rows, checks them and changes the model. The second argument says whether the op ran alone:
            beside another transaction, SKIP LOCKED leaves out what that one holds.
        excuse: whether the op may fail by a taken queueing lock, or because there is no such job (any more).
        fenced: no row in the end rolls everything back, as a transactional task's finish does.
    """

    name: str
    statements: list[tuple[str, Mapping[str, Any]]]
    apply: Callable[[Rows, bool], None]
    excuse: Callable[[bool], bool] = never
    fenced: bool = False

    def run(self, connection: psycopg.Connection) -> Rows | psycopg.Error:
        """Run it on a connection in autocommit mode, or in the transaction that is open there."""
        try:
            return self._run(connection)
        except (psycopg.errors.UniqueViolation, psycopg.errors.RaiseException) as error:
            return error

    def _run(self, connection: psycopg.Connection) -> Rows:
        if len(self.statements) == 1:
            text, params = self.statements[0]
            return connection.execute(text, params).fetchall()
        rows: Rows = []
        with connection.transaction():
            for text, params in self.statements:
                cursor = connection.execute(text, params)
                rows = cursor.fetchall() if cursor.description else []
            if self.fenced and not rows:
                raise psycopg.Rollback
        return rows

    def settle(self, result: Rows | psycopg.Error, alone: bool) -> None:
        """Let the model judge what came back."""
        if isinstance(result, psycopg.Error):
            assert self.excuse(alone), f"{self.name}: {result}"
        else:
            self.apply(result, alone)


@dataclass
class State:
    """The jobs and the workers as they ought to be.

    Args:
        load: the text of a statement, by its name.
    """

    load: Callable[[str], str] = sql.load
    looks: psycopg.Connection | None = None
    """To read ids that the database gives."""
    jobs: dict[int, Job] = field(default_factory=dict)
    flows: dict[int, "Flow"] = field(default_factory=dict)
    leases: dict[int, bool] = field(default_factory=dict)
    """The workers that have a row. True: silent for longer than the lease."""
    leases_unsure: bool = False
    """A rescue ran beside another transaction: it may have left dead workers for the next one."""
    workers: list[int] = field(default_factory=list)
    """All there ever were, by the order in which they came."""
    stock: list[int] = field(default_factory=list)
    """Workers of procrastinate's own code, which know no tokens."""
    claims: list[Claim] = field(default_factory=list)
    """All there ever were, by the order in which they came."""
    locked: int | None = None
    """The job whose row a user's open transaction has locked: the end of a transactional task passes it over."""
    alone: bool = True
    """Whether what is settled ran beside nobody."""
    fresh: set[int] = field(default_factory=set)
    """The jobs claimed in this step: whoever acted beside the claim did not see it."""

    def holds(self, claim: Claim) -> bool:
        """Whether this claim is what the job runs by."""
        job = self.jobs[claim.job]
        return job.status == "doing" and (job.worker, job.claims) == (claim.worker, claim.token)

    def waiting(self, queueing_lock: str | None) -> bool:
        """Whether a job waits under this queueing lock."""
        return queueing_lock is not None and any(
            job.status == "todo" and job.queueing_lock == queueing_lock for job in self.jobs.values()
        )

    def running(self) -> list[Job]:
        """The jobs that somebody holds, or held when it died."""
        return [job for job in self.jobs.values() if job.status == "doing"]

    def lost(self, job: Job) -> bool:
        """Whether nobody alive holds this running job."""
        return job.forsaken if job.worker is None else self.leases.get(job.worker, True)

    def claimable(self) -> tuple[list[int], list[int]]:
        """What can be claimed now, in order: jobs without a lock, and the heads of free locks."""
        held = {job.lock for job in self.running()}
        ready = [job for job in self.jobs.values() if job.status == "todo" and job.when == "ready"]
        heads: dict[str, int] = {}
        for job in sorted(ready, key=lambda job: (job.lock or "", job.id)):
            if job.lock is not None and job.lock not in held:
                heads.setdefault(job.lock, job.id)
        return sorted(job.id for job in ready if job.lock is None), list(heads.values())

    def check(self, connection: psycopg.Connection) -> None:
        """The database says the same; and no lock has two holders."""
        expected = [job.row for _, job in sorted(self.jobs.items()) if job.status != "deleted"]
        found = connection.execute(STATE).fetchall()
        assert found == expected, f"the database says {found}, the model {expected}"
        locks = [job.lock for job in self.running() if job.lock is not None]
        assert len(locks) == len(set(locks)), f"a lock has two holders: {locks}"
        leases = {id_ for (id_,) in connection.execute("SELECT id FROM procrastinate_workers").fetchall()}
        if self.leases_unsure:
            alive = {id_ for id_, silent in self.leases.items() if not silent}
            assert alive <= leases <= set(self.leases)
            self.leases = {id_: silent for id_, silent in self.leases.items() if id_ in leases}
            self.leases_unsure = False
        assert leases == set(self.leases)

    def _accepted(
        self,
        claims: list[Claim],
        rows: Rows,
        alone: bool,
        may: Callable[[Job], bool] = lambda job: True,
        skips: bool = False,
    ) -> Iterator[Job]:
        """The jobs for which a statement said yes: those that are held by these claims, and no others.

        ``may``: what else is asked of the job. Beside another transaction its queueing lock may have looked taken.
        ``skips``: it passes a row that another transaction has locked, and is tried again.
        """
        accepted = [row[0] for row in rows]
        for id_ in accepted:
            held = any(claim.job == id_ and self.holds(claim) for claim in claims)
            assert held, f"job {id_}: accepted from a claim that no longer holds it"
        for id_ in {claim.job for claim in claims if self.holds(claim)} - set(accepted):
            job = self.jobs[id_]
            excused = not alone and (skips or job.queueing_lock or id_ == self.locked)
            assert not may(job) or excused, f"job {id_}: its holder was refused"
        assert len(accepted) == len(set(accepted))
        # a loop, not a comprehension: what is decided about one job may change what another one may
        for id_ in accepted:
            assert may(self.jobs[id_]), f"job {id_}: accepted, but it may not"
            yield self.jobs[id_]

    @staticmethod
    def _exactly(expected: Iterable[int], found: Iterable[int], possible: Iterable[int], alone: bool) -> None:
        """Alone, a statement takes what is first in order; beside another one, anything that it may take."""
        found = list(found)
        if alone:
            assert sorted(found) == sorted(expected)
        assert set(found) <= set(possible), f"{found}, of which only {possible} may be taken"
        assert len(found) == len(set(found))

    def _claimed(self, job_id: int, worker: int, token: int, counted: bool = True) -> None:
        job = self.jobs[job_id]
        assert job.status == "todo", f"job {job_id} has two holders"
        assert token == job.claims + counted, "the token grows with every claim"
        job.status, job.worker, job.claims, job.forsaken = "doing", worker, token, False
        self.claims.append(Claim(job_id, worker, token))
        self.fresh.add(job_id)

    def _end(self, job: Job, status: str, *, counted: bool = True) -> None:
        assert job.status == "doing", f"job {job.id} ends twice"
        job.status = status
        job.attempts += counted and status != "cancelled"
        self._tell(job)

    def _tell(self, job: Job) -> None:
        """Its workflow hears of its end: `protocol_flows.Flows`."""

    def _crash(self, job: Job, counted: bool) -> str:
        """Its worker or its process died; returns what becomes of the job."""
        if not job.abort and job.crashes + counted < MAX_CRASHES and self.waiting(job.queueing_lock):
            self._end(job, "cancelled")
            return "superseded"
        job.crashes += counted
        if job.abort:
            self._end(job, "aborted")
            return "aborted"
        if job.crashes >= MAX_CRASHES:
            self._end(job, "failed", counted=False)
            job.quarantined = True
            return "quarantined"
        job.status = "todo"
        return "queued"

    @staticmethod
    def _comes_back(job: Job, *, counted: bool = True) -> None:
        """From history to the queue: the token stays, the crashes are forgiven. Of its workflow, which has gone
        on, it is no part any more."""
        job.status, job.when, job.attempts, job.crashes = "todo", "due", job.attempts + counted, 0
        job.quarantined, job.abort, job.marked, job.node = False, False, None, None
