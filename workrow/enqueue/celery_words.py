"""Celery's words for a job in a transaction of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Never, ParamSpec, Unpack, cast

from typing_extensions import TypeVar

from workrow.arguments.jsonb import check_call
from workrow.declare.options import EnqueueOptions, check_delay
from workrow.enqueue.insert import Arguments
from workrow.enqueue.target import Target
from workrow.errors import OptionError, brief, check_names_known, check_time
from workrow.job import Job

STORED_AS_JSON = "leave it out: arguments are stored as JSON"
NO_BROKER = "leave it out: there is no broker, a queue is a column of the job's row; queue= names it"
NO_PARENT = "leave it out: what enqueued a job is not kept; pass what you need as an argument"
NEXT = "workrow.chain(task.s(…), other.s(…)), group and chord say what comes next"
TIMES = "of the task, not of one call: @task(soft_time_limit=…, time_limit=…)"
CALL = {
    **dict.fromkeys(("link", "chain", "chord"), NEXT),
    "link_error": "@task(on_failure=…), a task that takes a workrow.Failure",
    **dict.fromkeys(("exchange", "routing_key", "producer", "connection", "publisher", "router"), NO_BROKER),
    **dict.fromkeys(("delivery_mode", "mandatory", "immediate", "reply_to", "exchange_type"), NO_BROKER),
    **dict.fromkeys(("serializer", "compression", "content_type", "content_encoding"), STORED_AS_JSON),
    **dict.fromkeys(("soft_time_limit", "time_limit", "timelimit"), TIMES),
    **dict.fromkeys(("retry", "retry_policy"), "leave it out: a job is in the database when the call returns"),
    **dict.fromkeys(("add_to_parent", "parent_id", "root_id", "group_id", "group_index"), NO_PARENT),
    **dict.fromkeys(("headers", "stamped_headers", "stamps"), "pass what you need as an argument of the task"),
    "task_id": "leave it out: the database gives the id, as .id of what is returned; unique=… or queueing_lock= in "
    "task.options(…) keep a second job away",
    "correlation_id": "leave it out: the database gives the id, as .id of what is returned",
    "ignore_result": "of the task, not of one call: @task(results=False)",
    "shadow": "leave it out: the log shows the task's name",
    **dict.fromkeys(("argsrepr", "kwargsrepr"), "leave it out: the arguments are in workrow.jobs"),
}
"""What Celery's ``apply_async`` takes besides, and what to do here.
https://docs.celeryq.dev/en/stable/reference/celery.app.task.html#celery.app.task.Task.apply_async"""
SIGNATURE = "task.s(…) keeps arguments, and task.options(…) options, for later calls"
TASK = {
    **dict.fromkeys(("subtask", "subtask_from_request"), SIGNATURE),
    **dict.fromkeys(("chunks", "map", "starmap"), "workrow.chunks(task, …), workrow.map(…) and workrow.starmap(…)"),
    "apply": "task(…) calls the function here and now",
    "apply_sync": "task(…) calls the function here and now",
    "retry": "raise workrow.RetryLater(in_=seconds) in the task",
    "replace": "enqueue the other task, and return",
    "request": "a first parameter annotated JobContext has the job",
    "update_state": "ctx.progress(done, total), with a first parameter annotated JobContext",
    "AsyncResult": "app.job(id)",
    "send_event": "leave it out: what happens to jobs is in workrow.jobs",
    "max_retries": "@task(retry=workrow.Retry(max_attempts=…))",
}
"""What Celery's tasks have besides, and what there is here."""
ENQUEUE = "flow.enqueue(session), or `await flow.enqueue(None)` in a transaction of its own"
FLOW = {
    "delay": ENQUEUE,
    "apply_async": f"{ENQUEUE}; options are of its tasks: task.options(delay=60).s(…)",
    "apply": "in tests, workrow.testing.inline() runs what is enqueued in its block here and now",
    "set": "task.options(…).s(…); values never change",
    "clone": "task.s(…) with what is to be other; values never change",
    "set_immutable": "task.si(…)",
    "freeze": f"{ENQUEUE}, whose handle has the id",
    "on_error": "flow.on_failure(task.s())",
}
"""What Celery's signatures, chains, groups and chords have besides, and what there is here."""

P = ParamSpec("P")
R = TypeVar("R")


class CeleryWords(ABC, Generic[P, R]):
    """``delay`` and ``apply_async``, on what `workrow.enqueue.call.Call` can do."""

    _task: Target

    @abstractmethod
    def options(self, **changes: Unpack[EnqueueOptions]) -> "CeleryWords[P, R]": ...
    @abstractmethod
    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments: ...
    @abstractmethod
    def _insert_own(self, arguments: Arguments) -> Job[R]: ...

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Insert one job in a transaction of its own, at once. Blocks for one round trip.

        Raises:
            As ``enqueue``.
        """
        return self._insert_own(self._bind(args, kwargs))

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        countdown: float | None = None,
        eta: datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        expires: float | datetime | None = None,
        **others: Never,
    ) -> Job[R]:
        """`delay` with options, as Celery spells them.

        Args:
            args: positional arguments.
            kwargs: arguments by name.
            countdown: start no sooner than so many seconds from now, by the database's clock.
            eta: start no sooner than this; a datetime with a time zone.
            queue: the queue's name instead of the task's.
            priority: a higher one runs first (with Redis, Celery has it the other way round).
            expires: never start later than so many seconds after it may start, or than this datetime.
            **others: none; Celery's other words are told what there is instead.

        Raises:
            As ``enqueue``; OptionError for a bad option.
        """
        check_call(self._task.name, args, kwargs)
        self._check_words(countdown, eta, others)
        given = {"delay": countdown, "at": eta, "queue": queue, "priority": priority, "expires": expires}
        changes = cast("EnqueueOptions", {name: value for name, value in given.items() if value is not None})
        call = self.options(**changes)
        return call._insert_own(call._bind(args or (), kwargs or {}))

    def _check_words(self, countdown: object, eta: object, others: Mapping[str, object]) -> None:
        """In the caller's words, which `workrow.declare.options.Options` does not know."""
        for name, value in others.items():
            if name in CALL:
                raise OptionError(
                    f"{self._task.name}.apply_async({name}={brief(value)}): a word of Celery's; {CALL[name]}"
                )
        known = ("args", "kwargs", "countdown", "eta", "queue", "priority", "expires")
        check_names_known(f"option of {self._task.name}.apply_async():", others, known)
        if countdown is not None and eta is not None:
            raise OptionError(f"countdown={brief(countdown)} and eta={brief(eta)}: give one of the two")
        if countdown is not None:
            check_delay("countdown", countdown)
        if eta is not None:
            check_time(f"eta={brief(eta)}", eta)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in TASK:
                raise AttributeError(
                    f"{self._task.name}.{name}: a word of Celery's; here: {TASK[name]}", name=name, obj=self
                )
            return super().__getattribute__(name)


class FlowWords:
    """Celery's words for what is done with parts of a workflow, which are told what there is here."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in FLOW:
                what = type(self).__name__
                raise AttributeError(f"{what}.{name}: a word of Celery's; here: {FLOW[name]}", name=name, obj=self)
            return super().__getattribute__(name)

        def __or__(self, other: object) -> Never:
            raise TypeError(f"{brief(self)} | {brief(other)}: a word of Celery's; here: workrow.chain(one, other)")

        def __ror__(self, other: object) -> Never:
            raise TypeError(f"{brief(other)} | {brief(self)}: a word of Celery's; here: workrow.chain(one, other)")
