"""The one connection on which all lanes claim, and what it may have lost."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

from workrow.database.held import Held
from workrow.database.link import Link, persist
from workrow.logs import get_logger
from workrow.maintenance.failure_hooks import FailureHooks
from workrow.worker.finishing.finisher import Finisher
from workrow.worker.lease import Lease
from workrow.worker.outcome import Claimed, Outcome

logger = get_logger(__name__)


class Claims:
    """Lets one lane claim at a time, and finds again what a claim took whose answer never arrived.

    Args:
        link: where claims run.
        lease: who claims.
        known: the ids of all jobs that this worker knows it holds.
        finisher: gives back what is found.
        hooks: are declared before the first claim, so that no job fails without them.
        hidden: the arguments that each task does not show; told then, too.

    Attributes:
        turn: held while something is claimed, or the lease renewed.
        in_doubt: the last claim ended with an error.
    """

    def __init__(
        self,
        link: Link,
        lease: Lease,
        known: Callable[[], set[int]],
        finisher: Finisher,
        hooks: FailureHooks,
        hidden: Mapping[str, list[str]],
    ) -> None:
        self.link = link
        self.turn = asyncio.Lock()
        self.in_doubt = False
        self._lease = lease
        self._known = known
        self._finisher = finisher
        self._hooks = hooks
        self._hidden = hidden

    async def run(self, claim: Callable[[], Awaitable[None]]) -> None:
        """Await ``claim()`` until it works."""

        async def attempt() -> None:
            if not self._hooks.declared:
                await self._hooks.declare()
            if self._hidden:
                await self.link.run("hide_arguments", hidden=json.dumps(self._hidden))
                self._hidden = {}
            if self.in_doubt:
                await self._give_back_lost()
            try:
                await claim()
            except Held as error:
                # nothing was claimed by this statement; what those before it claimed is given back
                logger.info("claiming waits: %s", error)
                self.in_doubt = True
            except BaseException:
                # of several statements the first may have claimed jobs before another failed
                self.in_doubt = True
                raise

        async with self.turn:
            await persist("claiming jobs", attempt)

    async def _give_back_lost(self) -> None:
        owner = self._lease.worker_id
        for row in await self.link.run("find_lost_claims", worker_id=owner, known=list(self._known())):
            self._finisher.add(Outcome(Claimed(row, owner), "todo"))
        self.in_doubt = False
