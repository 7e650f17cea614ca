"""The views in Django's admin: read-only, with the actions retry and cancel for jobs."""

from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.utils.functional import cached_property

from workrow.django import models
from workrow.errors import WorkflowError

COUNT_MOST = 10_000
"""Rows that are counted for the pages of a list: to count all of history would take as long as reading it."""


class Pages(Paginator):
    """Of a list whose end nobody looks for."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, or `COUNT_MOST`."""
        return self.object_list.order_by()[:COUNT_MOST].count()  # type: ignore[no-any-return]


class ViewAdmin(admin.ModelAdmin):
    """What a view is in the admin: to be looked at."""

    paginator = Pages
    show_full_result_count = False

    def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        """Nobody."""
        return False


@admin.register(models.Job)
class JobAdmin(ViewAdmin):
    """``workrow.jobs``. Who has ``retry_job`` or ``cancel_job`` has the action."""

    list_display = ("id", "task", "queue", "status", "attempts", "created_at", "started_at", "finished_at", "error")
    list_filter = ("status",)
    search_fields = ("id", "task", "queue")
    search_help_text = "an id, a task or a queue"
    actions = ("retry", "cancel")

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By exactly what was typed: a part of a name would be looked for in every row."""
        term = search_term.strip()
        if term.isascii() and term.isdigit():
            return queryset.filter(pk=int(term)), False
        if term:
            queryset = queryset.filter(task=term) | queryset.filter(queue=term)
        return queryset, False

    def has_retry_permission(self, request: Any) -> bool:
        """Whether the user may let jobs run again."""
        return bool(request.user.has_perm("workrow.retry_job"))

    def has_cancel_permission(self, request: Any) -> bool:
        """Whether the user may cancel jobs."""
        return bool(request.user.has_perm("workrow.cancel_job"))

    @admin.action(description="Retry the selected jobs", permissions=["retry"])
    def retry(self, request: Any, queryset: Any) -> None:
        """Let what failed, was cancelled or aborted run again."""
        verdicts: Counter[str] = Counter()
        for job in queryset:
            try:
                verdicts[job.retry() or "not failed"] += 1
            except WorkflowError as error:
                self.message_user(request, str(error), messages.WARNING)
        self._tell(request, verdicts, "queued")

    @admin.action(description="Cancel the selected jobs", permissions=["cancel"])
    def cancel(self, request: Any, queryset: Any) -> None:
        """Cancel what waits, and ask what runs to abort."""
        self._tell(request, Counter(job.cancel() or "ended already" for job in queryset), "cancelled", "aborting")

    def _tell(self, request: Any, verdicts: Counter[str], *good: str) -> None:
        for verdict, count in verdicts.items():
            level = messages.SUCCESS if verdict in good else messages.WARNING
            self.message_user(request, f"{count} {'job' if count == 1 else 'jobs'}: {verdict}", level)


@admin.register(models.Queue)
class QueueAdmin(ViewAdmin):
    """``workrow.queues``."""

    list_display = ("queue", "depth", "ready", "scheduled", "running", "oldest_ready_at")


@admin.register(models.Worker)
class WorkerAdmin(ViewAdmin):
    """``workrow.workers``."""

    list_display = ("name", "host", "pid", "alive", "running", "concurrency", "started_at", "last_heartbeat")


@admin.register(models.Schedule)
class ScheduleAdmin(ViewAdmin):
    """``workrow.schedules``."""

    list_display = ("name", "task", "source", "cron", "every", "next_due_at", "last_due_at", "paused_at")


@admin.register(models.Workflow)
class WorkflowAdmin(ViewAdmin):
    """``workrow.workflows``."""

    list_display = ("id", "name", "state", "size", "done", "failed", "created_at", "ended_at", "error")
