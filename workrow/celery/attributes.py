"""The attributes of a task: what its class, ``@app.task(…)`` and the settings say of it."""

from functools import cached_property
from inspect import getattr_static
from typing import Any

from workrow.celery import codec
from workrow.celery.conf.known import reason
from workrow.celery.rates import rate_of
from workrow.celery.unique import rule_of

OF_CALLS = ("queue", "routing_key", "exchange", "priority", "expires", "serializer", "time_limit", "soft_time_limit")
"""Attributes that are options of the task's calls."""


MEANINGLESS = {
    "acks_on_failure": ("acks", True),
    "acks_on_failure_or_timeout": ("acks", True),
    "acks_on_timeout": ("acks", True),
    "backend": ("results", None),
    "retry_on_worker_lost": ("lost", False),
}
"""Attributes of Celery's that change nothing here: the reason, and Celery's default."""


class FromSettings:
    """An attribute that a task without one of its own has from its app's settings; asked when it is used.

    Args:
        setting: its name.
    """

    def __init__(self, setting: str) -> None:
        self._setting = setting

    def __get__(self, task: Any, owner: Any = None) -> Any:
        app = None if task is None else task.app
        return None if app is None else getattr(app.conf, self._setting, None)


class Attributes:
    """What `Task` may be told.

    Attributes:
        max_retries: None is without end.
        default_retry_delay: seconds.
        typing: whether calls whose arguments do not fit are refused where they are made.
        trail: whether results know the tasks that this one has called.
        rate_limit: such as ``"10/m"``: over all workers.
        limits: `workrow.Limit` and `workrow.Rate`, one or several: how many of its calls run at a time, or start in a
            time, for each value of an argument if they have a key; over all workers. Celery has no such option.
        unique: a tuple of arguments' names, or `workrow.Unique`: whoever calls it while a call with the same values
            waits or runs gets the handle of that one. Celery has no such option.
        time_limit, soft_time_limit: seconds.
        expires: seconds, or a time, after which its calls do not start.
        acks_late, reject_on_worker_lost: with both, a call whose process dies runs again; otherwise it has failed.
        throws: exceptions that are no errors: they are logged in one line, as an information.
        resultrepr_maxsize: how many characters of a result are logged, at DEBUG.
    """

    name: str = ""
    app: Any = None
    max_retries: int | None = 3
    default_retry_delay: float = 180
    typing: bool | None = None
    trail: bool = True
    bind: bool = False
    abstract: bool = False
    models: Any = None
    queue: str | None = None
    routing_key: str | None = None
    exchange: str | None = None
    expires: Any = None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    throws: tuple[type[BaseException], ...] = ()
    serializer: Any = FromSettings("task_serializer")
    limits: Any = ()
    unique: Any = None
    rate_limit: Any = FromSettings("task_default_rate_limit")
    priority: Any = FromSettings("task_default_priority")
    track_started: Any = FromSettings("task_track_started")
    acks_late: Any = FromSettings("task_acks_late")
    reject_on_worker_lost: Any = FromSettings("task_reject_on_worker_lost")
    ignore_result: Any = FromSettings("task_ignore_result")
    store_eager_result: Any = FromSettings("task_store_eager_result")
    store_errors_even_if_ignored: Any = FromSettings("task_store_errors_even_if_ignored")
    resultrepr_maxsize: int = 1024

    def __init_subclass__(cls, **options: Any) -> None:
        """None says nothing: the settings say it then."""
        super().__init_subclass__(**options)
        for name, attribute in vars(Attributes).items():
            if isinstance(attribute, FromSettings) and vars(cls).get(name, attribute) is None:
                setattr(cls, name, attribute)

    def bind_to(self, app: Any) -> None:
        """Belong to this app. Its settings are not read: the module that has them may be one that imports this task."""
        self.app = app
        if self.typing is None:
            self.typing = app.strict_typing
        if self._says("serializer"):
            codec.check_serializer(self.serializer)
        if self._says("rate_limit") and self.rate_limit:
            rate_of(self.rate_limit)
        rule_of(self, {})
        self.on_bound(app)

    def on_bound(self, app: Any) -> None:
        """It belongs to this app from now on; for subclasses."""

    def meaningless(self) -> list[tuple[str, str]]:
        """Attributes that were given to it and mean nothing here, and why."""
        kinds = [each for each in type(self).__mro__ if not each.__module__.startswith("workrow.celery.")]
        said = {name: value for kind in reversed(kinds) for name, value in vars(kind).items()} | vars(self)
        return [
            (f"{self.name}.{name}", reason(why))
            for name, (why, default) in MEANINGLESS.items()
            if said.get(name, default) not in (None, default)
        ]

    def _says(self, name: str) -> bool:
        return not isinstance(getattr_static(self, name), FromSettings)

    @property
    def backend(self) -> Any:
        return self.app.backend

    def call_options(self) -> dict[str, Any]:
        """The options that its calls start from."""
        return {name: value for name in OF_CALLS if (value := getattr(self, name)) is not None}

    def limits_told(self) -> list[Any]:
        """What its calls are limited by, ``rate_limit`` first."""
        limits = [*self.limits] if isinstance(self.limits, list | tuple) else [self.limits] if self.limits else []
        return [rate_of(self.rate_limit), *limits] if self.rate_limit else limits

    def line_in(self, queue: str, args: Any = (), kwargs: Any = None) -> str | None:
        """Where a call of these arguments in this queue waits for its turn; None: nothing limits it."""
        if not (self.rate_limit or self.limits):
            return None
        line, parameters = self._line
        if not line.has_keys:
            return str(line.of(queue, {}))
        try:
            arguments = parameters.bind_partial(*(args or ()), **(kwargs or {})).arguments
        except TypeError:  # they do not fit, which the call itself will tell
            arguments = dict(kwargs or {})
        return str(line.of(queue, arguments))

    @cached_property
    def _line(self) -> Any:
        from inspect import signature

        from workrow.declare.limits import Line

        parameters = signature(self.run)  # type: ignore[attr-defined]
        return Line(
            self.name, self.queue or self.app.conf.task_default_queue, self.limits_told(), parameters
        ), parameters
