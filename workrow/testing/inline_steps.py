"""Steps in inline mode: they run at once, and nothing is recorded."""

from typing import Any

from workrow.arguments.jsonb import dump_result
from workrow.errors import SignalTimeout
from workrow.testing.databases import TestingError
from workrow.worker.outcome import Wait
from workrow.worker.running.steps.attempt import Steps
from workrow.worker.running.steps.in_thread import InThread
from workrow.worker.running.steps.on_loop import OnLoop
from workrow.worker.running.steps.record import Record
from workrow.worker.running.steps.requests import Ask, Enqueue, Op


class InlineAttempt(Steps):
    """No time passes, and nobody signals."""

    def _wait(self, wait: Wait) -> Op[None]:
        if wait.kind == "wait":
            if wait.seconds is None:
                raise TestingError(
                    f"{self._claimed} would wait for the signal {wait.signal!r}, which nobody can send inline: give it "
                    "a timeout, or let drain() run it"
                )
            raise SignalTimeout(f"{self._claimed}: inline, nobody sends the signal {wait.signal!r}")
        return
        yield  # a generator


class InlineOnLoop(OnLoop):
    """Of async tasks."""

    attempt = InlineAttempt

    async def _ask(self, request: Ask, *, turn: bool = True) -> list[Any]:
        return _answer(request.statement, dict(request.params))

    async def _record_within(self, on: Any, params: dict[str, Any]) -> Any:
        return _answer("record_step", params)[0]

    async def _enqueue(self, request: Enqueue) -> Record:
        job = await request.call.enqueue(self._on, *request.args, **request.kwargs)
        return _record(request, await job.result(timeout=0))


class InlineInThread(InThread):
    """Of sync tasks."""

    attempt = InlineAttempt

    def _ask(self, request: Ask) -> list[Any]:
        return _answer(request.statement, dict(request.params))

    def _record_within(self, on: Any, params: dict[str, Any]) -> Any:
        return _answer("record_step", params)[0]

    def _enqueue(self, request: Enqueue) -> Record:
        call = request.call
        job = call._insert_own(call._bind(request.args, request.kwargs))
        return _record(request, job.result_sync(timeout=0))


def _answer(statement: str, params: dict[str, Any]) -> list[Any]:
    """What the database would have answered."""
    if statement == "record_step":
        return [(params["result"], params["error"])]
    if statement == "end_wait":
        return [(params["at_once"], None, '{"type": "workrow.SignalTimeout"}' if params["at_once"] else None)]
    return []  # load_steps: there are none


def _record(request: Enqueue, result: Any) -> Record:
    return Record(request.name, "call", result=dump_result(request.call._task.returns.dump(result)))
