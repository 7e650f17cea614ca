"""Workflows in the model of the protocol: heads that start at once, and a tail that waits for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

import workrow
from tests.integration.protocol import Job, Node, Op, Rows, State
from workrow.workflows.start import Prepared

OVER = ("succeeded", "failed", "cancelled", "skipped")
ENDS_AS = {"succeeded": "succeeded", "failed": "failed", "aborted": "cancelled", "cancelled": "cancelled"}

app = workrow.App("postgresql:///nowhere")


@app.task(name="t", queue="q")
async def t() -> None: ...


@dataclass
class Flow:
    """A workflow; ``goes_on``: whatever becomes of a head. Else a head that fails ends it, without its tail."""

    id: int
    goes_on: bool
    heads: list[Node]
    tail: Node
    state: str = "running"
    failed: bool = False

    @property
    def nodes(self) -> list[Node]:
        return [*self.heads, self.tail]

    @property
    def rows(self) -> Rows:
        """What the database has to say of it."""
        return [(self.id, self.state, node.number, node.state, node.job) for node in self.nodes]


NODES = """
    SELECT
        flow.id,
        CASE WHEN (flow.ended_at IS NOT NULL) = (flow.state IN ('succeeded', 'failed')) THEN flow.state ELSE 'odd' END,
        node.number, node.state, CASE WHEN node.state <> 'skipped' THEN node.job_id END
    FROM workrow.flows AS flow
    INNER JOIN workrow.flow_nodes AS node ON node.flow_id = flow.id AND node.kind = 'task'
    ORDER BY flow.id, node.number
"""
STARTED = """
    SELECT flow_id, number, job_id FROM workrow.flow_nodes
    WHERE flow_id = currval(pg_get_serial_sequence('workrow.flows', 'id')) AND kind = 'task'
    ORDER BY number
"""


class Flows(State):
    """What the end of a job unblocks, in the transaction of that end.

    A release from quarantine is kept off nodes, for it may retry the whole workflow (`test_workflow_retry.py`). An
    outsider's retry of one that has failed runs its job alone: its workflow has gone on.
    """

    def start(self, heads: int, lock: str | None, queueing_lock: str | None, *, goes_on: bool) -> Op:
        """The library's own statement. ``lock`` and ``queueing_lock``: of its tail, and of a head that is alone."""
        call = t.options(lock=lock, queueing_lock=queueing_lock)
        first = workrow.group(t.si(), t.si()) if heads == 2 else call.si()
        flow = workrow.chain(first, call.si()).if_failed("continue" if goes_on else "cancel")

        def apply(rows: Rows, alone: bool) -> None:
            id_ = rows[0][0]
            locks = (None, None) if heads == 2 else (lock, queueing_lock)
            nodes = [Node(id_, number, *locks) for _, number, _ in rows]
            nodes[-1].lock, nodes[-1].queueing_lock = lock, queueing_lock
            new = self.flows[id_] = Flow(id_, goes_on, nodes[:-1], nodes[-1])
            jobs = {number: job for _, number, job in rows}
            for node in new.heads:
                self._fire(node, jobs)
            self._advance(new, jobs)

        statements = [(self.load("start_workflow"), Prepared(flow).params()), (STARTED, {})]
        return Op(f"start of a workflow with {heads} heads", statements, apply)

    def sweep(self) -> Op:
        """What no end has told."""

        def apply(rows: Rows, alone: bool) -> None:
            found = {(flow, number): state for flow, _, number, state, _ in self._nodes()}
            for _, flow in sorted(self.flows.items()):
                lost = [node for node in flow.nodes if node.job and node.state == "enqueued" and self._is_gone(node)]
                # beside another transaction it passes what that one holds
                lost = [node for node in lost if alone or found[flow.id, node.number] != "enqueued"]
                for node in lost:
                    self._ends(flow, node, "cancelled")
                if flow.state not in OVER:
                    self._advance(flow, cancelling=True)

        return Op("sweep of workflows", [(self.load("sweep_workflows"), {"after": 0, "max_rows": 1000})], apply)

    def delete_by_hand(self, job_id: int) -> Op:
        """Its workflow hears of that by a sweep only."""

        def apply(rows: Rows, alone: bool) -> None:
            job = self.jobs[job_id]
            assert len(rows) == (job.status in ("todo", "doing"))
            if rows:
                job.status = "deleted"

        text = "DELETE FROM procrastinate_jobs WHERE id = %(id)s RETURNING id"
        return Op(f"DELETE of {job_id} by hand", [(text, {"id": job_id})], apply)

    def tell_again(self, node: Node) -> Op:
        """Of a node that has ended: whoever tells it, and of whatever end, nothing comes of it."""
        text = "SELECT workrow.end_nodes_v1(%(flows)s, CAST(%(numbers)s AS integer[]), ARRAY['succeeded'], NULL, NULL)"
        params = {"flows": f"{{{node.flow}}}", "numbers": f"{{{node.number}}}"}
        return Op(f"the end of {node} told again", [(text, params)], lambda rows, alone: None)

    def check(self, connection: psycopg.Connection) -> None:
        """Each node has become a job when all that it waits for has ended, and not before; what can end has ended."""
        told = self._nodes()
        expected = [row for _, flow in sorted(self.flows.items()) for row in flow.rows]
        for row, wanted in zip(told, expected, strict=True):
            early = row[3] == "enqueued" and wanted[3] == "waiting"
            assert not early, f"node {row[2]} of workflow {row[0]} fires before what it waits for has ended"
            again = wanted[4] is not None and row[4] not in (None, wanted[4])
            assert not again, f"node {row[2]} of workflow {row[0]} fires twice"
            assert wanted[3] not in OVER or row[3] == wanted[3], f"node {row[2]} of workflow {row[0]} ends twice"
            ends = row[1] == wanted[1] or row[1] in OVER
            assert ends, f"workflow {row[0]} is {row[1]}, and nothing will end it: {wanted[1]}"
            assert row == wanted, f"the database says of a node {row}, the model {wanted}"
        super().check(connection)

    # what the end of a job does

    def _tell(self, job: Job) -> None:
        if job.node is None:
            return
        flow = self.flows[job.node.flow]
        self._ends(flow, job.node, ENDS_AS[job.status])
        self._advance(flow)

    @staticmethod
    def _ends(flow: Flow, node: Node, state: str) -> None:
        assert node.state == "enqueued", f"{node} ends twice"
        node.state = state
        flow.failed = flow.failed or state != "succeeded"
        if state != "succeeded" and not flow.goes_on and flow.state == "running":
            flow.state = "stopping"

    def _advance(self, flow: Flow, jobs: Mapping[int, int] | None = None, *, cancelling: bool = False) -> None:
        """``jobs``: of its nodes, where nobody else sees them yet. ``cancelling``: what is left of one that stops."""
        if flow.state == "stopping":
            if cancelling or any(node.state in ("failed", "cancelled") for node in flow.nodes):
                self._cancel_rest(flow)
            if all(node.state != "enqueued" for node in flow.nodes):
                flow.state = "failed"
            return
        if flow.tail.state == "waiting" and all(node.state in OVER for node in flow.heads):
            self._fire(flow.tail, jobs)
        if flow.tail.state in OVER:
            flow.state = "failed" if flow.failed else "succeeded"

    def _cancel_rest(self, flow: Flow) -> None:
        found = {(id_, number): state for id_, _, number, state, _ in self._nodes()}
        for node in flow.nodes:
            waits = node.state == "enqueued" and node.job is not None and self.jobs[node.job].status == "todo"
            # what another transaction holds is left for the sweep
            if waits and (self.alone or found[flow.id, node.number] == "cancelled"):
                node.state = self.jobs[node.job].status = "cancelled"

    def _fire(self, node: Node, jobs: Mapping[int, int] | None) -> None:
        if self.waiting(node.queueing_lock):
            node.state = "skipped"
            return
        if jobs is None:
            jobs = {number: job for flow, _, number, _, job in self._nodes() if flow == node.flow}
        node.job = jobs[node.number]
        assert node.job is not None, f"{node} is lost: what it waits for has ended"
        node.state = "enqueued"
        self.jobs[node.job] = Job(node.job, node.lock, node.queueing_lock, "ready", node=node)

    def _is_gone(self, node: Node) -> bool:
        return node.job is not None and self.jobs[node.job].status == "deleted"

    def _nodes(self) -> Rows:
        assert self.looks is not None
        return self.looks.execute(NODES).fetchall()
