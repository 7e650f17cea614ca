"""What an app has of the connector that it was given, whichever it is, and of another in its place."""

import copy
from contextlib import AbstractContextManager
from typing import Any, Self, cast

import procrastinate
from procrastinate.connector import BaseAsyncConnector, BaseConnector

from workrow.arguments.codec import Codec, codec_of
from workrow.database.given import close_beside, close_beside_async, tells_url, url_of
from workrow.declare.limits import Line
from workrow.enqueue.deferrer import counted_later
from workrow.enqueue.hiding import OurJob
from workrow.enqueue.insert import JobManager


class Connected(procrastinate.App):
    """The part of an app that knows its connector."""

    job_manager: JobManager
    _codec: tuple[BaseConnector, Codec | None] | None = None

    @property
    def codec(self) -> Codec | None:
        """The connector's own functions for JSON, if it was given such."""
        if self._codec is None or self._codec[0] is not self.connector:
            self._codec = self.connector, codec_of(self.connector)
        return self._codec[1]

    @property
    def database_url(self) -> str:
        """The libpq URL.

        Raises:
            ConfigurationError: the app was made with a connector that has none.
        """
        return url_of(self.connector)

    @property
    def _has_workers(self) -> bool:
        """Whether our worker can run: with a connector for tests procrastinate's does, with a sync one none."""
        return isinstance(self.connector, BaseAsyncConnector) and tells_url(self.connector)

    def with_connector(self, connector: BaseConnector) -> Self:
        """Another app with the same tasks and options, and this connector. Its tasks go on enqueueing on this one's.

        procrastinate's `replace_connector` keeps the app, for as long as a block runs.

        Raises:
            OptionError: a parameter of a task is annotated with what only this one's ``json_loads`` can make.
        """
        self._check_reads(connector)
        other = copy.copy(self)
        other.connector = connector
        other._start_anew()
        return other

    def replace_connector(self, connector: BaseConnector) -> AbstractContextManager[Self]:  # type: ignore[override]
        """See procrastinate.

        Raises:
            OptionError: as `with_connector`.
        """
        self._check_reads(connector)
        return cast("AbstractContextManager[Self]", super().replace_connector(connector))

    def _check_reads(self, connector: BaseConnector) -> None:
        if tells_url(connector):  # in memory, arguments stay what they are
            for task in self.tasks.values():
                _check_annotations(task, codec_of(connector))

    def _start_anew(self) -> None:
        """Make what belongs to one connector."""
        self.job_manager = JobManager(self.connector, self._line_of)

    def configure_task(self, name: str, **options: Any) -> procrastinate.jobs.JobDeferrer:
        """See procrastinate; ``schedule_in`` counts by the database's clock, and no argument of a task that this app
        does not know is logged."""
        deferrer = super().configure_task(name, **counted_later(options))
        if name not in self.tasks:
            deferrer.job = OurJob.of(deferrer.job, known=False)
        return deferrer

    def _line_of(self, task: str) -> Line | None:
        """The line that the jobs of a task queue in for its limits."""
        return getattr(self.tasks.get(task), "line", None)

    def add_tasks_from(self, blueprint: procrastinate.Blueprint, *, namespace: str) -> None:
        """See procrastinate.

        Raises:
            OptionError: a parameter of a task is annotated with what has no way to JSON; nothing was registered.
        """
        for task in blueprint.tasks.values():
            _check_annotations(task, self.codec)
        super().add_tasks_from(blueprint, namespace=namespace)

    def _register_builtin_tasks(self) -> None:
        """procrastinate's own are of the whole process: with each app they would get one more prefix, and be its."""
        from procrastinate.builtin_tasks import builtin

        for task in set(builtin.tasks.values()):
            own: Any = copy.copy(task)
            path = f"{task.func.__module__}.{task.func.__qualname__}"
            own.name, own.aliases, own.blueprint = f"builtin:{path}", [path], self
            self.tasks |= {own.name: own, path: own}

    async def close_async(self) -> None:
        """See procrastinate."""
        await close_beside_async(self.connector)
        await super().close_async()

    def close(self) -> None:
        """See procrastinate."""
        close_beside(self.connector)
        super().close()


def _check_annotations(task: Any, codec: Codec | None) -> None:
    if hasattr(task, "check_annotations"):  # one of ours
        task.check_annotations(codec)
