"""Celery's app, and with arguments its client."""

import os
import time

import marks
import protocol
from celery import Celery

URL = os.environ["BENCHMARK_REDIS_URL"]
app = Celery("bench", broker=URL, backend=URL)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=os.environ.get("BENCHMARK_ACKS") != "early",
    worker_prefetch_multiplier=int(os.environ.get("BENCHMARK_PREFETCH", "1000")),
    task_default_queue="bench",
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task(name="noop")
def noop() -> None:
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
        self._tasks = {each.name: each for each in (noop, noop_sync, noop_process, noop_kept)}
        self._producer = app.amqp.producer_pool.acquire(block=True)

    async def close(self) -> None:
        self._producer.release()

    async def warm_up(self) -> None:
        self._producer.connection.ensure_connection()

    async def single(self, task: str) -> None:
        self._tasks[task].apply_async(producer=self._producer)

    async def many(self, task: str, count: int) -> None:
        for _ in range(count):
            self._tasks[task].apply_async(producer=self._producer)

    bulk = many

    async def ping(self) -> None:
        ping.apply_async((time.time(),), producer=self._producer)


if __name__ == "__main__":
    protocol.main(Client())
