"""The backend for ``django.tasks``: a task is a job, its result the job's row."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.utils import timezone

from workrow.django import declared
from workrow.django.own_app import the_app
from workrow.django.theirs import (
    BaseTaskBackend,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    normalize_json,
    task_enqueued,
)

STATUSES = {"todo": TaskResultStatus.READY, "doing": TaskResultStatus.RUNNING, "succeeded": TaskResultStatus.SUCCESSFUL}
"""Of jobs; all others are failures."""
CANCELLED = "workrow.errors.JobCancelled"


class WorkrowBackend(BaseTaskBackend):
    """Enqueues in the transaction of Django's connection; workers are ``manage.py workrow worker``."""

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def validate_task(self, task: Any) -> None:
        """See Django; a task that is valid is known to the workers of this process."""
        super().validate_task(task)
        declared.remember(task)

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Insert the job. It exists exactly if the transaction of Django's connection commits.

        Raises:
            InvalidTask: of Django's, as `validate_task`.
            TypeError: an argument is no JSON.
            ArgumentError: there is more of it than ``max_payload``.
            QueueFull: the queue holds as many jobs as it may.
        """
        self.validate_task(task)
        args, kwargs = normalize_json(list(args)), normalize_json(dict(kwargs))
        at = task.run_after
        options: Any = {
            "queue": task.queue_name,
            "priority": int(task.priority),
            "at": timezone.make_aware(at) if at is not None and timezone.is_naive(at) else at,
        }
        job = the_app().tasks[task.module_path].options(**options).enqueue(args=args, kwargs=kwargs)  # type: ignore[attr-defined]
        result = TaskResult(
            task=task,
            id=str(job.id),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> Any:
        """What became of it, as the transaction of Django's connection sees it.

        Raises:
            TaskResultDoesNotExist: there is no such job, or it is none of a task that this process has imported.
        """
        from workrow.django.models import Job

        job = Job.objects.filter(pk=result_id).first() if str(result_id).isdecimal() else None
        task = None if job is None else declared.remembered(job.task)
        if job is None or task is None:
            raise TaskResultDoesNotExist(result_id)
        return self._result(task, job)

    def _result(self, task: Any, job: Any) -> Any:
        changes = {"priority": job.priority, "queue_name": job.queue, "run_after": job.scheduled_at}
        status = STATUSES.get(job.status, TaskResultStatus.FAILED)
        errors = [_error(each["type"], each["traceback"]) for each in job.errors or ()]
        if job.status in ("cancelled", "aborted"):
            errors.append(_error(CANCELLED, f"the job was {job.status}"))
        attempts = job.attempts + (job.status == "doing")
        result = TaskResult(
            task=task.using(backend=self.alias, **changes),
            id=str(job.pk),
            status=status,
            enqueued_at=job.created_at,
            started_at=job.started_at,
            last_attempted_at=job.started_at,
            finished_at=job.finished_at,
            args=job.args["args"],
            kwargs=job.args["kwargs"],
            backend=self.alias,
            errors=errors,
            worker_ids=[job.worker or ""] * attempts,
        )
        object.__setattr__(result, "_return_value", job.result)  # frozen for others; Django's own backends set it so
        return result

    def check(self, **kwargs: Any) -> Iterator[CheckMessage]:
        """What is wrong with this entry of ``settings.TASKS``."""
        yield from super().check(**kwargs)
        if not apps.is_installed("workrow.django"):
            yield Error(f"TASKS[{self.alias!r}] needs 'workrow.django' in INSTALLED_APPS.", id="workrow.E006")
        for name in self.options:
            yield Error(
                f"TASKS[{self.alias!r}]['OPTIONS'] has {name!r}, and this backend has no options.",
                hint="settings.WORKROW is where the database and the app are configured.",
                id="workrow.E007",
            )


def _error(kind: str | None, text: str | None) -> Any:
    path = kind or "builtins.Exception"
    return TaskError(exception_class_path=path if "." in path else f"builtins.{path}", traceback=text or "")
