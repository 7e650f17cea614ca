"""The app of the Celery door, and with arguments its client."""

import os
import time
from typing import Any

from benchmarks.programs import marks, protocol
from workrow.celery import Celery

app = Celery("bench", broker=os.environ["DATABASE_URL"])
app.conf.update(task_ignore_result=True, task_default_queue="bench")


@app.task(name="noop")
async def noop() -> None:
    marks.tick()


@app.task(name="noop_sync")
def noop_sync() -> None:
    marks.tick()


@app.task(name="noop_process")
def noop_process() -> None:
    marks.tick()


@app.task(name="noop_kept", ignore_result=False)
def noop_kept() -> int:
    marks.tick()
    return 1


@app.task(name="ping")
def ping(sent: float) -> None:
    marks.ping(sent)


class Client:
    async def open(self) -> None:
        self._tasks: dict[str, Any] = {each.name: each for each in (noop, noop_sync, noop_process, noop_kept)}

    async def close(self) -> None:
        app.close()

    async def warm_up(self) -> None:
        app.AsyncResult("nobody").state  # noqa: B018 - opens a connection

    async def single(self, task: str) -> None:
        self._tasks[task].delay()

    async def many(self, task: str, count: int) -> None:
        call = self._tasks[task]
        with app.together():
            for _ in range(count):
                call.delay()

    bulk = many

    async def ping(self) -> None:
        ping.delay(time.time())  # type: ignore[attr-defined]


if __name__ == "__main__":
    protocol.main(Client())
