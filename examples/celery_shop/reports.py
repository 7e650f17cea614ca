"""Reports: slow ones, endless ones, and those that nobody may wait for."""

import time

from examples.celery_shop import store
from examples.celery_shop.app import app
from examples.celery_shop.stock import label
from examples.celery_shop.words import exceptions, get_task_logger

logger = get_task_logger("shop.reports")


@app.task(name="shop.reports.slow", soft_time_limit=1, time_limit=30)
def slow():
    """Ends itself in time."""
    try:
        time.sleep(20)
    except exceptions.SoftTimeLimitExceeded:
        logger.info("the slow report stops early")
        return "half a report"
    return "a whole report"


@app.task(name="shop.reports.endless", time_limit=1)
def endless():
    """Is ended."""
    store.count("endless begins")
    time.sleep(60)


@app.task(name="shop.reports.nightly", bind=True)
def nightly(self):
    return self.request.delivery_info["routing_key"]


@app.task(name="shop.reports.waits")
def waits():
    """Does what Celery forbids."""
    try:
        label.delay("nobody").get(timeout=5)
    except RuntimeError as error:
        return str(error).splitlines()[0]


@app.task(name="shop.reports.fails")
def fails(how):
    raise KeyError(how)


@app.task(name="shop.reports.summary", typing=True)
def summary(parts, *, title):
    """The body of a chord, with one in its header."""
    pieces, orders = parts
    return f"{title}: {pieces} pieces, {orders}"


@app.task(name="shop.reports.orders")
def orders():
    return dict(store.rows("SELECT state, COUNT(*) FROM orders GROUP BY state ORDER BY state"))
