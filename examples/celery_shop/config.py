"""The settings, by Celery's names."""

import os
from datetime import timedelta

from examples.celery_shop.words import ON_CELERY, schedules

broker_url = os.environ["SHOP_URL"]
result_backend = broker_url if ON_CELERY else None
broker_connection_retry_on_startup = True

task_default_queue = "shop"
task_routes = {"shop.mail.*": {"queue": "mail"}, "shop.reports.nightly": "mail"}
task_annotations = {"shop.mail.send": {"rate_limit": "200/s"}}
task_track_started = True
worker_prefetch_multiplier = 1
worker_hijack_root_logger = False

timezone = "Europe/Berlin"
beat_schedule_filename = os.path.join(os.environ["SHOP_FOLDER"], "beat")
beat_schedule = {
    "watch the shelves": {"task": "shop.stock.watch", "schedule": timedelta(seconds=1), "args": (2,)},
    "nightly figures": {"task": "shop.reports.nightly", "schedule": schedules.crontab(hour=2, minute=30)},
    "monday's newsletter": {
        "task": "shop.mail.newsletter",
        "schedule": schedules.crontab(hour="9", minute=0, day_of_week="mon"),
        "kwargs": {"subject": "This week"},
        "options": {"priority": 3, "expires": 3600},
    },
}
