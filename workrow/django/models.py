"""The public views as models: to read, to filter, to join in Python; see docs/monitoring.md for the columns.

Nothing is written through them: tasks enqueue jobs, and ``Job.cancel()`` and ``Job.retry()`` tell them what to do.
"""

from typing import Any, NoReturn

from django.db import models

STATUSES = ("todo", "doing", "succeeded", "failed", "cancelled", "aborted")


def _refused(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    model = getattr(self, "model", type(self))
    raise TypeError(
        f"{model.__name__} is the view {model._meta.db_table}, and is only read: enqueue with a task; job.cancel() and "
        "job.retry() tell a job what to do"
    )


class Rows(models.QuerySet):
    """Of a view: to be read."""

    create = update = delete = bulk_create = bulk_update = get_or_create = update_or_create = _refused


class Viewed(models.Manager.from_queryset(Rows)):  # type: ignore[misc]
    """Reads the database that jobs are in, whichever that is."""

    def get_queryset(self) -> Any:
        """See Django."""
        from workrow.django.own_app import the_app

        rows = super().get_queryset()
        return rows if self._db else rows.using(the_app().connector.alias)  # type: ignore[attr-defined]


class TextArray(models.Field):
    """A ``text[]``, read as a list; ``django.contrib.postgres`` need not be installed."""

    def db_type(self, connection: Any) -> str:
        """See Django."""
        return "text[]"


class View(models.Model):
    """What all of these share."""

    objects = Viewed()

    save = delete = _refused

    class Meta:
        abstract = True


class Job(View):
    """A job, live or finished: ``workrow.jobs``."""

    id = models.BigIntegerField(primary_key=True)
    task = models.CharField(max_length=128)
    queue = models.CharField(max_length=128)
    status = models.CharField(max_length=32, choices=[(each, each) for each in STATUSES])
    priority = models.IntegerField()
    lock = models.TextField(null=True)
    queueing_lock = models.TextField(null=True)
    args = models.JSONField()
    scheduled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    attempts = models.IntegerField()
    worker = models.TextField(null=True)
    worker_id = models.BigIntegerField(null=True)
    result = models.JSONField(null=True)
    error = models.TextField(null=True)
    error_type = models.TextField(null=True)
    traceback = models.TextField(null=True)
    errors = models.JSONField(null=True)
    discarded = models.BooleanField()
    claims = models.IntegerField()
    crashes = models.IntegerField()
    quarantine = models.TextField(null=True)
    version = models.SmallIntegerField()
    unique_key = models.TextField(null=True)
    expires_at = models.DateTimeField(null=True)
    progress = models.JSONField(null=True)
    line = models.TextField(null=True)

    class Meta(View.Meta):
        managed = False
        db_table = '"workrow"."jobs"'
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = (("retry_job", "Can retry a job"), ("cancel_job", "Can cancel a job"))

    def __str__(self) -> str:
        return f"{self.task}[{self.id}]"

    def cancel(self, *, terminate: bool = False) -> str | None:
        """See `workrow.Job.cancel`; in the transaction of Django's connection."""
        return self._handle().cancel_sync(terminate=terminate)  # type: ignore[no-any-return]

    def retry(self) -> str | None:
        """See `workrow.Job.retry`; in the transaction of Django's connection."""
        return self._handle().retry_sync()  # type: ignore[no-any-return]

    def _handle(self) -> Any:
        from workrow.django.own_app import the_app

        return the_app().job(self.pk)


class Queue(View):
    """A queue that has a job, live or finished: ``workrow.queues``."""

    queue = models.CharField(max_length=128, primary_key=True)
    depth = models.BigIntegerField()
    ready = models.BigIntegerField()
    scheduled = models.BigIntegerField()
    running = models.BigIntegerField()
    oldest_ready_at = models.DateTimeField(null=True)
    oldest_ready_seconds = models.FloatField(null=True)

    class Meta(View.Meta):
        managed = False
        db_table = '"workrow"."queues"'
        ordering = ("queue",)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.queue)


class Worker(View):
    """A registered worker: ``workrow.workers``."""

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField(null=True)
    host = models.TextField(null=True)
    pid = models.IntegerField(null=True)
    queues = TextArray(null=True)
    concurrency = models.IntegerField(null=True)
    version = models.TextField(null=True)
    started_at = models.DateTimeField(null=True)
    last_heartbeat = models.DateTimeField(null=True)
    heartbeat_age_seconds = models.FloatField(null=True)
    alive = models.BooleanField()
    running = models.BigIntegerField()
    lease_seconds = models.FloatField()
    tasks = TextArray(null=True)
    refused = models.IntegerField(null=True)
    stopping_at = models.DateTimeField(null=True)

    class Meta(View.Meta):
        managed = False
        db_table = '"workrow"."workers"'
        ordering = ("id",)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name or f"worker {self.pk}"


class Schedule(View):
    """A schedule, declared in code or created at run time: ``workrow.schedules``."""

    name = models.TextField(primary_key=True)
    task = models.TextField()
    source = models.TextField()
    cron = models.TextField(null=True)
    every = models.DurationField(null=True)
    timezone = models.TextField(null=True)
    args = models.JSONField(null=True)
    queue = models.TextField(null=True)
    priority = models.IntegerField(null=True)
    missed = models.TextField(null=True)
    catch_up = models.IntegerField(null=True)
    max_late = models.DurationField(null=True)
    overlap = models.TextField(null=True)
    jitter = models.DurationField(null=True)
    next_due_at = models.DateTimeField(null=True)
    last_due_at = models.DateTimeField(null=True)
    last_job_id = models.BigIntegerField(null=True)
    last_tick = models.DateTimeField(null=True)
    skipped = models.BigIntegerField(null=True)
    last_skipped_at = models.DateTimeField(null=True)
    skip_reason = models.TextField(null=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.TextField(null=True)
    pause_reason = models.TextField(null=True)
    orphaned = models.BooleanField()
    created_at = models.DateTimeField(null=True)

    class Meta(View.Meta):
        managed = False
        db_table = '"workrow"."schedules"'
        ordering = ("name",)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.name)


class Workflow(View):
    """A workflow or a batch of jobs, running or ended: ``workrow.workflows``."""

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField(null=True)
    state = models.TextField()
    size = models.IntegerField()
    done = models.IntegerField()
    failed = models.IntegerField()
    progress = models.FloatField()
    on_failure = models.TextField()
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    expected_end = models.DateTimeField(null=True)
    error_type = models.TextField(null=True)
    error = models.TextField(null=True)

    class Meta(View.Meta):
        managed = False
        db_table = '"workrow"."workflows"'
        ordering = ("-id",)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.name}[{self.pk}]"
