"""How a worker hears what it is told and asked, and what was revoked."""

import asyncio
import contextlib
import json
from typing import Any

from workrow.celery import codec, hooks, signals
from workrow.celery.inspecting import matches
from workrow.celery.message import delivery_of, request_of
from workrow.celery.worker.control import Panel
from workrow.celery.worker.door import received
from workrow.celery.worker.state import State
from workrow.database.link import Connect, persist
from workrow.database.listener import Listener
from workrow.database.outage import Outage
from workrow.logs import get_logger

logger = get_logger(__name__)

CHANNEL = "workrow_celery"
LOOK_SECONDS, DEAF_LOOK_SECONDS = 5.0, 0.5
"""How often a worker looks that has heard of nothing, and one that hears nothing, behind a pooler."""


class Mailbox:
    """Looks for commands when it hears of one, and now and then; runs them, and writes what they say.

    Args:
        state: of the worker.
        connect: makes a connection to listen on.
    """

    def __init__(self, state: State, connect: Connect) -> None:
        self._state = state
        self._listener = Listener(connect, [CHANNEL], self._ring, self._on_ready, self._on_deaf)
        self._rung = asyncio.Event()
        self._pause = DEAF_LOOK_SECONDS
        self._outage = Outage("listening for commands")
        self._replies: dict[int, str | None] = {}

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        listening = asyncio.create_task(persist(self._outage, self._listener.run))
        try:
            while True:
                self._rung.clear()
                try:
                    await asyncio.to_thread(self.look)
                except Exception as error:
                    logger.warning("what was revoked or told cannot be read, and is asked for again: %s", error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause):
                        await self._rung.wait()
        finally:
            listening.cancel()

    def look(self) -> None:
        """Read what was revoked, and do what this worker is told."""
        self._state.revoked.look()
        worker = self._state.worker
        if worker is None or worker.worker_id is None:
            return
        if signals.task_revoked.receivers:
            self._tell_revoked(worker.queues)
        store, me = self._state.app.store, worker.worker_id
        for command_id, method, arguments, destination, pattern, matcher in store.run("celery_commands", worker_id=me):
            if command_id not in self._replies:  # else its reply was lost, or the worker has another id now
                addressed = destination is None or self._state.hostname in destination
                addressed = addressed and matches(self._state.hostname, pattern, matcher)
                self._replies[command_id] = self._said(command_id, method, arguments) if addressed else None
            said = {"command_id": command_id, "reply": self._replies[command_id]}
            store.run("celery_reply", worker_id=me, worker=self._state.hostname, **said)
        for known in sorted(self._replies)[:-1000]:
            del self._replies[known]

    def _tell_revoked(self, queues: list[str]) -> None:
        """Send the signals of calls that were revoked while they waited: nobody else has had them."""
        app = self._state.app
        for name, queue, args in app.store.run("celery_tell_revoked", tasks=[*app.tasks], queues=queues):
            request = request_of(name, args, hostname=self._state.hostname, delivery_info=delivery_of(args, queue))
            signals.task_received.send(sender=app, request=received(app, request))
            hooks.revoked(app.tasks[name], request, "revoked")

    def _said(self, command_id: int, method: str, arguments: Any) -> str:
        """What a command says, as JSON; an error is a reply, too."""
        self._state.command_id = command_id
        reply: Any
        try:
            reply = Panel.data[method](self._state, **codec.unpack(arguments))
            return json.dumps(codec.pack(reply))
        except Exception as error:
            logger.exception("control command error: %s", method)
            return json.dumps(codec.pack({"error": repr(error)}))

    def _ring(self, _: str) -> None:
        self._rung.set()

    def _on_ready(self) -> None:
        self._outage.over()
        self._pause = LOOK_SECONDS
        self._rung.set()

    def _on_deaf(self) -> None:
        self._outage.over()
        self._pause = DEAF_LOOK_SECONDS
