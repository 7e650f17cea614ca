"""An app for workers in processes of their own."""

import json
import os
import time
from typing import Any

from workrow import Limit
from workrow.celery import Celery
from workrow.celery.exceptions import Reject, SoftTimeLimitExceeded
from workrow.celery.utils.log import get_task_logger
from workrow.celery.worker.control import control_command

logger = get_task_logger(__name__)
app = Celery("worker_app", include=["tests.celery.worker_more"])
app.conf.task_acks_late = False
app.conf.update(json.loads(os.environ.get("CONF", "{}")))


@app.task(name="add")
def add(x: int, y: int) -> int:
    return x + y


@app.task(name="xsum")
def xsum(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(name="environment")
def environment() -> list[str]:
    return sorted(os.environ)


@app.task(name="fail")
def fail(*_: Any) -> None:
    raise ValueError("boom")


@app.task(name="fails_unheard", ignore_result=True, store_errors_even_if_ignored=True)
def fails_unheard() -> None:
    raise ValueError("boom")


@app.task(name="again", bind=True)
def again(self: Any, times: int) -> int:
    if self.request.retries < times:
        raise self.retry(countdown=0)
    return int(self.request.retries)


@app.task(name="sleep")
def sleep(seconds: float) -> float:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.02)
    return seconds


@app.task(name="catches", soft_time_limit=0.5)
def catches() -> str:
    try:
        sleep.run(20)
    except SoftTimeLimitExceeded as error:
        return str(error)
    return "nothing came"


@app.task(name="die")
def die() -> None:
    os._exit(3)


@app.task(name="die_late", bind=True, acks_late=True, reject_on_worker_lost=True)
def die_late(self: Any) -> bool:
    if not self.request.delivery_info["redelivered"]:
        os._exit(3)
    return True


@app.task(name="progress", bind=True)
def progress(self: Any) -> None:
    self.update_state(state="PROGRESS", meta={"done": 1})
    sleep.run(1)


@app.task(name="old_errback")
def old_errback(task_id: str) -> str:
    return task_id


@app.task(name="says")
def says() -> None:
    logger.info("by its logger")
    print("by print")  # noqa: T201


@app.task(name="process_id")
def process_id() -> int:
    return os.getpid()


@app.task(name="limited", rate_limit="10/m")
def limited() -> int:
    return 1


@app.task(name="kept", limits=[Limit(1, key="who"), Limit(3)], rate_limit="1/h")
def kept(who: str) -> str:
    return who


@app.task(name="kept_apart", limits=Limit(1, key="who"))
def kept_apart(who: str) -> str:
    return who


@control_command(args=[("word", str)])
def said(state: Any, word: str) -> Any:
    """A command of an app's own."""
    return {"ok": f"{state.hostname}: {word}"}


@app.task(name="rarely", rate_limit="1/h")
def rarely(x: int) -> int:
    return x


@app.task(name="not_here", bind=True, acks_late=True)
def not_here(self: Any) -> bool:
    if not self.request.delivery_info["redelivered"]:
        raise Reject("not here", requeue=True)
    return True
