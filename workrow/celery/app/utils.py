"""What ``celery.app.utils`` has for users."""

from workrow.celery.conf import Settings as Settings
from workrow.celery.report import bugreport as bugreport
