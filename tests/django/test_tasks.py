"""The backend for django.tasks does what Django's documentation says of backends."""

import asyncio
from datetime import timedelta

import pytest

from tests.django.process import IN_DJANGO, in_django
from tests.django.work import committed, work

if IN_DJANGO:
    from django.db import transaction
    from django.test import override_settings
    from django.utils import timezone

    from tests.django.shop.tasks import add, add_slowly, fail, ship, unsayable
    from workrow.django.models import Job

    try:
        from django.tasks import TaskResultStatus, default_task_backend, task, task_backends
        from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist, TaskResultMismatch
        from django.tasks.signals import task_enqueued, task_finished, task_started
    except ImportError:
        from django_tasks import TaskResultStatus, default_task_backend, task, task_backends
        from django_tasks.exceptions import InvalidTaskError as InvalidTask
        from django_tasks.exceptions import TaskResultDoesNotExist, TaskResultMismatch
        from django_tasks.signals import task_enqueued, task_finished, task_started


@in_django
def test_a_task_is_enqueued_run_and_asked_for() -> None:
    result = add.enqueue(1, b=2)
    assert (result.status, result.is_finished, result.attempts) == (TaskResultStatus.READY, False, 0)
    assert (result.args, result.kwargs, result.backend, result.task) == ([1], {"b": 2}, "default", add)
    with pytest.raises(ValueError, match="has not finished yet"):
        result.return_value  # noqa: B018
    assert committed() == ["tests.django.shop.tasks.add"]
    work()
    result.refresh()
    assert (result.status, result.is_finished, result.return_value) == (TaskResultStatus.SUCCESSFUL, True, 3)
    assert (result.attempts, result.worker_ids, result.errors) == (1, ["worker"], [])
    assert result.enqueued_at <= result.started_at <= result.finished_at <= timezone.now()
    assert result.last_attempted_at == result.started_at
    again = default_task_backend.get_result(result.id)
    assert (again.id, again.return_value, again.args, again.kwargs) == (result.id, 3, [1], {"b": 2})


@in_django
async def test_the_same_in_async_code() -> None:
    result = await add_slowly.using(run_after=timezone.now() - timedelta(hours=1)).aenqueue(1, 2, three=3)
    await asyncio.to_thread(work)
    await result.arefresh()
    assert result.return_value == [6, 1, result.id]
    assert (await add_slowly.aget_result(result.id)).return_value == [6, 1, result.id]
    assert (await default_task_backend.aget_result(result.id)).status == TaskResultStatus.SUCCESSFUL


@in_django
def test_queue_priority_and_time_are_the_jobs() -> None:
    later = timezone.now() + timedelta(hours=1)
    result = add.using(priority=-5, queue_name="later", run_after=later).enqueue(1, 2)
    (row,) = Job.objects.values_list("queue", "priority", "scheduled_at", "args")
    assert row == ("later", -5, later, {"args": [1, 2], "kwargs": {}})
    read = default_task_backend.get_result(result.id).task
    assert (read.queue_name, read.priority, read.run_after, read.func) == ("later", -5, later, add.func)
    add_slowly.enqueue(1)
    assert Job.objects.filter(queue="sums", priority=7).count() == 1
    work(queues=["later"])
    assert result.id in [str(job.pk) for job in Job.objects.filter(status="todo")]


@in_django
def test_higher_priorities_run_first() -> None:
    order: list[str] = []

    def started(task_result: object, **_: object) -> None:
        order.append(task_result.task.module_path.rpartition(".")[2])  # type: ignore[attr-defined]

    for each in (add.using(priority=-1), unsayable, fail.using(priority=100)):
        each.enqueue(*{"add": (1, 1), "fail": ("x",), "unsayable": ()}[each.name])
    task_started.connect(started)
    work(concurrency=1)
    task_started.disconnect(started)
    assert order == ["fail", "unsayable", "add"]


@in_django
def test_a_failure_is_told() -> None:
    result, mute = fail.enqueue("nothing there"), unsayable.enqueue()
    work()
    result.refresh()
    assert (result.status, result.is_finished) == (TaskResultStatus.FAILED, True)
    with pytest.raises(ValueError, match="failed"):
        result.return_value  # noqa: B018
    (error,) = result.errors
    assert error.exception_class is LookupError
    assert "LookupError: nothing there" in error.traceback
    mute.refresh()
    assert mute.errors[0].exception_class is TypeError
    cancelled = add.enqueue(1, 2)
    Job.objects.get(pk=cancelled.id).cancel()
    cancelled.refresh()
    assert (cancelled.status, cancelled.errors[0].exception_class.__name__) == (TaskResultStatus.FAILED, "JobCancelled")
    assert Job.objects.get(pk=result.id).retry() == "queued"
    result.refresh()
    assert result.status == TaskResultStatus.READY
    work()
    result.refresh()
    assert (result.attempts, len(result.errors)) == (2, 2)


@in_django
def test_it_is_in_djangos_transaction() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        result = add.enqueue(1, 2)
        assert add.get_result(result.id).status == TaskResultStatus.READY
        1 / 0  # noqa: B018
    assert committed() == []
    with pytest.raises(TaskResultDoesNotExist):
        result.refresh()
    with transaction.atomic():
        transaction.on_commit(lambda: add.enqueue(1, 2))
    assert len(committed()) == 1


@in_django
def test_results_that_are_not_there_are_told() -> None:
    job, result = ship.delay(1), add.enqueue(1, 2)
    for nothing in ("999", "x", "", str(2**70), str(job.id), "٣"):
        with pytest.raises(TaskResultDoesNotExist):
            default_task_backend.get_result(nothing)
    with pytest.raises(TaskResultMismatch):
        fail.get_result(result.id)


@in_django
def test_what_it_cannot_run_is_refused() -> None:
    def local() -> None: ...

    with pytest.raises(InvalidTask, match="module level"):
        task(local)
    for wrong in ({"priority": 101}, {"priority": 1.5}, {"run_after": timezone.now().replace(tzinfo=None)}):
        with pytest.raises(InvalidTask):
            add.using(**wrong)
    with pytest.raises(TypeError, match="Unsupported type"):
        add.enqueue(object(), 1)
    assert committed() == []
    own = {"BACKEND": "workrow.django.tasks.WorkrowBackend"}
    with override_settings(TASKS={"default": {**own, "QUEUES": ["only"], "OPTIONS": {"speed": 3}}}):
        with pytest.raises(InvalidTask, match="'default' is not valid"):
            add.enqueue(1, 2)
        add.using(queue_name="only").enqueue(1, 2)
        assert [error.id for error in task_backends["default"].check()] == ["workrow.E007"]
    for name in ("defer", "async_task", "get_result", "priority"):
        assert getattr(task_backends["default"], f"supports_{name}") is True


@in_django
def test_signals_are_sent() -> None:
    seen: list[tuple[str, str, str]] = []

    def note(name: str) -> object:
        def receive(sender: type, task_result: object, **_: object) -> None:
            seen.append((name, sender.__name__, str(task_result.status)))  # type: ignore[attr-defined]

        return receive

    receivers = {
        signal: note(name) for name, signal in zip("esf", (task_enqueued, task_started, task_finished), strict=True)
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver)
    for each, arguments in ((add, (1, 2)), (fail, ("x",)), (add_slowly, (1,))):
        each.enqueue(*arguments)
        work()
    for signal, receiver in receivers.items():
        signal.disconnect(receiver)
    begin = [("e", "WorkrowBackend", "READY"), ("s", "WorkrowBackend", "RUNNING")]
    ends = [[("f", "WorkrowBackend", end)] for end in ("SUCCESSFUL", "FAILED", "SUCCESSFUL")]
    assert seen == [*begin, *ends[0], *begin, *ends[1], *begin, *ends[2]]


@in_django
def test_without_time_zones() -> None:
    with override_settings(USE_TZ=False):
        from django.db import connection

        connection.close()
        later = (timezone.now() + timedelta(hours=1)).replace(microsecond=0)
        result = add.using(run_after=later).enqueue(1, 2)
        assert default_task_backend.get_result(result.id).task.run_after == later
        connection.close()
    assert Job.objects.get(pk=result.id).scheduled_at == timezone.make_aware(later)
