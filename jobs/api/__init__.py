"""The HTTP service: ``uvicorn jobs.api:api``.

A handler works in one transaction, and the jobs that it enqueues are part of it: they exist exactly if it commits.
"""

from jobs.api.service import api

__all__ = ["api"]
