"""procrastinate's worker, which also writes down how each attempt ended.

Every override of procrastinate's private names is in this file.
"""

import asyncio
import logging
import os
import socket
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import procrastinate
from procrastinate import exceptions, job_context, jobs, retry, utils
from procrastinate.worker import Worker as UpstreamWorker

from workrow import sql
from workrow.maintenance.scheduler import Scheduler
from workrow.payload import dump_result
from workrow.retry import Retry

logger = logging.getLogger(__name__)

MESSAGE_MAX = 10_000
TRACEBACK_MAX = 30_000
"""Characters kept of an error. A traceback loses its middle: where it began and where it ended say most."""


class Worker(UpstreamWorker):
    """Runs jobs, and keeps results, errors, times and the worker's name in the rows.

    Args:
        app: the app whose tasks it runs.
        version: what to say of oneself in ``workrow.workers``.
        **options: as `procrastinate.App.run_worker_async`.
    """

    def __init__(self, app: procrastinate.App, *, scheduler: Scheduler, version: str, **options: Any) -> None:
        # outermost, so that it sees what the task and every other middleware raised
        middleware = [self._remember, *(options.pop("worker_middleware", None) or [])]
        super().__init__(app, worker_middleware=middleware, **options)
        self._scheduler = scheduler
        self._version = version
        self._raised: dict[int, BaseException] = {}

    async def _remember(
        self, call_next: Callable[[], Awaitable[Any]], context: procrastinate.JobContext, worker: UpstreamWorker
    ) -> Any:
        try:
            return await call_next()
        except BaseException as error:
            self._raised[context.job.id or 0] = error
            raise

    async def _run_loop(self) -> None:
        await self.app.connector.execute_query_all_async(
            query=sql.load("describe_worker"),
            worker_id=self.worker_id,
            name=self.worker_name,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=list(self.queues) if self.queues else None,
            concurrency=self.concurrency,
            version=self._version,
        )
        await super()._run_loop()  # type: ignore[no-untyped-call]

    async def _periodic_deferrer(self) -> None:
        # super()'s serves @app.periodic; it returns at once when there is none, and a side task must not end
        await asyncio.gather(
            super()._periodic_deferrer(),  # type: ignore[no-untyped-call]
            self._scheduler.run(),
        )

    async def _persist_job_status(
        self,
        job: jobs.Job,
        status: jobs.Status,
        retry_decision: retry.RetryDecision | None,
        context: job_context.JobContext,
        job_result: job_context.JobResult | None,
    ) -> None:
        error = self._raised.pop(job.id or 0, None)
        if error is None and job.task_name not in self.app.tasks:
            error = exceptions.TaskNotFound(f"no task is named {job.task_name!r} in this worker's app")
        common = {
            "id": job.id,
            "worker_id": self.worker_id,
            "worker": self.worker_name,
            "error": None if error is None else describe(error, job, self._discards(job, error)),
        }
        if retry_decision:
            rows = await self.app.connector.execute_query_all_async(
                query=sql.load("retry_job"),
                **common,
                retry_at=retry_decision.retry_at or utils.utcnow(),
                priority=retry_decision.priority,
                queue=retry_decision.queue,
                lock=retry_decision.lock,
            )
        elif self._deletes(status):
            await self.app.job_manager.finish_job(job=job, status=status, delete_job=True)
            rows = [{"id": job.id}]
        else:
            rows = await self.app.connector.execute_query_all_async(
                query=sql.load("finish_job"),
                **common,
                status=status.value,
                result=self._result(job, status, job_result),
            )
        if not rows:
            logger.warning("%s: the finish was refused: the job is no longer this worker's", job.call_string)
        self._job_ids_to_abort.pop(job.id or 0, None)

    def _deletes(self, status: jobs.Status) -> bool:
        successful = self.delete_jobs is jobs.DeleteJobCondition.SUCCESSFUL and status is jobs.Status.SUCCEEDED
        return successful or self.delete_jobs is jobs.DeleteJobCondition.ALWAYS

    def _discards(self, job: jobs.Job, error: BaseException) -> bool:
        task = self.app.tasks.get(job.task_name)
        policy = task.retry_strategy if task else None
        return isinstance(policy, Retry) and policy.discards(error)

    def _result(self, job: jobs.Job, status: jobs.Status, result: job_context.JobResult | None) -> str | None:
        if status is not jobs.Status.SUCCEEDED or result is None:
            return None
        try:
            return dump_result(result.result)
        except ValueError as error:
            # the work is done: failing the job now would do it again
            logger.warning("%s: its result is not kept, for it is not JSON: %s", job.call_string, error)
            return None


def describe(error: BaseException, job: jobs.Job, discarded: bool) -> str:
    """One failed attempt as the JSON object that ``errors`` holds."""
    text = "".join(traceback.format_exception(error))
    if len(text) > TRACEBACK_MAX:
        half = TRACEBACK_MAX // 2
        text = f"{text[:half]}\n… {len(text) - TRACEBACK_MAX} characters left out …\n{text[-half:]}"
    return (
        dump_result(
            {
                "attempt": job.attempts + 1,
                "at": datetime.now(UTC),
                "type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
                "message": _storable(str(error)[:MESSAGE_MAX]),
                "traceback": _storable(text),
                "discarded": discarded,
            }
        )
        or "{}"
    )


def _storable(text: str) -> str:
    """The text without what jsonb refuses: NUL and lone surrogates."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
