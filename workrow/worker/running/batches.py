"""Jobs of one task that run as one call of its function."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import TracebackType
from typing import Any

from workrow.arguments.payload import Arguments
from workrow.arguments.secrets import Values, concealing
from workrow.declare.batch import BatchHandler
from workrow.errors import LeaseLost, brief
from workrow.job import at_work
from workrow.worker.outcome import Claimed, Outcome
from workrow.worker.running.outcomes import Outcomes

SHOWN = 3
"""Ids that the name of a batch has."""

Call = Callable[["Together", Any], Awaitable[Any]]
"""Calls the function for a batch, with the context of its first job."""


@dataclass(slots=True)
class _Part:
    """What a job has brought, and what it is answered."""

    item: Any
    context: Any
    hidden: Values
    answer: Any = None
    traceback: TracebackType | None = None


class Together:
    """The jobs of one call. Each has an attempt of its own, with its hooks and its end; they meet here for the call.

    Args:
        jobs: in the order in which the function gets them.
        context: what the call sees of the worker's context variables: what is there now may be of a job that has ended.

    Attributes:
        id: of the first one; what the call is known by in a thread.
        args: what the function is called with.
    """

    def __init__(self, jobs: Sequence[Claimed], context: contextvars.Context) -> None:
        self.id = jobs[0].id
        self.args: Arguments = {}
        self._jobs = jobs
        self._called: list[Claimed] = []
        self._left = len(jobs)
        self._awaited = {each.id for each in jobs}
        self._waiting: set[int] = set()
        self._parts: dict[int, _Part] = {}
        self._run: Callable[[], Any] | None = None
        self._call: asyncio.Task[None] | None = None
        self._broken = False
        self._over = asyncio.Event()
        self._context = context.copy()

    def __str__(self) -> str:
        ids = [str(each.id) for each in self._jobs[:SHOWN]]
        return f"{self._jobs[0].task}[{', '.join(ids)}{', …' if len(self._jobs) > SHOWN else ''}]"

    def hold_progress(self) -> None:
        """See `Claimed.hold_progress`; of all of them."""
        for claimed in self._jobs:
            claimed.hold_progress()

    async def join(
        self, claimed: Claimed, handler: BatchHandler, context: Any, call: Call, end: Callable[[int], object] | None
    ) -> Any:
        """Wait until all are there or have given up, and for the call; return the answer for this job, or raise it.

        Args:
            claimed: the job.
            handler: what the function takes.
            context: of the job.
            call: see `Call`.
            end: ends the call of this id, where cancelling it does not.

        Raises:
            Misfit: the arguments do not fit.
            asyncio.CancelledError: the job has left; the call goes on for the others, and ends with the last one.
        """
        part = _Part(handler.item(claimed.args), context, concealing.get())
        self._parts[claimed.id] = part
        self._waiting.add(claimed.id)
        self._run = partial(self._call_for, handler, call)
        try:
            self.not_awaited(claimed)
            await self._over.wait()
        except asyncio.CancelledError:
            await self._leave(claimed, handler, end)
            raise
        answer = part.answer
        if not _failed(answer):
            return answer
        concealing.set(lambda: self._hidden)
        if part.traceback:
            # all jobs of a call that failed raise the same one; each adds to its traceback
            raise BaseException.with_traceback(answer, part.traceback)
        raise answer

    def not_awaited(self, claimed: Claimed) -> None:
        """A job is there, or will not come: the call begins when the last one is."""
        self._awaited.discard(claimed.id)
        if not self._awaited and self._parts and self._run and self._call is None:
            self._call = asyncio.get_running_loop().create_task(self._run(), context=self._context)

    def ended(self) -> bool:
        """A job has ended; whether others have not."""
        self._left -= 1
        return self._left > 0

    def ends(self, finisher: Callable[[Claimed], Callable[[Any], Outcome]], answers: Any) -> Outcomes:
        """How the jobs end, for the transaction of their call.

        Args:
            finisher: from a job to what makes an outcome of its answer.
            answers: what the function returned.
        """
        checked = zip(self._called, self._checked(answers), strict=True)
        return Outcomes(self, [answer if _failed(answer) else finisher(job)(answer) for job, answer in checked])

    async def _leave(self, claimed: Claimed, handler: BatchHandler, end: Callable[[int], object] | None) -> None:
        """Without one that was made to end. For the last one it ends the call, and waits for that; so it does where
        all is one transaction, of which what was done for one cannot be taken back alone."""
        self._waiting.discard(claimed.id)
        if self._call is None:
            del self._parts[claimed.id]
        elif (handler.transactional or not self._waiting) and not self._call.done():
            self._broken = True
            end(self.id) if end else self._call.cancel()
            await asyncio.wait([self._call])

    async def _call_for(self, handler: BatchHandler, call: Call) -> None:
        self._called = [claimed for claimed in self._jobs if claimed.id in self._parts]
        parts = [self._parts[claimed.id] for claimed in self._called]
        self.args = handler.arguments([each.context for each in parts], [each.item for each in parts])
        at_work.set(self)
        concealing.set(lambda: self._hidden)
        try:
            answers = self._answers(await call(self, parts[0].context))
        except BaseException as error:  # SystemExit too would end the loop; each job raises it in its own task
            answers = self._errors(error)
        for part, answer in zip(parts, answers, strict=True):
            part.answer = answer
            if issubclass(type(answer), BaseException):
                # not what its class makes of that
                part.traceback = BaseException.__dict__["__traceback__"].__get__(answer)
        self._over.set()

    def _answers(self, returned: Any) -> list[Any]:
        if isinstance(returned, Outcomes):
            return returned.answers
        if isinstance(returned, Outcome):  # the transaction was interrupted
            return [replace(returned, claimed=claimed) for claimed in self._called]
        return self._checked(returned)

    def _errors(self, error: BaseException) -> list[Any]:
        if self._broken:
            return self._given_back(None, error)
        if type(error) is LeaseLost:  # not isinstance(), which asks an exception that may raise itself
            return self._given_back(error.job_id, error)
        return [error] * len(self._called)

    def _given_back(self, but: int | None, error: BaseException) -> list[Any]:
        """It is nobody's fault but this one's: nothing of the call stays, and the others run again."""
        return [error if claimed.id == but else Outcome(claimed, "todo") for claimed in self._called]

    def _checked(self, answers: Any) -> list[Any]:
        jobs = len(self._called)
        if answers is None:
            return [None] * jobs
        if not isinstance(answers, list | tuple) or len(answers) != jobs:
            told = f"a list of {len(answers)}" if isinstance(answers, list | tuple) else brief(answers)
            raise TypeError(
                f"{self}: the function returned {told} for {jobs} jobs: return a list with an answer for each, in "
                "their order (a result, or an exception in its place), or None"
            )
        return list(answers)

    @cached_property
    def _hidden(self) -> tuple[str, ...]:
        """What is not to be told of any of them: an error of the call may tell of all."""
        return tuple(sorted({text for part in self._parts.values() for text in part.hidden()}, key=len, reverse=True))


def _failed(answer: Any) -> bool:
    """Whether it is an exception, or a class of such."""
    kind = answer if issubclass(type(answer), type) else type(answer)
    return issubclass(kind, BaseException)
