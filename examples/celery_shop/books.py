"""What the shop keeps by signals: the log of the day, and how the runs of each task have ended."""

import logging
import os

from examples.celery_shop import store
from examples.celery_shop.words import signals

LOG = "day.log"


@signals.after_setup_task_logger.connect
def write_the_log(logger, **_):
    handler = logging.FileHandler(os.path.join(os.environ["SHOP_FOLDER"], LOG))
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


@signals.before_task_publish.connect
def sent(sender=None, headers=None, **_):
    # whoever sends it tells the others where it comes from
    headers["till"] = os.environ.get("SHOP_TILL", "worker")


@signals.task_prerun.connect
def begins(task=None, **_):
    store.count(f"{task.name} runs")


@signals.task_postrun.connect
def ends(task=None, state=None, **_):
    store.count(f"{task.name} ended {state}")


@signals.task_success.connect
def succeeded(sender=None, **_):
    store.count(f"{sender.name} task_success")


@signals.task_failure.connect
def failed(sender=None, exception=None, **_):
    store.count(f"{sender.name} task_failure {type(exception).__name__}")


@signals.task_retry.connect
def retried(sender=None, reason=None, **_):
    store.count(f"{sender.name} task_retry {reason}")


@signals.task_revoked.connect
def revoked(request=None, expired=None, **_):
    store.count(f"{request.task} task_revoked {'expired' if expired else 'revoked'}")


@signals.worker_ready.connect
def opened(**_):
    store.count("worker_ready")
