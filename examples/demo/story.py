"""What happens between start and end: people register, a worker dies, another takes over."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from examples.demo.acts import Act
from examples.demo.database import query
from examples.demo.errors import DemoError
from examples.demo.processes import Child, Processes
from examples.demo.progress import Screen
from examples.demo.registration import Registration
from examples.demo.services import start_worker, wait_for_workers

PATIENCE_SECONDS = 60.0
"""How long nothing may happen before the books are closed as they are."""
GRACE_SECONDS = 300.0
"""How long acts may go on after that: the provider is asked about a call only when it was silent for long."""
LOOK_SECONDS = 0.1


class Story:
    """One run of the demo, once its services are up.

    Args:
        processes: that the victim belongs to and its replacement will.
        environment: of the workers; names the database.
        registration: of the people.
        workers: the first is replaced in order, as in a deployment, the second is killed in the middle.
        acts: what else happens.
        quiet: is set when the mails are out and all acts but the waiting ones have nothing more to do.
        maildir: of the mail server.
        screen: where progress is shown.
    """

    def __init__(
        self,
        processes: Processes,
        environment: Mapping[str, str],
        registration: Registration,
        workers: Sequence[Child],
        acts: Sequence[Act],
        quiet: asyncio.Event,
        maildir: Path,
        screen: Screen,
    ) -> None:
        self._processes = processes
        self._environment = environment
        self._registration = registration
        self._deployed, self._victim = workers
        self._acts = acts
        self._quiet = quiet
        self._maildir = maildir
        self._screen = screen

    async def tell(self) -> list[int]:
        """Everything, until all jobs are finished; returns the ids of the jobs that the killed worker left.

        Raises:
            DemoError: a process other than the victim ended, or an act does not.
        """
        url = self._environment["DATABASE_URL"]
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as watching,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as killing,
        ):
            acts = asyncio.gather(
                self._registration.run(), self._kill_in_the_middle(killing), *(act.play() for act in self._acts)
            )
            try:
                await self._watch(watching, acts)
                _, left, *_ = await asyncio.wait_for(acts, GRACE_SECONDS)
            except TimeoutError as error:
                raise DemoError("not all has come to its end: see the workers' logs") from error
            finally:
                acts.cancel()
                await asyncio.gather(acts, return_exceptions=True)
            return left

    async def _watch(self, connection: psycopg.AsyncConnection, acts: asyncio.Future[Any]) -> None:
        seen: tuple[int, ...] = ()
        changed = time.monotonic()
        while time.monotonic() - changed < PATIENCE_SECONDS:
            self._processes.check()
            over = acts.done()
            if over:
                acts.result()  # raises what went wrong in them
            jobs, finished, discarded = await _row(connection, "counts")
            mails = len(os.listdir(self._maildir / "new"))
            answered, people = self._registration.answered, len(self._registration.people)
            far = {act.name: act.progress() for act in self._acts}
            self._screen.show({"people": (answered, people), "mails": (mails, jobs - discarded), **far})
            mailed = self._registration.is_over and finished == jobs
            if over and mailed:
                return
            if mailed and all(done == total for done, total in far.values()):
                self._quiet.set()
            now = (answered, jobs, finished, mails, *(done for done, _ in far.values()))
            if seen != now:
                seen, changed = now, time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)
        self._screen.say(f"nothing has happened for {PATIENCE_SECONDS:.0f} seconds: closing the books")

    async def _kill_in_the_middle(self, connection: psycopg.AsyncConnection) -> list[int]:
        """Kill the victim while it runs jobs, and start another worker; whoever lives rescues what the victim left."""
        await self._registration.middle.wait()
        (worker_id,) = await _row(connection, "worker_of_process", pid=self._victim.pid)
        while not await self._caught_at_work(connection, worker_id):
            jobs, finished, _ = await _row(connection, "counts")
            if self._registration.is_over and finished == jobs:
                break
            await asyncio.sleep(LOOK_SECONDS / 10)
        self._processes.kill(self._victim)
        cursor = await connection.execute(query("jobs_left"), {"worker_id": worker_id})
        left = [job_id for (job_id,) in await cursor.fetchall()]
        self._screen.say(f"{self._victim} killed with -9 while it ran {len(left)} jobs")
        replacement = start_worker(self._processes, "worker-3", self._environment)
        self._screen.say(
            f"{replacement} started; the lease of {self._victim} ends soon, then its {len(left)} jobs are rescued"
        )
        await self._deploy()
        return left

    async def _deploy(self) -> None:
        """A new worker starts, and then an old one is told to stop: it ends what it runs, and loses nothing."""
        successor = start_worker(self._processes, "worker-4", self._environment)
        await asyncio.to_thread(wait_for_workers, self._processes, self._environment["DATABASE_URL"], [successor])
        await asyncio.to_thread(self._processes.stop, self._deployed)
        self._screen.say(f"{self._deployed} deployed: {successor} took over, exit code {self._deployed.process.poll()}")

    async def _caught_at_work(self, connection: psycopg.AsyncConnection, worker_id: int) -> bool:
        """Whether the victim runs jobs. If so it is left standing still, so that it cannot finish them any more."""
        os.kill(self._victim.pid, signal.SIGSTOP)
        (running,) = await _row(connection, "jobs_running", worker_id=worker_id)
        if not running:
            os.kill(self._victim.pid, signal.SIGCONT)
        return bool(running)


async def _row(connection: psycopg.AsyncConnection, name: str, **parameters: object) -> tuple[int, ...]:
    cursor = await connection.execute(query(name), parameters)
    row = await cursor.fetchone()
    assert row is not None
    return row
