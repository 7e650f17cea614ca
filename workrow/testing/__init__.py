"""Tests of an application with jobs: a database for each test, the real engine, and time travel.

The fixtures are in `workrow.testing.plugin`, which pytest loads by itself. Never imported by what runs in production.
"""

from workrow.testing.clock import DatabaseClock
from workrow.testing.databases import Databases, TestingError, install_clock
from workrow.testing.harness import Harness
from workrow.testing.reports import JobFailed, Ran, Waiting
from workrow.testing.travel import Clock

__all__ = [
    "Clock",
    "DatabaseClock",
    "Databases",
    "Harness",
    "JobFailed",
    "Ran",
    "TestingError",
    "Waiting",
    "install_clock",
]
