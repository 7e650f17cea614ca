"""How the jobs of each task are run: on the event loop, in a thread or in a child process, decided once."""

import contextvars
import inspect
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import procrastinate
from procrastinate import exceptions, middleware
from procrastinate.job_context import AbortReason

from workrow.arguments.codec import Codec
from workrow.arguments.results import Coded
from workrow.context import JobContext, Step, SyncJobContext
from workrow.declare.execution import PLAIN, Execution, RunLimits
from workrow.declare.hooks import Hooks
from workrow.enqueue.collecting import collecting
from workrow.logs import JobFilter
from workrow.tasks import Task
from workrow.worker.outcome import Claimed, Outcome
from workrow.worker.running.batches import Together
from workrow.worker.running.children.loading import loader, result_of
from workrow.worker.running.children.pool import Processes
from workrow.worker.running.outcomes import Ends
from workrow.worker.running.places import Places
from workrow.worker.running.provision import NOTHING, Given, Provision, Wanted
from workrow.worker.running.steps.durable import Durable, stepped, stepped_sync
from workrow.worker.running.steps.in_thread import InThread
from workrow.worker.running.steps.on_loop import OnLoop
from workrow.worker.running.threads import Threads
from workrow.worker.running.time_limits import Interrupted
from workrow.worker.running.transactions import Transactions
from workrow.worker.running.verdict import Runner, finisher_of, forgetting, hiding, limit_of, succeeded, telling, unkept

if TYPE_CHECKING:
    from procrastinate.worker import Worker as UpstreamWorker

Load = Callable[[Claimed], dict[str, Any]] | None


class Runners:
    """Makes what runs the jobs of a task.

    Args:
        worker: what middleware is given.
        threads, processes, transactions, provision: where and with what.
        say: notes how far a job has come.
        abort_reason: why the job of this id is to end, if it is.
        report_stuck: says that a job does not end, and why it should.
        abandoned: the same of one whose slot is free again.

    Attributes:
        made: those that have been asked for, by the task's name, and how many bytes of JSON are kept of a result.
        transactions: as given.
        kinds_of_steps: what is behind the contexts of async tasks, and of sync ones.
    """

    kinds_of_steps: tuple[type[Durable], type[Durable]] = OnLoop, InThread

    def __init__(
        self,
        worker: "UpstreamWorker",
        threads: Threads,
        processes: Processes,
        transactions: Transactions,
        provision: Provision,
        say: Callable[[Claimed, Step], None],
        abort_reason: Callable[[int], AbortReason | None],
        report_stuck: Callable[[Claimed, str], None],
        abandoned: Callable[[Claimed, str], None],
    ) -> None:
        self._worker = worker
        self._tasks = worker.app.tasks
        self._codec: Codec | None = getattr(worker.app, "codec", None)
        self._finisher_of = partial(finisher_of, worker.app)
        self._threads = threads
        self._processes = processes
        self._places = Places(threads, processes, abort_reason, report_stuck, abandoned)
        self.transactions = transactions
        self._provision = provision
        self._say = say
        self._abort_reason = abort_reason
        self.made: dict[str, tuple[Runner, int]] = {}

    def find(self, name: str) -> tuple[Runner, int]:
        """Make what runs the jobs of the task of this name; how many bytes its results may take.

        Raises:
            TaskNotFound: there is none.
        """
        task = self._tasks.get(name)
        if task is None:
            raise exceptions.TaskNotFound(f"no task is named {name!r} in this worker's app")
        runner = self._runner(task)
        runner = runner if execution_of(task).results else forgetting(runner)
        runner = telling(runner, self._worker.worker_name) if JobFilter.made else runner
        if isinstance(task, Task) and task.hidden:
            runner = hiding(runner, task.hidden, task.parameters.hidden_defaults())
        self.made[name] = runner, limit_of(task)
        return self.made[name]

    def _runner(self, task: procrastinate.tasks.Task[Any, Any, Any]) -> Runner:
        """How this task is run, decided once: the plain case pays for nothing that others use."""
        is_async = inspect.iscoroutinefunction(task.func)
        execution = execution_of(task)
        around_task = self._worker._resolve_task_middlewares(task, is_async)
        around_job = [*self._worker.worker_middleware, *(task.run_hooks() if isinstance(task, Task) else ())]
        wanted = self._provision.wanted(task.func)
        load, kind = loader(task, self._codec), result_of(task, self._codec)
        own = self._own(task)
        if own and not around_job:
            return own
        # a child has no app, and so none of its connector's functions for JSON
        whole = bool(around_job) or isinstance(kind, Coded)
        if execution.plain and not (task.pass_context or around_task or around_job or wanted or kind):
            return _plain(task.func, load) if is_async else _plain_in_thread(task.func, load, self._threads)

        async def run(claimed: Claimed) -> Any:
            if load:
                claimed.args = load(claimed)
            context = self._context(claimed, task, is_async=is_async)
            if own:
                job: Any = partial(own, claimed)
            elif execution.batch:
                call = partial(self._call_together, task, execution, around_task, wanted, is_async=is_async)
                end = None if is_async else partial(self._threads.interrupt, exception=Interrupted)
                batch = claimed.batch or Together([claimed], contextvars.copy_context())
                job = partial(batch.join, claimed, execution.batch, context, call, end)
            elif execution.run_in:
                job = partial(self._in_process, claimed, task, execution, context, whole=whole)
            elif is_async:
                job = partial(self._on_loop, claimed, task, execution, context, around_task)
            else:
                job = partial(self._in_thread, claimed, task, execution, context, around_task)
            if wanted and not execution.batch:
                job = partial(self._provision.run, wanted, context, job, in_thread=not is_async)
            result = await middleware.compose(around_job, job, context, self._worker)()
            if kind is None or isinstance(result, Outcome):
                return result
            return succeeded(claimed, result, limit_of(task), self._worker.app, kind)

        return run

    def _own(self, task: procrastinate.tasks.Task[Any, Any, Any]) -> Runner | None:
        """What its app has to run its jobs by, instead of all this."""
        hooks = getattr(task.blueprint, "hooks", None)
        make: Callable[[Any, Places], Runner | None] | None = hooks.runner if isinstance(hooks, Hooks) else None
        return make(task, self._places) if make else None

    async def _call_together(
        self, task: Any, execution: Execution, around: Any, wanted: Wanted, batch: Any, context: Any, *, is_async: bool
    ) -> Any:
        """Call the function for a batch; what is given to it is opened once."""
        call = self._on_loop if is_async else self._in_thread
        job: Any = partial(call, batch, task, execution, context, around)
        return await (self._provision.run(wanted, context, job, in_thread=not is_async) if wanted else job())

    async def _on_loop(
        self, claimed: Claimed, task: Any, execution: Execution, context: Any, around: Any, given: Given = NOTHING
    ) -> Any:
        def call(*injected: Any) -> Awaitable[Any]:
            arguments = [*injected, context] if task.pass_context else injected
            bound = partial(task, *arguments, **claimed.args, **given.values)
            run = middleware.compose(around, bound, context, self._worker)
            result: Awaitable[Any] = stepped(claimed, context, run, injected) if task.pass_context else run()
            return result

        work = (
            call()
            if execution.transaction is None
            else self.transactions.run_async(claimed, execution.transaction, call, self._ends_of(claimed, task))
        )
        return await self._places.on_loop(claimed, work, _limits(claimed, execution))  # type: ignore[arg-type]

    async def _in_thread(
        self, claimed: Claimed, task: Any, execution: Execution, context: Any, around: Any, given: Given = NOTHING
    ) -> Any:
        def call(*injected: Any) -> Any:
            arguments = [*injected, context] if task.pass_context else injected

            def call_with(values: dict[str, Any]) -> Any:
                bound = partial(task, *arguments, **claimed.args, **values)
                run = middleware.compose(around, bound, context, self._worker)
                return stepped_sync(claimed, context, run, injected) if task.pass_context else run()

            return given.here(call_with)

        work = (
            call
            if execution.transaction is None
            else partial(self.transactions.run_sync, claimed, execution.transaction, call, self._ends_of(claimed, task))
        )
        result = await self._places.in_thread(claimed, work, _limits(claimed, execution))
        # a sync function may return an awaitable, as procrastinate has it
        return await result if inspect.isawaitable(result) else result

    def _ends_of(self, claimed: Claimed | Together, task: Any) -> Callable[[Any], Ends]:
        """What makes the outcome, or those of a batch, of what a transactional task returned."""
        if isinstance(claimed, Together):
            return partial(claimed.ends, lambda job: self._finisher_of(job, task))
        return self._finisher_of(claimed, task)

    async def _in_process(self, claimed: Claimed, task: Any, execution: Execution, context: Any, *, whole: bool) -> Any:
        limits = _limits(claimed, execution)
        returned = await self._processes.run(
            claimed.id,
            task,
            claimed.job if task.pass_context else None,
            claimed.args,
            on_progress=context.on_progress,
            worker=(context.worker_name, list(context.worker_queues) if context.worker_queues else None),
            soft_time_limit=limits.soft,
            time_limit=limits.hard,
            max_memory=execution.max_memory,
            limit=limit_of(task) if execution.results else None,
            whole=whole,
            batch=claimed.batch_id,
        )
        if returned.flow is not None:
            return Outcome(claimed, "succeeded", flow=returned.flow)
        if whole and returned.value is not None:
            return returned.value  # middleware looks at it, and may return something else
        if returned.unkept is not None:
            return unkept(claimed, returned.unkept)
        return Outcome(claimed, "succeeded", returned.text)

    def _context(self, claimed: Claimed, task: Any, *, is_async: bool) -> JobContext:
        worker = self._worker
        return (JobContext if is_async else SyncJobContext)(
            app=worker.app,
            worker_name=worker.worker_name,
            worker_queues=worker.queues,
            additional_context=dict(worker.additional_context or {}),
            job=claimed.job,
            abort_reason=partial(self._abort_reason, claimed.id),
            on_progress=partial(self._say, claimed),
            batch=getattr(collecting.get(), "batch", None),
            durable=self.durable(claimed, task, is_async=is_async) if task.pass_context else None,
            start_timestamp=time.time(),
        )

    def durable(self, claimed: Claimed, task: Any, *, is_async: bool) -> Durable | None:
        """The steps behind the context of a job; a child process has none."""
        if execution_of(task).run_in:
            return None
        on_loop, in_thread = self.kinds_of_steps
        return (on_loop if is_async else in_thread)(
            claimed, self._worker.app.connector, self.transactions, limit_of(task)
        )


def _plain(func: Callable[..., Any], load: Load) -> Runner:
    if load is None:
        return lambda claimed: func(**claimed.args)
    return lambda claimed: func(**load(claimed))


def _plain_in_thread(func: Callable[..., Any], load: Load, threads: Threads) -> Runner:
    # 30 us of CPU a no-op job with ten slots; 54 with a context and middleware that nobody sees
    async def run(claimed: Claimed) -> Any:
        result = await threads.run(claimed.id, partial(func, **(load(claimed) if load else claimed.args)))
        return await result if inspect.isawaitable(result) else result

    return run


def _limits(claimed: Claimed | Together, execution: Execution) -> RunLimits:
    own = claimed.limits if isinstance(claimed, Claimed) else None
    return own or RunLimits(execution.soft_seconds, execution.hard_seconds)


def execution_of(task: procrastinate.tasks.Task[Any, Any, Any]) -> Execution:
    """How a task is run; procrastinate's own are plain."""
    return task.execution if isinstance(task, Task) else PLAIN
