"""The connections of one worker, and what it asks on them for itself."""

import psycopg

from workrow.database.link import Connect, Link, persist, read_json
from workrow.database.outage import LOST, Outage
from workrow.worker.outcome import Claimed


class Connections:
    """One connection for each kind of work, so that none waits for another; made when they are first used.

    Args:
        connect: makes a connection in autocommit mode.

    Attributes:
        claiming: a claim that a crash of the server undoes leaves the job ready, so it need not wait for the disk.
        finishing: gives up after 2 s on a row that somebody else holds.
        chores: everything else.
    """

    def __init__(self, connect: Connect) -> None:
        self.claiming = Link(connect, "SET synchronous_commit = off", json_loads=read_json)
        self.finishing = Link(connect, "SET lock_timeout = '2s'")
        self.chores = Link(connect, "SET synchronous_commit = off", outage=Outage("chores"))
        self._asking = Outage("asking for jobs")

    async def mark(self, claimed: Claimed) -> bool:
        """Note in its row that the job is about to run; whether it is still ours."""
        return await self._is_ours("mark_job", claimed)

    async def holds(self, claimed: Claimed) -> bool:
        """Whether the job is still ours."""
        return await self._is_ours("read_claim", claimed)

    async def _is_ours(self, statement: str, claimed: Claimed) -> bool:
        params = {"id": claimed.id, "worker_id": claimed.owner, "token": claimed.token}
        return bool(await persist(self._asking, lambda: self.finishing.run(statement, **params)))

    async def is_steady(self, seconds: float) -> bool:
        """Whether the server has been up, and our connection to it, for so long."""
        try:
            ((uptime,),) = await self.claiming.run("read_uptime")
        except (*LOST, psycopg.Error):
            return False
        # asked on a connection that is older than that: one made since says nothing of the time before
        return self.claiming.age > seconds and uptime > seconds

    async def close(self) -> None:
        """Close them all."""
        for link in (self.claiming, self.finishing, self.chores):
            await link.close()
