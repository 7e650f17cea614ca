"""How the service shows what several of its routes show."""

from datetime import datetime
from typing import Any

from jobs.api.requests import View


class JobView(View):
    """A job as the view ``workrow.jobs`` shows it. ``error`` is that of the latest attempt that failed."""

    id: int
    task: str
    queue: str
    status: str
    attempts: int
    result: Any
    error: str | None
    error_type: str | None
    discarded: bool | None
    created_at: datetime | None
    scheduled_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    progress: dict[str, Any] | None
