"""Move a test's clock, and let happen what is due on the way."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from workrow.app import App
from workrow.testing.clock import DatabaseClock, Moment
from workrow.testing.databases import TestingError
from workrow.testing.reports import AttemptFailed

if TYPE_CHECKING:
    from workrow.testing.engine import Steps
    from workrow.testing.reports import Ran


class Engine(Protocol):
    """What a clock needs of its harness."""

    app: App

    async def worker(self) -> "Steps":
        """The worker that runs the jobs."""

    async def drain(self, *, raise_on_failure: bool) -> list["Ran"]:
        """Run all jobs that can run now."""

    async def run_ready(self) -> list["Ran"]:
        """The same, whatever fails."""


class Clock(DatabaseClock):
    """The clock of a harness: ``with jobs.clock.at("2027-03-28 00:59", "Europe/Berlin") as clock: …``."""

    def __init__(self, harness: Engine) -> None:
        super().__init__(lambda: harness.app.database_url)
        self._harness = harness

    async def advance(self, /, **by: float) -> None:
        """Let time pass, stopping at each due time of a schedule to tick it. Jobs are enqueued, and none runs.

        Args:
            **by: what ``timedelta`` takes: ``days=``, ``hours=``, ``minutes=``, ``seconds=`` …
        """
        await self._travel(self.later(by), run=False, raise_on_failure=False)

    async def run_for(self, /, *, raise_on_failure: bool = True, **by: float) -> list["Ran"]:
        """`run_until` so much later."""
        return await self._travel(self.later(by), run=True, raise_on_failure=raise_on_failure)

    async def run_until(self, moment: Moment, *, raise_on_failure: bool = True) -> list["Ran"]:
        """Let time pass as if workers were running: schedules are ticked, and every job runs when it is due.

        Args:
            moment: a datetime, or text in the zone of `at`.
            raise_on_failure: whether an attempt that fails is an error, be it retried or not.

        Returns:
            Every attempt, in the order of their ends.

        Raises:
            AttemptFailed: an attempt failed.
        """
        return await self._travel(self.read(moment).astimezone(UTC), run=True, raise_on_failure=raise_on_failure)

    async def _travel(self, end: datetime, *, run: bool, raise_on_failure: bool) -> list["Ran"]:
        if self._frozen() is None:
            raise TestingError("the clock is the real one: move it inside `with clock.at(…) as clock:`")
        if end < self.now().astimezone(UTC):
            raise TestingError(
                f"{end.isoformat()} is before {self.now().isoformat()}: time only goes on; use clock.at()"
            )
        worker = await self._harness.worker()
        await worker.tick()
        ran = await self._harness.drain(raise_on_failure=raise_on_failure) if run else []
        while (due := self._next_due(worker if run else None)) is not None and due <= end:
            self.set(due)
            await worker.tick()
            if run:
                got = await self._harness.run_ready()
                if raise_on_failure and (failed := [each for each in got if each.failed]):
                    raise AttemptFailed(failed)
                ran += got
        self.set(end)
        return ran + (await self._harness.drain(raise_on_failure=raise_on_failure) if run else [])

    def _next_due(self, worker: "Steps | None") -> datetime | None:
        """When something happens next; with a worker, jobs count too."""
        due: datetime | None = self._run("next_due", jobs=worker is not None)[0][0]
        limited = worker.limited_until() if worker else None
        if limited is not None:
            admitted = self.now().astimezone(UTC) + limited
            due = admitted if due is None else min(due, admitted)
        return due
