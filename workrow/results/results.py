"""What becomes of a job: results, status, progress; and what its handle can do to it."""

import asyncio
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import psycopg
import pydantic_core
from procrastinate.connector import BaseConnector

from workrow import sql
from workrow.arguments.codec import Codec
from workrow.database import session
from workrow.database.given import check_database
from workrow.database.link import PATIENCE, Row
from workrow.database.privileges import granted
from workrow.errors import (
    JobCancelled,
    JobFailed,
    JobNotFound,
    NoResult,
    OptionError,
    ResultInTask,
    ResultTimeout,
    brief,
    is_whole,
    seconds_in,
)
from workrow.job import UNKEPT, Progress, Question, at_work
from workrow.results.waiters import Waiter, Waiters
from workrow.tasks import Task
from workrow.workflows.errors import retried

T = TypeVar("T")

ID_MOST = 2**63 - 1
LOOK_SECONDS = 5.0
"""Who would wait for no time at all waits so long for the answer to one question."""


class Home(Protocol):
    """What is needed of the app; looked at when it is needed, for an app may be given another connector."""

    connector: BaseConnector
    direct_url: str | None
    codec: Codec | None

    @property
    def tasks(self) -> Mapping[str, Any]: ...
    @property
    def database_url(self) -> str: ...


class Results:
    """What the handles of an app's jobs ask. Makes no connection before it is asked."""

    def __init__(self, app: Any) -> None:
        self._app: Home = app
        self._waiters: Waiters | None = None
        self._url = ""

    async def result(self, job_id: int, timeout: float | timedelta | None, within_task: bool = False) -> Any:
        """See `workrow.job.Job.result`."""
        seconds = seconds_of(timeout)
        check_place(job_id, seconds, within_task)
        with self._waiter(job_id, seconds) as waiter:
            try:
                async with asyncio.timeout(LOOK_SECONDS if seconds == 0 else seconds):
                    end = await asyncio.wrap_future(waiter.future)
            except TimeoutError:
                raise _late(waiter, seconds) from None
        return self._value(end)

    def result_sync(self, job_id: int, timeout: float | timedelta | None, within_task: bool = False) -> Any:
        """The same, blocking."""
        seconds = seconds_of(timeout)
        check_place(job_id, seconds, within_task)
        with self._waiter(job_id, seconds) as waiter:
            try:
                end = waiter.future.result(LOOK_SECONDS if seconds == 0 else seconds)
            except TimeoutError:
                raise _late(waiter, seconds) from None
        return self._value(end)

    async def ask(self, question: Question[T]) -> T:
        """Ask on the app's own connections.

        Raises:
            AppNotOpen: the app is not open.
            ConfigurationError: its connector is procrastinate's for tests.
            InsufficientPrivilege: its role lacks a grant.
        """
        check_database(self._app.connector)
        query = sql.load(question.statement)
        with granted(question.statement):
            rows = await self._app.connector.execute_query_all_async(query=query, **question.params)
        return question.read(rows[0] if rows else None)

    def ask_sync(self, question: Question[T]) -> T:
        """The same, blocking."""
        check_database(self._app.connector)
        connector = self._app.connector.get_sync_connector()
        with granted(question.statement):
            rows = connector.execute_query_all(query=sql.load(question.statement), **question.params)
        return question.read(rows[0] if rows else None)

    def status(self, job_id: int) -> Question[str]:
        """See `workrow.job.Job.status`."""
        return Question("read_job_state", {"id": job_id}, lambda row: str(_found(job_id, row)["status"]))

    def progress(self, job_id: int) -> Question[Progress | None]:
        """See `workrow.job.Job.progress`."""
        return Question("read_job_state", {"id": job_id}, lambda row: as_progress(_found(job_id, row)["progress"]))

    def cancel(self, job_id: int, terminate: bool) -> Question[str | None]:
        """See `workrow.job.Job.cancel`."""
        check_id(job_id)
        return Question("cancel_job", {"id": job_id, "terminate": terminate}, _verdict)

    def retry(self, job_id: int) -> Question[str | None]:
        """See `workrow.job.Job.retry`."""
        whose = f"the workflow of job {job_id}"
        return Question("requeue_job", {"id": job_id}, lambda row: retried(whose, _verdict(row)))

    def relatives(self, job_id: int, which: str) -> Question[list[tuple[int, str, str]]]:
        """See `workrow.job.Job.parents` and its ``children``."""

        def read(row: dict[str, Any] | None) -> list[tuple[int, str, str]]:
            found = _found(job_id, row)[which] or []
            return [(each["id"], each["task"], each["queue"]) for each in found if each]

        return Question("read_relatives", {"id": job_id}, read)

    async def close_async(self) -> None:
        """Close what waits."""
        if self._waiters:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """The same, blocking."""
        waiters, self._waiters = self._waiters, None
        if waiters:
            waiters.close()

    @contextmanager
    def _waiter(self, job_id: int, seconds: float | None) -> Iterator[Waiter]:
        url = self._app.database_url
        if self._waiters is None or self._url != url:
            self.close()
            direct = self._app.direct_url or url
            listening = "listening for results"
            self._waiters, self._url = (
                Waiters(lambda: _connect(url, "results"), lambda: _connect(direct, listening)),
                url,
            )
        waiter = self._waiters.waiter(job_id, seconds)
        try:
            yield waiter
        finally:
            waiter.future.cancel()

    def _value(self, end: Row) -> Any:
        job_id, status, name, attempts, worker, result, error = end
        error = error and pydantic_core.from_json(error)
        if status in ("cancelled", "aborted"):
            raise JobCancelled(job_id, name, status)
        if status == "failed":
            told = error or {}
            raise JobFailed(job_id, name, attempts, told.get("type"), told.get("message"), told.get("traceback"))
        task = self._app.tasks.get(name)
        if result is None:
            if isinstance(task, Task) and not task.execution.results:
                raise NoResult(f"{name}[{job_id}] succeeded; its task is declared with results=False")
            if error and error.get("type") == UNKEPT:
                raise NoResult(f"{name}[{job_id}] succeeded; its result is not kept: {error['message']}")
            if worker is None:
                raise NoResult(
                    f"{name}[{job_id}] succeeded; a stock procrastinate worker ran it, which keeps no result"
                )
        codec = self._app.codec
        value = None if result is None else (codec.read if codec else pydantic_core.from_json)(result)
        load = getattr(task, "load_result", None)
        return load(value, codec) if load else value


def check_place(job_id: int, seconds: float | None, within_task: bool) -> None:
    """Raise ResultInTask where a task would wait for the job."""
    waiting = at_work.get()
    if waiting is not None and not within_task and seconds != 0:
        raise ResultInTask(
            f"{waiting} would wait for job {job_id}: a task that waits for a job keeps its slot, and if no other is "
            "free they wait for ever; await ctx.call(task, …), or enqueue what comes next when that job ends, or raise "
            "Snooze(in_=…) and look with result(timeout=0); result(within_task=True) where that job has its own slots"
        )


def check_id(job_id: object) -> None:
    """Raise OptionError for what can be no job's id."""
    if not is_whole(job_id, 1, ID_MOST):
        raise OptionError(f"job_id={brief(job_id)}: must be the id of a job, a whole number from 1 to 2**63 - 1")


async def _connect(url: str, purpose: str) -> psycopg.AsyncConnection:
    name = session.application_name(url, purpose)
    return await psycopg.AsyncConnection.connect(url, autocommit=True, application_name=name, **PATIENCE)


def seconds_of(timeout: float | timedelta | None) -> float | None:
    """A time to wait.

    Raises:
        OptionError: it is none.
    """
    if timeout is None or timeout == math.inf:
        return None
    seconds = seconds_in(timeout)
    if seconds is None:
        raise OptionError(
            f"timeout={brief(timeout)}: must be seconds or a timedelta, up to 100 years, or None to wait as long as it "
            "takes"
        )
    return seconds


def _late(waiter: Waiter, seconds: float | None) -> ResultTimeout:
    if waiter.seen and seconds == 0:
        return ResultTimeout(f"job {waiter.job_id} has not ended yet")
    if waiter.seen:
        return ResultTimeout(f"job {waiter.job_id} has not ended within {seconds:g} s; is a worker running for it?")
    if waiter.seen is None:
        return ResultTimeout(f"job {waiter.job_id}: the database has not answered within {seconds or LOOK_SECONDS:g} s")
    how_long = f" for {seconds:g} s" if seconds else ""
    return ResultTimeout(
        f"job {waiter.job_id} could not be seen{how_long}: its transaction has not committed, or was rolled "
        "back; or its history was dropped, or it never existed"
    )


def _found(job_id: int, row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        raise JobNotFound(
            f"there is no job {job_id}: its transaction has not committed, or was rolled back; or it was deleted, "
            "or never existed"
        )
    return row


def _verdict(row: dict[str, Any] | None) -> str | None:
    return row["verdict"] if row else None


def as_progress(stored: Mapping[str, Any] | None) -> Progress | None:
    """The value of the column ``progress``."""
    if not stored:
        return None
    at = datetime.fromisoformat(stored["at"])
    return Progress(stored["done"], stored.get("total"), stored.get("message"), at)
