"""What ``app.conf`` is."""

from workrow.celery.conf.meaning import is_database as is_database
from workrow.celery.conf.settings import Settings as Settings
