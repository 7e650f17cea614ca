"""The process that runs jobs."""

from workrow.worker.upstream import Worker

__all__ = ["Worker"]
