"""When a periodic task is due, in Celery's words: every so often, at times of the clock, at events of the sun."""

from workrow.celery.schedules.base import App as App
from workrow.celery.schedules.base import BaseSchedule as BaseSchedule
from workrow.celery.schedules.base import schedstate as schedstate
from workrow.celery.schedules.clock import crontab as crontab
from workrow.celery.schedules.fields import ParseException as ParseException
from workrow.celery.schedules.fields import crontab_parser as crontab_parser
from workrow.celery.schedules.interval import maybe_schedule as maybe_schedule
from workrow.celery.schedules.interval import schedule as schedule
from workrow.celery.schedules.sun import solar as solar

__all__ = ("ParseException", "crontab", "crontab_parser", "maybe_schedule", "schedule", "solar")
