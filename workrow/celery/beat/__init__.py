"""Periodic tasks, without a leader: any number of processes run beat, and one of them sends each call that is due."""

from workrow.celery.beat.beat import Beat as Beat
from workrow.celery.beat.entry import BeatLazyFunc as BeatLazyFunc
from workrow.celery.beat.entry import ScheduleEntry as ScheduleEntry
from workrow.celery.beat.entry import SchedulingError as SchedulingError
from workrow.celery.beat.entry import entries_of as entries_of
from workrow.celery.beat.process import beat_of as beat_of
from workrow.celery.beat.process import run_beat as run_beat

__all__ = ("Beat", "BeatLazyFunc", "ScheduleEntry", "SchedulingError", "beat_of", "entries_of", "run_beat")
