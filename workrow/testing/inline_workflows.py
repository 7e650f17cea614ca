"""Workflows in inline mode: their tasks run one after the other, and the call returns when the last has ended."""

import json
from datetime import UTC
from typing import Any, Protocol

from workrow.arguments.jsonb import dump_result
from workrow.database import clock
from workrow.enqueue.call import Call
from workrow.job import Question
from workrow.worker.outcome import Outcome, describe
from workrow.workflows.handle import Workflow
from workrow.workflows.plan import Node
from workrow.workflows.start import Prepared
from workrow.workflows.values import Flow, Signature

POSITIVE = ("success", "end")
NEGATIVE = ("failure", "end")


class Inline(Protocol):
    """What runs tasks; see `workrow.testing.inline`."""

    async def attempt(self, call: Call[..., Any], on: Any, arguments: dict[str, Any]) -> tuple[int, Any]: ...
    def next_id(self) -> int: ...


class InlineWorkflow:
    """One that runs.

    Args:
        inline: runs its tasks.
        flow: the workflow.
        on: what was given to ``enqueue``.
        part: it takes the place of a task, or is appended to one.
        batch: it is one, whose jobs run elsewhere.

    Raises:
        WorkflowError, ArgumentError, OptionError: it cannot be.
    """

    def __init__(
        self, inline: Inline, flow: Flow[Any, Any], on: Any, *, part: bool = False, batch: bool = False
    ) -> None:
        self._inline = inline
        self._flow = flow
        self._on = on
        self._prepared = Prepared(flow, part=part, batch=batch)
        self._nodes = self._prepared.plan.nodes
        self._values: dict[int, Any] = {}
        self._succeeded: list[int] = []
        self._failures: dict[int, Any] = {}
        self._error: Exception | None = None
        self.id = inline.next_id()

    async def run(self) -> Any:
        """Run it; what it comes to, as JSON.

        Raises:
            The first exception of one of its tasks, when it has ended: callbacks and compensations have run.
        """
        with self._prepared.hooked(self._on):
            policy = await self._main()
            if self._error and policy == "compensate":
                for number in reversed(self._succeeded):
                    for undo in [each for each in self._nodes if each.fires == "undo" and each.parents == [number]]:
                        await self._call(undo, self._values[number])
            await self._end(failed=self._error is not None)
        if self._error is not None:
            raise self._error
        return self._values[self._prepared.plan.root]

    async def _main(self) -> str:
        """Run all but callbacks, to the end or a failure; what that does to the rest."""
        plan = self._prepared.plan
        whole = self._flow.failing or ("compensate" if plan.compensates else "cancel")
        for node in self._nodes:
            if node.fires is not None:
                continue
            failed = None
            try:
                self._values[node.number] = await self._value(node)
            except Exception as error:
                failed, self._values[node.number] = error, None
                self._error = self._error or error
                self._failures[node.number] = failure_of(_signature(node).call, error)
            else:
                self._succeeded.append(node.number)
            for callback in (self._nodes[each] for each in node.callbacks):
                if callback.fires in (NEGATIVE if failed else POSITIVE):
                    given = (
                        self._failures.get(node.number) if callback.fires == "failure" else self._values[node.number]
                    )
                    await self._call(callback, given)
            if failed and (node.failing or whole) != "continue":
                return node.failing or whole
        return "continue" if self._error else whole

    async def _value(self, node: Node) -> Any:
        values = [self._values.get(each) for each in node.parents or ()]
        if node.kind == "object":
            return dict(zip(node.names or (), values, strict=True))
        if node.kind != "task":
            return values if node.kind == "gather" else None
        taken = {name: self._values[number] for name, number in (node.takes or {}).items()}
        return await self._task(node, {**node.arguments, **taken})

    async def _task(self, node: Node, arguments: dict[str, Any]) -> Any:
        _, result = await self._inline.attempt(_signature(node).call, self._on, arguments)
        if isinstance(result, Flow):
            return await InlineWorkflow(self._inline, result, self._on, part=True).run()
        if isinstance(result, Outcome):
            return None if result.result is None else json.loads(result.result)
        return json.loads(dump_result(result) or "null") if node.kept else None

    async def _call(self, callback: Node, given: Any) -> None:
        """Run a callback or a compensation; that it fails stops nothing."""
        try:
            await self._task(callback, {**callback.arguments, **dict.fromkeys(callback.takes or (), given)})
        except Exception as error:
            self._error = self._error or error

    async def end_batch(self, size: int, failures: list[tuple[Call[..., Any], Exception]]) -> None:
        """Run the callbacks of a batch; those that fail are raised.

        Args:
            size: how many jobs it has.
            failures: those that have failed, the first one first.
        """
        state = "failed" if failures else "succeeded"
        if failures:
            self._failures[0] = failure_of(*failures[0])
        end = self._values[self._prepared.plan.root] = {"workflow_id": self.id, "state": state}
        self._batch.end(state, size, len(failures), end)
        with self._prepared.hooked(self._on):
            await self._end(failed=bool(failures))
        if self._error is not None:
            raise self._error

    async def _end(self, *, failed: bool) -> None:
        for node in (self._nodes[each] for each in self._prepared.plan.calls):
            if node.fires in (NEGATIVE if failed else POSITIVE):
                given = {
                    "success": None if failed else self._values.get(self._prepared.plan.root),
                    "failure": next(iter(self._failures.values()), None),
                    "end": {"workflow_id": self.id, "state": "failed" if failed else "succeeded"},
                }
                await self._call(node, given[node.fires or ""])

    def handle(self, result: Any) -> Workflow[Any]:
        """The handle of what has succeeded."""
        made = self._prepared.started([(self.id,)])
        ended = _Ended()
        ended.end("succeeded", self._prepared.plan.size, 0, result)
        return Workflow(self.id, ended, made._load)

    def handle_of_batch(self) -> Workflow[Any]:
        """The handle of what is still to end."""
        self._batch = _Ended()
        return Workflow(self.id, self._batch)


def failure_of(call: Call[..., Any], error: Exception) -> dict[str, Any]:
    """A `workrow.Failure`, as JSON."""
    told = json.loads(describe(error, 1, discarded=False))
    return {
        "job_id": 0, "task": call._task.name, "queue": call._options.queue, "args": {}, "status": "failed",
        "reason": "failed", "error_type": told["type"], "error_message": told["message"],
        "traceback": told["traceback"], "attempts": 1, "crashes": 0,
        "failed_at": clock.now().astimezone(UTC).isoformat(),
    }  # fmt: skip


class _Ended:
    """What the handle of an inline workflow asks: what it came to, once it has ended."""

    def __init__(self) -> None:
        self._row = {
            "state": "running", "size": 0, "done": 0, "failed": 0, "created_at": clock.now(), "ended_at": None,
            "result": None, "verdict": None,
        }  # fmt: skip

    def end(self, state: str, size: int, failed: int, result: Any) -> None:
        """It has ended so."""
        done = size - failed
        self._row |= {
            "state": state, "size": size, "done": done, "failed": failed, "ended_at": clock.now(), "result": result
        }  # fmt: skip

    @property
    def producer(self) -> "_Ended":
        return self

    @property
    def results(self) -> Any:
        return self

    async def ask(self, question: Question[Any]) -> Any:
        return question.read(self._row)

    def ask_sync(self, question: Question[Any]) -> Any:
        return question.read(self._row)


def _signature(node: Node) -> Signature[Any, Any]:
    assert node.signature is not None
    return node.signature
