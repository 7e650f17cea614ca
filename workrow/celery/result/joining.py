"""Who may wait for a result: no task may, unless it says so."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from workrow.celery.current import current_worker_task

NEVER_IN_A_TASK = """Never call result.get() within a task!
See https://docs.celeryq.dev/en/latest/userguide/tasks.html#avoid-launching-synchronous-subtasks
"""
_blocks: ContextVar[bool | None] = ContextVar("join_blocks", default=None)


def task_join_will_block() -> bool:
    """Whether ``get()`` is refused here: inside a task, if nothing else was said; a worker whose slots all wait for
    others never ends."""
    said = _blocks.get()
    if said is not None:
        return said
    task = current_worker_task()
    return task is not None and not task.request.is_eager


def assert_will_not_block() -> None:
    """Raises RuntimeError where ``get()`` is refused."""
    if task_join_will_block():
        raise RuntimeError(NEVER_IN_A_TASK)


@contextmanager
def joins_refused(refused: bool) -> Iterator[None]:
    """Refuse or allow ``get()`` for as long as this lasts."""
    token = _blocks.set(refused)
    try:
        yield
    finally:
        _blocks.reset(token)


def allow_join_result() -> AbstractContextManager[None]:
    """``with allow_join_result():`` a task may wait for results."""
    return joins_refused(False)


def denied_join_result() -> AbstractContextManager[None]:
    """``with denied_join_result():`` nobody may wait for results."""
    return joins_refused(True)
