"""The tasks that every app has."""

from collections.abc import Callable
from typing import Any

from workrow.celery.canvas.many import chunks


def add_builtins(app: Any) -> None:
    """Declare them."""

    task: Callable[..., Callable[..., Any]] = app.task

    @task(name="celery.accumulate", bind=True)
    def accumulate(self: Any, *args: Any, **kwargs: Any) -> Any:
        index = kwargs.get("index")
        return args[index] if index is not None else args

    @task(name="celery.map")
    def xmap(task: Any, it: Any) -> Any:
        called = app.tasks[task["task"]]
        return [called(item) for item in it]

    @task(name="celery.starmap")
    def xstarmap(task: Any, it: Any) -> Any:
        called = app.tasks[task["task"]]
        return [called(*item) for item in it]

    @task(name="celery.chunks")
    def send_chunks(task: Any, it: Any, n: int) -> Any:
        return chunks(task, it, n, app=app)()

    @task(name="celery.backend_cleanup")
    def backend_cleanup() -> None:
        app.backend.cleanup()
