"""The names that we take from procrastinate's worker. Every use of its private ones by the worker goes through here."""

from typing import Any

from procrastinate.worker import Worker

from workrow.configuration import check_worker


class UpstreamWorker(Worker):
    """procrastinate's worker: its options, their checks, ``stop()`` and what middleware is given; not its loops."""

    def __init__(self, app: Any, **options: Any) -> None:
        check_worker(options)
        super().__init__(app, **options)

    async def _periodic_deferrer(self) -> None:
        """The loop that serves ``@app.periodic``; returns at once when there is none."""
        await super()._periodic_deferrer()  # type: ignore[no-untyped-call]

    def _resolve_task_middlewares(self, task: Any, task_is_async: bool) -> list[Any]:
        """The middleware around one task, outermost first."""
        return super()._resolve_task_middlewares(task, task_is_async)
