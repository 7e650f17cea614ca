"""Tests of an application with jobs: a database for each test, the real engine, and time travel.

The fixtures are in `workrow.testing.plugin`, which pytest loads by itself. Never imported by what runs in production.
"""

from workrow.testing.blocking import BlockingHarness
from workrow.testing.clock import DatabaseClock
from workrow.testing.databases import Databases, TestingError, install_clock
from workrow.testing.harness import Harness
from workrow.testing.inline import inline
from workrow.testing.reports import AttemptFailed, Ran, Waiting
from workrow.testing.travel import Clock

__all__ = [
    "AttemptFailed",
    "BlockingHarness",
    "Clock",
    "DatabaseClock",
    "Databases",
    "Harness",
    "Ran",
    "TestingError",
    "Waiting",
    "inline",
    "install_clock",
]
