"""The connections of one worker, and what it asks on them for itself."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import psycopg
import pydantic_core

from workrow.arguments.codec import Codec
from workrow.database.held import Held
from workrow.database.link import Connect, Link, persist
from workrow.database.outage import LOST, Outage, told
from workrow.logs import get_logger
from workrow.worker.outcome import Claimed, Hold

logger = get_logger(__name__)

IDLE_SECONDS = 10.0
"""A worker without jobs keeps four connections: to claim, for chores, for its heart and to listen."""
HELD_PATIENCE_MS = 10
"""What is held is likely to be held still: 50 keys take half a second, and the next look comes a second later."""


class Connections:
    """One connection for each kind of work, so that none waits for another; made when they are first used.

    Args:
        connect: from what it is for to what makes a connection in autocommit mode.
        codec: reads the arguments of jobs, if the app's connector has a way of its own.

    Attributes:
        claiming: a claim that a crash of the server undoes leaves the job ready, so it need not wait for the disk.
        finishing: the ends of jobs.
        held: the ends of those that somebody's open transaction holds, which may each wait a moment.
        chores: everything else.
    """

    def __init__(self, connect: Callable[[str], Connect], codec: Codec | None) -> None:
        read = partial(read_by, pydantic_core.from_json if codec is None else codec.read)
        self.claiming = Link(connect("claiming"), "SET synchronous_commit = off", json_loads=read)
        self.finishing = Link(connect("finishing"))
        self.chores = Link(connect("chores"), "SET synchronous_commit = off", outage=Outage("chores"))
        self.held = Link(connect("finishing held"), patience=HELD_PATIENCE_MS, asking=self.chores)
        self._asking = Outage("asking for jobs")

    async def mark(self, claimed: Claimed) -> bool:
        """Note in its row that the job is about to run; whether it is still ours."""
        try:
            return await self._is_ours("mark_job", claimed)
        except Held:
            return await self.holds(claimed)  # a crash counts without the mark, if it is the first

    async def holds(self, claimed: Claimed) -> bool:
        """Whether the job is still ours."""
        return await self._is_ours("read_claim", claimed)

    async def _is_ours(self, statement: str, claimed: Claimed) -> bool:
        params = {"id": claimed.id, "worker_id": claimed.owner, "token": claimed.token}
        return bool(await persist(self._asking, lambda: self.finishing.run(statement, **params)))

    async def hold(self, claimed: Claimed, hold: Hold) -> None:
        """Let nothing start under the limits of a job for a time."""
        params = {"id": claimed.id, "worker_id": claimed.owner, "token": claimed.token, **asdict(hold)}
        try:
            rows = await persist(self._asking, lambda: self.finishing.run("hold_limits", **params))
        except psycopg.Error as error:
            logger.error("%s: rate limited, and its limit cannot be held back: %s", claimed, told(error))
            return
        for bucket, until in rows:
            logger.warning("%s: rate limited: nothing of %s starts before %s", claimed, bucket, until)
        if not rows and hold.limit is not None:
            logger.error("%s: rate limited, but it is under no limit named %r: it alone waits", claimed, hold.limit)

    async def is_steady(self, seconds: float) -> bool:
        """Whether the server has been up, and our connection to it, for so long."""
        try:
            ((uptime,),) = await self.claiming.run("read_uptime")
        except (*LOST, psycopg.Error):
            return False
        # asked on a connection that is older than that: one made since says nothing of the time before
        return self.claiming.age > seconds and uptime > seconds

    async def rest(self) -> None:
        """Close what nothing needs while no job runs; until cancelled."""
        while True:
            await asyncio.sleep(IDLE_SECONDS)
            for link in (self.finishing, self.held):
                await link.rest(IDLE_SECONDS)

    async def close(self) -> None:
        """Close them all."""
        for link in (self.claiming, self.finishing, self.held, self.chores):
            await link.close()


def read_by(loads: Callable[[bytes | str], Any], text: bytes | str) -> Any:
    """What ``loads`` reads; or its ValueError, which is then the trouble of this row and not of the whole statement."""
    try:
        return loads(text)
    except ValueError as error:
        return error
