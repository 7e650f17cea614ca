"""Run one job: from a claimed job to an outcome. No SQL."""

import asyncio
import contextvars
import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import procrastinate
from procrastinate import exceptions, middleware
from procrastinate.job_context import AbortReason

from workrow.payload import dump_result
from workrow.retry import Retry
from workrow.worker.outcome import Claimed, Outcome, describe

if TYPE_CHECKING:
    from procrastinate.worker import Worker as UpstreamWorker

logger = logging.getLogger(__name__)

Runner = Callable[[Claimed], Awaitable[Any]]


class Executor:
    """Runs jobs: async tasks on the event loop, sync ones in threads.

    Args:
        worker: what middleware is given.
        threads: how many sync tasks run at the same time.
    """

    def __init__(self, worker: "UpstreamWorker", threads: int) -> None:
        self._worker = worker
        self._tasks = worker.app.tasks
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="workrow-task")
        self._runners: dict[str, Runner] = {}
        self.aborts: dict[int, AbortReason] = {}

    def close(self) -> None:
        """Let the threads end; one whose task goes on does not hold the process's other work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, claimed: Claimed) -> Outcome:
        """Run one attempt. Never raises: whatever happens is an outcome."""
        claimed.started_at = time.monotonic()
        try:
            runner = self._runners.get(claimed.task) or self._find(claimed.task)
            result = await runner(claimed)
            outcome = Outcome(claimed, "succeeded", self._dumped(claimed, result))
        except asyncio.CancelledError as error:
            outcome = self._interrupted(claimed, error)
        except Exception as error:
            outcome = self._failed(claimed, error)
        except BaseException as error:  # SystemExit and its kin in a task are that task's failure, not the worker's
            outcome = self._failed(claimed, error)
        outcome.ended_at = time.monotonic()
        self.aborts.pop(claimed.id, None)
        return outcome

    def is_async(self, claimed: Claimed) -> bool:
        """Whether the job can be interrupted by cancelling it."""
        task = self._tasks.get(claimed.task)
        return task is not None and inspect.iscoroutinefunction(task.func)

    def _find(self, name: str) -> Runner:
        task = self._tasks.get(name)
        if task is None:
            raise exceptions.TaskNotFound(f"no task is named {name!r} in this worker's app")
        runner = self._runners[name] = self._runner(task)
        return runner

    def _runner(self, task: procrastinate.tasks.Task[Any, Any, Any]) -> Runner:
        """How this task is run, decided once: the plain case pays for nothing that others use."""
        is_async = inspect.iscoroutinefunction(task.func)
        around_task = self._worker._resolve_task_middlewares(task, is_async)
        around_job = self._worker.worker_middleware
        if is_async and not (task.pass_context or around_task or around_job):
            func = task.func
            return lambda claimed: func(**claimed.args)

        async def run(claimed: Claimed) -> Any:
            context = self._context(claimed)
            arguments = [context] if task.pass_context else []
            call = partial(task, *arguments, **claimed.args)
            wrapped = middleware.compose(around_task, call, context, self._worker)
            job = wrapped if is_async else partial(self._in_thread, wrapped)
            result = await middleware.compose(around_job, job, context, self._worker)()
            # a sync function may return an awaitable, as procrastinate has it
            return await result if inspect.isawaitable(result) else result

        return run

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, call)

    def _context(self, claimed: Claimed) -> procrastinate.JobContext:
        worker = self._worker
        return procrastinate.JobContext(
            app=worker.app,
            worker_name=worker.worker_name,
            worker_queues=worker.queues,
            additional_context=dict(worker.additional_context or {}),
            job=claimed.job,
            abort_reason=lambda: self.aborts.get(claimed.id),
            start_timestamp=time.time(),
        )

    def _dumped(self, claimed: Claimed, result: Any) -> str | None:
        try:
            return dump_result(result)
        except ValueError as error:
            # the work is done: failing the job now would do it again
            logger.warning("%s: its result is not kept, for it is not JSON: %s", claimed.job.call_string, error)
            return None

    def _interrupted(self, claimed: Claimed, error: BaseException) -> Outcome:
        reason = self.aborts.get(claimed.id)
        if reason is AbortReason.SHUTDOWN:
            logger.info("%s: given back, the worker stops", claimed.job.call_string)
            return Outcome(claimed, "todo")
        if reason is AbortReason.USER_REQUEST:
            logger.info("%s: aborted on request", claimed.job.call_string)
            return Outcome(claimed, "aborted", error=describe(error, claimed.attempts + 1, discarded=False))
        return self._failed(claimed, error)

    def _failed(self, claimed: Claimed, error: BaseException) -> Outcome:
        task = self._tasks.get(claimed.task)
        aborted = isinstance(error, exceptions.JobAborted)
        asked = self.aborts.get(claimed.id) is AbortReason.USER_REQUEST
        retry = task.get_retry_exception(exception=error, job=claimed.job) if task and not (aborted and asked) else None
        policy = task.retry_strategy if task else None
        discarded = isinstance(policy, Retry) and policy.discards(error)
        told = describe(error, claimed.attempts + 1, discarded=discarded)
        if retry:
            logger.warning("%s: attempt failed, to be retried: %r", claimed.job.call_string, error, exc_info=error)
            return Outcome(claimed, "todo", error=told, retry=retry.retry_decision)
        if aborted:
            logger.info("%s: aborted", claimed.job.call_string)
            return Outcome(claimed, "aborted", error=told)
        logger.error("%s: failed: %r", claimed.job.call_string, error, exc_info=error)
        return Outcome(claimed, "failed", error=told)
