"""A module as a team has it: written for Celery, run by Celery's workers and by workrow's as it is."""

import os
import time
from typing import Any

import redis
from celery import Celery, chain, chord, group, shared_task
from celery.exceptions import Ignore
from celery.utils.log import get_task_logger
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from workrow.celery import bridge

URL = os.environ["BRIDGE_REDIS"]
app = Celery("bridge_shop", broker=URL, backend=URL)
app.set_default()  # of all threads: Celery's shared tasks belong to the app of the thread that calls them
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_send_task_events = False
app.conf.task_routes = {"shop.slow": {"queue": "slow"}}
app.conf.beat_schedule = {"often": {"task": "shop.side", "schedule": 0.3, "kwargs": {"user": "beat"}}}
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"))
Session = sessionmaker(engine)
bridge.install(app, roll_back=[Session], sticky={"shop.by_half": lambda n: n // 10})
logger = get_task_logger(__name__)
notes = redis.Redis.from_url(URL)
SIDE = "old" if type(app).__module__.startswith("celery.") else "here"


def note(what: Any) -> None:
    notes.rpush("ran", f"{SIDE} {what}")


@shared_task(name="shop.count")
def count(n: int) -> int:
    note(n)
    return n + 1


@shared_task(name="shop.by_half")
def by_half(n: int) -> str:
    note(n)
    return SIDE


@shared_task(name="shop.side")
def side(*_: Any, user: str = "nobody") -> str:
    note(user)
    return SIDE


@shared_task(name="shop.slow")
def slow(seconds: float) -> str:
    time.sleep(seconds)
    return SIDE


@shared_task(name="shop.add")
def add(x: int, y: int) -> int:
    note("add")
    return x + y


@shared_task(name="shop.total")
def total(numbers: list[int]) -> int:
    note("total")
    return sum(numbers)


@shared_task(name="shop.fail", bind=True)
def fail(self: Any, text: str) -> None:
    raise KeyError(text, self.name)


@shared_task(name="shop.again", bind=True, default_retry_delay=0)
def again(self: Any, times: int) -> str:
    note(f"again {self.request.retries}")
    if self.request.retries < times:
        raise self.retry(countdown=0)
    return SIDE


@shared_task(name="shop.caller")
def caller(n: int) -> list[str]:
    note("caller")
    count.delay(n)
    return [SIDE, add.delay(n, n).id]


@shared_task(name="shop.writes")
def writes(name: str) -> str:
    with Session() as session:
        session.execute(text("INSERT INTO shop_orders (name) VALUES (:name)"), {"name": f"{name} {SIDE}"})
        session.commit()
    with Session() as session:
        found = session.execute(text("SELECT count(*) FROM shop_orders WHERE name = :name"), {"name": f"{name} {SIDE}"})
        seen = found.scalar_one()
    count.delay(-1)
    return f"{name} {seen}"


@shared_task(name="shop.other")
def other() -> str:
    return SIDE


@shared_task(name="shop.ignored")
def ignored() -> None:
    raise Ignore


def canvas(x: int) -> Any:
    return chain(group(add.s(x, n) for n in range(3)) | total.s(), add.s(1))


def header(x: int) -> Any:
    return chord([add.s(x, n) for n in range(5)], total.s())
