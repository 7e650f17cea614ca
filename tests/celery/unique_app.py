"""An app whose calls are unique, for workers in processes of their own."""

from typing import Any

from workrow import Limit, Unique
from workrow.celery import Celery

app = Celery("unique_app")


@app.task(name="sync", unique=("user_id",))
def sync(user_id: int, full: bool = False) -> int:
    return user_id


@app.task(name="every", unique=Unique())
def every(x: int, y: int = 2, **more: Any) -> int:
    return x + y


@app.task(name="latest", unique=Unique(by=("x",), on_conflict="replace"))
def latest(x: int, word: str) -> str:
    return word


@app.task(name="plain")
def plain(x: Any) -> Any:
    return x


@app.task(name="tries", bind=True, unique=("x",))
def tries(self: Any, x: int) -> int:
    if not self.request.retries:
        raise self.retry(countdown=1)
    return x


@app.task(name="hourly", bind=True, unique=Unique(by=("word",), within=3600))
def hourly(self: Any, word: str) -> str:
    if not self.request.retries and word == "fails":
        raise self.retry(countdown=0)
    if word == "fails":
        raise ValueError(word)
    return word


@app.task(name="limited", limits=Limit(1))
def limited(x: int) -> int:
    return x
