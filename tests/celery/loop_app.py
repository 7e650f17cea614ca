"""``async def`` tasks for a worker that runs them on its event loop."""

import asyncio
import threading
import time
from typing import Any

from workrow.celery import Celery, current_task, signals
from workrow.celery.contrib.abortable import AbortableTask
from workrow.celery.exceptions import Ignore, SoftTimeLimitExceeded

app = Celery("loop_app")
heard: list[tuple[str, str, int]] = []
"""What receivers and hooks were told: what, of which call, in which thread."""


def _hear(what: str, task_id: Any) -> None:
    heard.append((what, str(task_id), threading.get_ident()))


@signals.task_prerun.connect
def _starts(task_id: str, **_: Any) -> None:
    _hear("prerun", task_id)


@signals.task_postrun.connect
def _ends(task_id: str, **_: Any) -> None:
    _hear("postrun", task_id)


@signals.task_success.connect
def _succeeds(sender: Any, **_: Any) -> None:
    _hear("success", sender.request.id)


@signals.task_failure.connect
def _fails(task_id: str, **_: Any) -> None:
    _hear("failure", task_id)


class Hooked(app.Task):  # type: ignore[name-defined, misc]
    """Its hooks are told like the signals."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        _hear("before_start", task_id)

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        _hear("on_success", task_id)

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        _hear("on_failure", task_id)

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        _hear(f"after_return {status}", task_id)


@app.task(name="told")
async def told(task_id: str) -> Any:
    return [[what, thread] for what, of, thread in heard if of == task_id]


meeting: dict[str, Any] = {"here": 0}


@app.task(name="meet", bind=True)
async def meet(self: Any, number: int, all_of_them: int) -> Any:
    """Ends when so many run at the same time; and says who it thought it was before and after each wait."""
    before = [self.request.id, current_task.request.id, current_task.request.args[0]]
    meeting["here"] += 1
    while meeting["here"] < all_of_them:
        await asyncio.sleep(0.01)
        assert [self.request.id, current_task.request.id, current_task.request.args[0]] == before
    in_a_thread = await asyncio.to_thread(lambda: current_task.request.id)
    return [before, in_a_thread, threading.get_ident()]


@app.task(name="works", base=Hooked)
async def works(value: int) -> int:
    await asyncio.sleep(0)
    return value + 1


@app.task(name="breaks", base=Hooked)
async def breaks() -> None:
    await asyncio.sleep(0)
    raise ValueError("boom")


@app.task(name="ignored")
async def ignored() -> None:
    await asyncio.sleep(0)
    raise Ignore


@app.task(name="soft", soft_time_limit=0.3)
async def soft(catches: bool) -> str:
    try:
        await asyncio.sleep(SECONDS)
    except SoftTimeLimitExceeded as error:
        if not catches:
            raise
        await asyncio.sleep(0)
        return repr(error)
    return "nothing came"


@app.task(name="hard", time_limit=0.3)
async def hard() -> str:
    while True:
        try:
            await asyncio.sleep(SECONDS)
        except asyncio.CancelledError:
            return "I do not care"


SECONDS = 60.0
ended: list[str] = []


@app.task(name="waits", bind=True)
async def waits(self: Any) -> None:
    self.update_state(state="WAITS", meta={"n": 1})
    try:
        await asyncio.sleep(SECONDS)
    finally:
        ended.append(self.request.id)


@app.task(name="how_it_ended")
async def how_it_ended(task_id: str) -> bool:
    return task_id in ended


@app.task(name="says", bind=True)
async def says(self: Any, times: int) -> float:
    """How long the loop took for it at most, in seconds."""
    longest = 0.0
    for n in range(times):
        began = time.monotonic()
        self.update_state(state="PROGRESS", meta={"n": n})
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0)
    return longest


@app.task(name="says_and_fails", bind=True)
async def says_and_fails(self: Any) -> None:
    self.update_state(state="PROGRESS", meta={"n": 1})
    raise KeyError("boom")


@app.task(name="until_aborted", base=AbortableTask, bind=True)
async def until_aborted(self: Any) -> str:
    while not await asyncio.to_thread(self.is_aborted):
        await asyncio.sleep(0.01)
    return "aborted"


@app.task(name="blocks")
async def blocks(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251
