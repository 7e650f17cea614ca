"""Celery's priorities on Redis, as those of jobs."""

from typing import Any

STEPS = (0, 3, 6, 9)
"""0 runs first; between two steps all are alike. https://docs.celeryq.dev/en/v5.7.0/userguide/routing.html"""


def job_priority(priority: Any) -> int:
    """Of a job, where the higher one runs first."""
    try:
        given = int(priority or 0)
    except (TypeError, ValueError):
        given = 0
    return -max([step for step in STEPS if step <= given], default=0)
