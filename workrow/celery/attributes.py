"""The attributes of a task: what its class, ``@app.task(…)`` and the settings say of it."""

from functools import cached_property
from typing import Any

from workrow.celery import codec
from workrow.celery.rates import rate_of

FROM_SETTINGS = {
    "serializer": "task_serializer",
    "rate_limit": "task_default_rate_limit",
    "priority": "task_default_priority",
    "track_started": "task_track_started",
    "acks_late": "task_acks_late",
    "acks_on_failure_or_timeout": "task_acks_on_failure_or_timeout",
    "reject_on_worker_lost": "task_reject_on_worker_lost",
    "ignore_result": "task_ignore_result",
    "store_eager_result": "task_store_eager_result",
    "store_errors_even_if_ignored": "task_store_errors_even_if_ignored",
}
"""Attributes that a task without one of its own has from the settings."""
OF_CALLS = ("queue", "routing_key", "exchange", "priority", "expires", "serializer", "time_limit", "soft_time_limit")
"""Attributes that are options of the task's calls."""


class Attributes:
    """What `Task` may be told.

    Attributes:
        max_retries: None is without end.
        default_retry_delay: seconds.
        typing: whether calls whose arguments do not fit are refused where they are made.
        trail: whether results know the tasks that this one has called.
        rate_limit: such as ``"10/m"``: over all workers.
        time_limit, soft_time_limit: seconds.
        expires: seconds, or a time, after which its calls do not start.
        acks_late, reject_on_worker_lost: with both, a call whose process dies runs again; otherwise it has failed.
        throws: exceptions that are no errors: they are logged shortly.
    """

    name: str = ""
    app: Any = None
    max_retries: int | None = 3
    default_retry_delay: float = 180
    typing: bool | None = None
    trail: bool = True
    bind: bool = False
    abstract: bool = False
    queue: str | None = None
    routing_key: str | None = None
    exchange: str | None = None
    expires: Any = None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    throws: tuple[type[BaseException], ...] = ()
    serializer: str | None = None
    rate_limit: str | float | None = None
    priority: int | None = None
    track_started: bool | None = None
    acks_late: bool | None = None
    acks_on_failure_or_timeout: bool | None = None
    reject_on_worker_lost: bool | None = None
    ignore_result: bool | None = None
    store_eager_result: bool | None = None
    store_errors_even_if_ignored: bool | None = None
    send_events: bool = True
    resultrepr_maxsize: int = 1024

    def bind_to(self, app: Any) -> None:
        """Belong to this app, and take from its settings what nothing else has said."""
        self.app = app
        for name, setting in FROM_SETTINGS.items():
            if getattr(self, name) is None:
                setattr(self, name, app.conf.get(setting))
        if self.typing is None:
            self.typing = app.strict_typing
        codec.check_serializer(self.serializer)
        if self.rate_limit:
            rate_of(self.rate_limit)

    @property
    def backend(self) -> Any:
        return self.app.backend

    def call_options(self) -> dict[str, Any]:
        """The options that its calls start from."""
        return {name: value for name in OF_CALLS if (value := getattr(self, name)) is not None}

    def line_in(self, queue: str) -> str | None:
        """Where its calls in this queue wait for their turn; None: it has no ``rate_limit``."""
        return None if not self.rate_limit else self._line.of(queue, {})

    @cached_property
    def _line(self) -> Any:
        from inspect import signature

        from workrow.declare.limits import Line

        return Line(self.name, self.queue or "", rate_of(self.rate_limit), signature(lambda: None))
