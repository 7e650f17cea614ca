"""Our own tasks: ``procrastinate --app=benchmarks.tasks.app worker`` runs them."""

import os

import workrow
from benchmarks.programs import marks

app = workrow.App(lambda: os.environ["DATABASE_URL"])


@app.task(name="noop", queue="bench")
async def noop() -> None:
    marks.tick()


@app.task(name="noop_sync", queue="bench")
def noop_sync() -> None:
    marks.tick()


@app.task(name="noop_process", queue="bench", run_in="process")
def noop_process() -> None:
    marks.tick()


@app.task(name="noop_kept", queue="bench", results=True)
def noop_kept() -> int:
    marks.tick()
    return 1


@app.task(name="keyed", queue="bench")
async def keyed(tenant: int) -> None:
    marks.tick()


@app.task(name="relay", queue="bench")
async def relay(left: int) -> None:
    marks.tick()
    if left:
        await relay.enqueue(None, left - 1)


@app.task(name="limited", queue="bench", limits=workrow.Limit(2, key="tenant"))
async def limited(tenant: int) -> None:
    marks.tick()


@app.task(name="unique", queue="bench", unique=("tenant",))
async def unique(tenant: int) -> None:
    marks.tick()


@app.task(name="rated", queue="bench", limits=workrow.Rate("100/s"))
async def rated() -> None:
    marks.tick()


@app.task(name="ping", queue="bench")
async def ping(sent: float) -> None:
    marks.ping(sent)
