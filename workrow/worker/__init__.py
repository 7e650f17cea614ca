"""The process that runs jobs: claimer → executor → finisher, in lanes, and the loops around them."""

from workrow.worker.worker import Worker

__all__ = ["Worker"]
