"""An app that child processes find, with a task that asks its context."""

import os
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

import workrow

app = workrow.App(lambda: os.environ["WORKROW_TEST_PROCESS_APP"])


@app.task(name="last", run_in="process", retry=workrow.Retry(max_attempts=2, wait=0))
def last(ctx: workrow.JobContext) -> str:
    if ctx.attempt == 1:
        raise ValueError(f"last: {ctx.is_last_attempt}")
    return f"attempt {ctx.attempt}, last: {ctx.is_last_attempt}"


@dataclass
class Size:
    cm: int


@app.task(name="measure", hide=["word"])
async def measure(size: Size, word: SecretStr) -> str:
    return f"{size.cm} cm, {word.get_secret_value()}"


@app.task(name="count")
async def count(sizes: list[str]) -> int:
    return len(sizes)


@app.task(name="split", run_in="process")
def split(sizes: list[int]) -> Any:
    return workrow.group([measure.options(priority=7).s(Size(each), SecretStr("hush")) for each in sizes])


@app.task(name="unfit", run_in="process")
def unfit() -> Any:
    return workrow.chain(count.s([]), measure.s())


def give_back() -> Any:
    return workrow.chain(count.s([]))


other = workrow.App("postgresql:///other")


@other.task(name="elsewhere")
async def elsewhere() -> None: ...


@app.task(name="strange", run_in="process")
def strange() -> Any:
    return workrow.group(count.s([]), elsewhere.s())


@app.task(name="stranger", run_in="process")
def stranger() -> Any:
    return workrow.group(elsewhere.s())
