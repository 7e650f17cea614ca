"""Tasks that are ``async def``."""

import asyncio
from typing import Any

from pydantic import BaseModel

from workrow.celery import Celery
from workrow.celery.exceptions import SoftTimeLimitExceeded

app = Celery("async_app")


class Point(BaseModel):
    x: int


@app.task(name="add")
async def add(x: int, y: int) -> int:
    await asyncio.sleep(0)
    return x + y


@app.task(name="who", bind=True)
async def who(self: Any) -> Any:
    await asyncio.sleep(0)
    return [self.request.id, (await asyncio.create_task(inner(self)))]


async def inner(task: Any) -> Any:
    return task.app.current_task.request.id


@app.task(name="again", bind=True)
async def again(self: Any, times: int) -> int:
    await asyncio.sleep(0)
    if self.request.retries < times:
        raise self.retry(countdown=0)
    return int(self.request.retries)


@app.task(name="auto", autoretry_for=(KeyError,), retry_kwargs={"countdown": 0, "max_retries": 2}, bind=True)
async def auto(self: Any) -> int:
    await asyncio.sleep(0)
    if self.request.retries < 2:
        raise KeyError("not yet")
    return int(self.request.retries)


@app.task(name="move", pydantic=True)
async def move(point: Point) -> Point:
    return Point(x=point.x + 1)


@app.task(name="fail")
async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("boom")


@app.task(name="catches", soft_time_limit=0.5)
async def catches() -> str:
    try:
        await asyncio.sleep(20)
    except SoftTimeLimitExceeded as error:
        await asyncio.sleep(0)
        return f"caught {error}"
    return "nothing came"


@app.task(name="too_long", soft_time_limit=0.5)
async def too_long() -> None:
    await asyncio.sleep(20)


@app.task(name="leaves_a_task")
async def leaves_a_task() -> int:
    asyncio.create_task(asyncio.sleep(20))  # noqa: RUF006
    return 1
