"""Write a workflow down: one statement, in the caller's transaction or in one of its own."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from procrastinate.exceptions import AppNotOpen

from workrow.declare.hooks import Enqueue, entered
from workrow.declare.loud import Loud
from workrow.enqueue import transaction
from workrow.enqueue.call import Call
from workrow.enqueue.collecting import collecting
from workrow.enqueue.own import surrounding_of
from workrow.enqueue.transaction import FORGOTTEN
from workrow.errors import QueueFull, WorkflowError
from workrow.workflows import home
from workrow.workflows.handle import Workflow
from workrow.workflows.plan import Node, Plan
from workrow.workflows.rows import rows_of, spec_of
from workrow.workflows.values import Chain, Flow, Group, Signature

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
MAX_SIZE = 100_000


def start(flow: Flow[Any, Any], on: Any) -> Any:
    """See `workrow.workflows.values.Flow.enqueue`."""
    on = _surrounding(flow) if on is FORGOTTEN else on
    loops = on is None or transaction.is_async(on)
    if (alone := _alone(flow)) is not None:
        return _start_job_async(alone, on) if loops else Workflow(None, job=_job(alone, on))
    if (batch := collecting.get()) is not None and batch.in_block:
        raise WorkflowError(
            f"{_title(flow)}: a workflow is no member of a batch: enqueue it outside, or let a member return it"
        )
    prepared = Prepared(flow)
    if not loops:
        return prepared.write(on)
    writing: Any = prepared.write_async(on)
    writing.__qualname__ = f"{_title(flow)}.enqueue"  # what Python says where it is not awaited
    return writing


def _surrounding(flow: Flow[Any, Any]) -> Any:
    """The transaction around, where the app of its first task knows it."""
    first = next(tasks_in(flow), None)
    return FORGOTTEN if first is None else surrounding_of(first.call._task)


def _alone(flow: Flow[Any, Any]) -> Signature[Any, Any] | None:
    """The one task that it is, with nothing to do before or after."""
    if flow.calls:
        return None
    if isinstance(flow, Chain) and len(flow.steps) == 1:
        return _alone(flow.steps[0])
    return flow if isinstance(flow, Signature) and flow.undo is None else None


def _job(alone: Signature[Any, Any], on: Any) -> Any:
    return alone.call.enqueue(on, *alone.args, **alone.kwargs)


async def _start_job_async(alone: Signature[Any, Any], on: Any) -> Workflow[Any]:
    return Workflow(None, job=await _job(alone, on))


def check_appended(flow: Flow[Any, Any], to: Any) -> None:
    """Raise WorkflowError if the context of the running task is of an app that has not all of the workflow's tasks."""
    if (app := getattr(to, "app", None)) is not None:
        home.check_joined("append", app, (each.call._task for each in tasks_in(flow)))


def check_returned(flow: Flow[Any, Any], app: Any) -> None:
    """Raise WorkflowError if the app of the job in whose place it comes has not all of its tasks."""
    title = f"the {type(flow).__name__.lower()} that the task returned"
    home.check_joined(title, app, (each.call._task for each in tasks_in(flow)))


def append(flow: Flow[Any, Any], on: Any, job_id: int) -> Any:
    """See `workrow.workflows.values.Flow.append`."""
    prepared = Prepared(flow, part=True)
    return prepared.append_async(on, job_id) if on is None or transaction.is_async(on) else prepared.append(on, job_id)


def replacing(flow: Flow[Any, Any], app: Any) -> dict[str, Any]:
    """What ``replace_job.sql`` asks for of a workflow that takes the place of a job.

    Args:
        flow: the workflow.
        app: the job's.

    Raises:
        WorkflowError, ArgumentError, OptionError: it cannot be.
    """
    check_returned(flow, app)
    prepared = Prepared(flow, part=True, empty=True)
    with prepared.hooked(None):
        params = prepared.params()
    return {name: params[name] for name in ("flow", "args")}


class Prepared:
    """A workflow that is ready to be written.

    Args:
        flow: the workflow.
        part: it becomes a part of one that runs.
        batch: it is a group whose members come later.
        empty: it may be without a task, for it takes the place of a job.

    Raises:
        WorkflowError, ArgumentError, OptionError: it cannot be.
    """

    def __init__(self, flow: Flow[Any, Any], *, part: bool = False, batch: bool = False, empty: bool = False) -> None:
        tasks = list(tasks_in(flow))
        if not tasks and not batch and not empty:
            hint = ", as of map(task, []) or chunks(task, [], size)" if isinstance(flow, Group) else ""
            raise WorkflowError(
                f"{type(flow).__name__.lower()} of nothing{hint}: a workflow without a task has nothing to do: "
                "enqueue it only where it has some"
            )
        self._home = home.home_of(_title(flow), [each.call._task for each in tasks])
        most = getattr(self._home, "max_workflow_size", MAX_SIZE)
        if len(tasks) > most:
            raise WorkflowError(
                f"{_title(flow)} has {len(tasks):,} tasks, more than max_workflow_size={most:,}: let its tasks append "
                "what comes later, or raise workrow.App(max_workflow_size=…)"
            )
        self._flow = flow
        self._part = part
        self.plan = Plan(flow, part=part)
        if batch:
            root = self.plan.nodes[self.plan.root]
            root.kind, root.pending = "batch", -1
        self._specs: dict[int, dict[str, Any]] = {}

    def hooked(self, on: Any) -> ExitStack:
        """Inside of the hooks around an enqueue, which may change the arguments and options of its tasks."""
        batches: dict[int, list[Node]] = {}
        for node in self.plan.nodes:
            if node.signature is not None and node.signature.call._task.enqueue_hooks():
                batches.setdefault(id(node.signature.call), []).append(node)
        with Loud(ExitStack()) as stack:
            for nodes in batches.values():
                call: Call[..., Any] = _call(nodes[0])
                task = call._task
                enqueue = Enqueue(task.name, call._options, [node.arguments for node in nodes], on)
                stack.enter_context(entered(task.enqueue_hooks(), enqueue))
                task.check_rule(enqueue.options)
                changed: Call[..., Any] = Call(task, enqueue.options)
                self._specs[id(call)] = spec_of(changed)
                for node, arguments in zip(nodes, enqueue.arguments, strict=True):
                    node.arguments = arguments
            begun: ExitStack = stack.pop_all()
            return begun

    def hide(self, run: Any) -> Any:
        """Note what is not to be shown, if anything is."""
        hidden = {
            task.name: sorted(task.hidden)
            for task in {
                id(_call(node)._task): _call(node)._task for node in self.plan.nodes if node.signature
            }.values()
            if task.hidden
        }
        return run({"hidden": json.dumps(hidden)}) if hidden else None

    @property
    def manager(self) -> Any:
        """The job manager of the app that has its tasks."""
        return self._home.producer.job_manager

    def check_member(self, task: Any) -> None:
        """Raise WorkflowError for a task whose job would be written on the connection of another app."""
        app = self._home.producer
        if task is not None and not home.has(app, task):
            raise WorkflowError(
                f"{task.name} is a task of {home.shown(task.blueprint)}, and its batch was opened on None, in "
                f"the database of {home.shown(app)}: open it on a session; nothing was enqueued"
            )

    def write(self, on: Any) -> Workflow[Any]:
        """Write it."""
        with self.hooked(on):
            self.hide(lambda params: transaction.run(on, "hide_arguments", params))
            return self.started(transaction.run(on, "start_workflow", self.params()))

    async def write_async(self, on: Any) -> Workflow[Any]:
        """Write it; on None in a transaction of its own."""
        if on is None:
            try:
                async with self.manager.own_connection_async() as connection:
                    return await self.write_async(connection)
            except AppNotOpen:
                raise AppNotOpen(
                    "a workflow's enqueue(None) uses the app's own connections: open it first with "
                    "`async with app.open_async():`"
                ) from None
        with self.hooked(on):
            noting = self.hide(lambda params: transaction.run_async(on, "hide_arguments", params))
            if noting is not None:
                await noting
            return self.started(await transaction.run_async(on, "start_workflow", self.params()))

    def append(self, on: Any, job_id: int) -> None:
        """Write it as a part of the workflow of a job that runs."""
        with self.hooked(on):
            self.hide(lambda params: transaction.run(on, "hide_arguments", params))
            self._appended(transaction.run(on, "append_nodes", self._part_params(job_id)), job_id)

    async def append_async(self, on: Any, job_id: int) -> None:
        """The same; on None in a transaction of its own."""
        if on is None:
            async with self.manager.own_connection_async() as connection:
                await self.append_async(connection, job_id)
                return
        with self.hooked(on):
            noting = self.hide(lambda params: transaction.run_async(on, "hide_arguments", params))
            if noting is not None:
                await noting
            self._appended(await transaction.run_async(on, "append_nodes", self._part_params(job_id)), job_id)

    def _part_params(self, job_id: int) -> dict[str, Any]:
        return {"id": job_id, "args": self.params()["args"]}

    @staticmethod
    def _appended(rows: transaction.Rows, job_id: int) -> None:
        if rows[0][0] is None:
            raise WorkflowError(
                f"append: job {job_id} runs as no part of a workflow; nothing was enqueued; enqueue() begins one"
            )

    def started(self, rows: transaction.Rows) -> Workflow[Any]:
        """The handle of what was written."""
        ((workflow_id,),) = rows
        if workflow_id is None:
            raise QueueFull(
                f"{_title(self._flow)}: a queue has no room for what would start at once; nothing was enqueued; try "
                "again later, or raise its cap with workrow.set_queue_v1"
            )
        load = getattr(_root_task(self._flow), "load_result", None)
        return Workflow(workflow_id, self._home, load)

    def params(self) -> dict[str, Any]:
        """Of ``start_workflow.sql``."""
        plan, flow = self.plan, self._flow
        head = {
            "name": flow.name or _title(flow),
            "on_failure": flow.failing or ("compensate" if plan.compensates else "cancel"),
            "root": plan.root,
            "size": plan.size,
            "callbacks": plan.calls or None,
        }
        first = [node for node in plan.nodes if node.kind == "task" and not node.pending]
        queues = Counter(_call(node)._options.queue for node in first)
        return {
            "flow": _ENCODE(head),
            "args": rows_of(plan.nodes, self._specs, plan.root if self._part else None),
            "queues": _ENCODE(queues),
        }


def _call(node: Node) -> Call[..., Any]:
    assert node.signature is not None
    return node.signature.call


def _title(flow: Flow[Any, Any]) -> str:
    """What a workflow without a name is called: its shape and its first task."""
    first = next(tasks_in(flow), None)
    return f"{type(flow).__name__.lower()} of {first.task if first else 'nothing'}"


def tasks_in(flow: Flow[Any, Any]) -> Iterator[Signature[Any, Any]]:
    """Every task of it, in its order; callbacks and compensations too, each after what it belongs to."""
    if isinstance(flow, Signature):
        yield flow
    for part in flow.inside():
        yield from tasks_in(part)


def _root_task(flow: Flow[Any, Any]) -> Any:
    """The task whose result is the workflow's, if it is one's."""
    while isinstance(flow, Chain) and flow.steps:
        flow = flow.steps[-1]
    return flow.call._task if isinstance(flow, Signature) else None
