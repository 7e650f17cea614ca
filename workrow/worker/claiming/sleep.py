"""Whether the database is to notify this worker."""

from workrow.database.link import Link
from workrow.worker.lease import Lease


class Sleep:
    """The worker's row among the sleepers, whom alone the insert trigger notifies.

    Args:
        link: where the statements run.
        lease: who sleeps.
        queues: which queues it wants to hear of; None for all.
        possible: whether it can hear anything.
    """

    def __init__(self, link: Link, lease: Lease, queues: list[str] | None, *, possible: bool) -> None:
        self.possible = possible
        self._link = link
        self._lease = lease
        self._queues = queues
        self._asleep = False

    async def fall_asleep(self) -> bool:
        """Ask to be notified; True if that was not so already."""
        if self._asleep or not self.possible:
            return False
        await self._link.run("fall_asleep", worker_id=self._lease.worker_id, queues=self._queues)
        self._asleep = True
        return True

    async def wake_up(self) -> None:
        """Ask for no more notifications."""
        if self._asleep:
            self._asleep = False
            await self._link.run("wake_up", worker_id=self._lease.worker_id)

    def forget(self) -> None:
        """The database may not know any more that this worker sleeps."""
        self._asleep = False
