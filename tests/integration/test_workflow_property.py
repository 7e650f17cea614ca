"""Random graphs, run in any order by workers that die, come back late and say things twice, end as a reference
interpreter of a few lines has it. And with a guard taken out the same test sees what follows fire twice."""

import os
import random
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

import workrow
from workrow import sql
from workrow.schema import versions

EXAMPLES = int(os.environ.get("EXAMPLES", "20"))
MOST_NODES = 60

app = workrow.App("postgresql:///nowhere")


@app.task(name="step")
async def step(node: int, taken: Any = None) -> Any: ...


@dataclass
class Case:
    """A random graph: whom each node follows, which of them fail, and what a failure does."""

    follows: dict[int, list[int]]
    bad: set[int]
    policy: Any

    @classmethod
    def of(cls, seed: int) -> "Case":
        rng = random.Random(seed)
        count = rng.randint(2, MOST_NODES)
        follows = {n: rng.sample(range(n), min(n, rng.choice([0, 1, 1, 2, 5]))) for n in range(count)}
        bad = {n for n in follows if rng.random() < rng.choice([0, 0, 0.05, 0.3])}
        return cls(follows, bad, rng.choice(["cancel", "continue"]))

    def flow(self) -> Any:
        """Who follows one is given its value, but for every third; who follows several comes after a group of them."""
        nodes: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for n, of in self.follows.items():
            nodes[str(n)] = step.si(n) if len(of) == 1 and n % 3 == 0 else step.s(n)
            if len(of) > 1:
                nodes[str(n)] = workrow.chain(workrow.group(), step.si(n))
            if of:
                after[str(n)] = {"taken": str(of[0])} if len(of) == 1 else [str(each) for each in of]
        return workrow.graph(nodes, after=after).if_failed(self.policy)


@dataclass
class Reference:
    """What has to come of a case: which nodes run, by what has ended before."""

    case: Case
    ended: dict[int, bool] = field(default_factory=dict)

    def may_run(self, node: int) -> bool:
        """All that it follows has ended, well or so that others go on."""
        goes_on = self.case.policy == "continue"
        return all(before in self.ended and (self.ended[before] or goes_on) for before in self.case.follows[node])

    def end(self, node: int) -> bool:
        """A node ends; whether well."""
        assert node not in self.ended, f"node {node} ended twice"
        assert self.may_run(node), f"node {node} ran before what it follows"
        self.ended[node] = node not in self.case.bad
        return self.ended[node]

    def verdict(self) -> tuple[str, set[int]]:
        """How the workflow ends, and who has to have ended."""
        failed = not all(self.ended.values())
        some = set(self.ended) if failed and self.case.policy == "cancel" else set(self.case.follows)
        return ("failed" if failed else "succeeded"), some


CLAIM = """
UPDATE procrastinate_jobs
SET status = 'doing', worker_id = %(worker)s, claims = claims + 1, started_at = clock_timestamp()
WHERE id IN (SELECT id FROM procrastinate_jobs WHERE status = 'todo' ORDER BY random() LIMIT %(most)s)
RETURNING id, claims, CAST(args ->> 'node' AS integer)
"""


def literal(values: Any) -> str:
    return "{" + ",".join(values) + "}"


def finish(conn: psycopg.Connection[Any], worker: int, ends: list[tuple[int, int, bool]]) -> list[int]:
    some = literal("0.1" for _ in ends)
    rows = conn.execute(
        sql.load("finish_jobs"),
        {
            "ids": literal(str(job) for job, _, _ in ends),
            "tokens": literal(str(token) for _, token, _ in ends),
            "worker_id": worker,
            "worker": "w",
            "statuses": literal("succeeded" if good else "failed" for _, _, good in ends),
            "results": literal(str(job) if good else "NULL" for job, _, good in ends),
            "errors": literal("NULL" for _ in ends),
            "quarantines": literal("NULL" for _ in ends),
            "progresses": literal("NULL" for _ in ends),
            "waited": some,
            "lasted": some,
        },
    )
    return [job for (job,) in rows.fetchall()]


def play(conn: psycopg.Connection[Any], seed: int) -> None:
    """Run one case to its end, with crashes, late ends and ends that are said twice."""
    rng, case = random.Random(seed), Case.of(seed)
    conn.execute("SET synchronous_commit = off")
    for table in ("procrastinate_jobs", "workrow.history", "workrow.flows", "workrow.flow_nodes"):
        conn.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]
    (worker,) = conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id").fetchone() or (0,)
    workflow = case.flow().enqueue(conn)
    reference = Reference(case)
    held: dict[int, tuple[int, int]] = {}
    stale: list[tuple[int, int, bool]] = []
    while True:
        claimed = conn.execute(CLAIM, {"worker": worker, "most": rng.randint(1, 8)}).fetchall()
        held |= {job: (token, node) for job, token, node in claimed}
        if not held:
            break
        batch = rng.sample(sorted(held), rng.randint(1, len(held)))
        lost = [job for job in batch if rng.random() < 0.15]
        for job in lost:  # its worker dies, somebody else claims it, and the first one's end comes late
            conn.execute("UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL WHERE id = %s", [job])
            stale.append((job, held.pop(job)[0], True))
        ends = [(job, held[job][0], reference.end(held[job][1])) for job in batch if job not in lost]
        if ends:
            assert sorted(finish(conn, worker, ends)) == sorted(job for job, _, _ in ends)
            stale += ends
        for job, _, _ in ends:
            del held[job]
        if stale:
            assert finish(conn, worker, rng.choices(stale, k=3)) == []
            conn.execute("SELECT workrow.sweep_workflows_v1(), workrow.sweep_finished_v1()")
        cancelled = conn.execute("SELECT id FROM workrow.history WHERE status = 'cancelled'").fetchall()
        held = {job: claim for job, claim in held.items() if (job,) not in cancelled}
        twice = conn.execute("SELECT args ->> 'node' FROM workrow.jobs GROUP BY 1 HAVING count(*) > 1").fetchall()
        assert twice == [], f"enqueued twice: {twice}"
    state, everyone = reference.verdict()
    assert conn.execute("SELECT state FROM workrow.workflows WHERE id = %s", [workflow.id]).fetchone() == (state,)
    assert set(reference.ended) == everyone
    taken = conn.execute(
        """SELECT CAST(job.args ->> 'node' AS integer), job.args -> 'taken', job.id
           FROM workrow.history AS job WHERE job.status IN ('succeeded', 'failed')"""
    ).fetchall()
    ids = {node: job for node, _, job in taken}
    for node, value, _ in taken:
        if (of := case.follows[node]) and len(of) == 1 and node % 3:
            assert value == (ids[of[0]] if reference.ended[of[0]] else None), f"node {node} was given {value}"


def test_random_graphs_end_as_the_reference_has_it(conn: psycopg.Connection[Any]) -> None:
    for seed in range(EXAMPLES):
        play(conn, seed)


def play_and_say_it_again(conn: psycopg.Connection[Any]) -> None:
    """Where the fence of finish_jobs is no help: the ends of nodes are told once more."""
    for seed in range(5):
        play(conn, seed)
        conn.execute(
            """SELECT workrow.end_nodes_v1(array_agg(flow_id), array_agg(number), array_agg(state), NULL, NULL)
               FROM workrow.flow_nodes WHERE kind = 'task' AND state = 'succeeded'"""
        )
        assert conn.execute("SELECT count(*) FROM workrow.flow_nodes WHERE pending < 0").fetchone() == (0,)


GUARDS = {
    "unblock_nodes_v1": "AND node.state = 'enqueued'",
    "advance_nodes_v1": "WHEN node.pending > given.times THEN node.state",
}


def test_with_its_guards_it_bears_to_be_told_twice(conn: psycopg.Connection[Any]) -> None:
    play_and_say_it_again(conn)


@pytest.mark.parametrize("name", GUARDS)
def test_without_a_guard_the_same_test_sees_it(conn: psycopg.Connection[Any], name: str) -> None:
    text = versions.objects()[f"functions/{name}"]
    assert text.count(GUARDS[name]) == 1
    conn.execute(text.replace(GUARDS[name], ""))
    with pytest.raises((AssertionError, psycopg.Error)):
        play_and_say_it_again(conn)
