"""``app.control``: calls that are not to run, or are to end; and what workers are told."""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from signal import Signals
from typing import Any

from workrow.celery import codec
from workrow.celery.backend import packed
from workrow.celery.exceptions import TaskRevokedError
from workrow.celery.inspecting import Inspect
from workrow.celery.mailbox import broadcast
from workrow.celery.states import REVOKED


class Control:
    """What is told of calls after they were sent, and what workers are told and asked.

    Revoking needs no worker: what waits ends at once, and what is still to be sent under a revoked id does not start,
    for as long as results are kept. What the other methods tell is done by each living worker: see `broadcast` for the
    options that they take besides (``destination``, ``reply``, ``timeout``, ``limit``, ``pattern``, ``matcher``).

    Args:
        app: the app.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    @property
    def inspect(self) -> partial[Inspect]:
        """`Inspect` of this app."""
        return partial(Inspect, app=self._app)

    def revoke(
        self,
        task_id: str | Iterable[str],
        destination: Sequence[str] | None = None,
        terminate: bool = False,
        signal: str | int | None = "SIGTERM",
        **told: Any,
    ) -> list[dict[str, Any]] | None:
        """Let calls not run.

        Args:
            task_id: of one call, or of several.
            destination: whose replies are wanted; the call is revoked for all.
            terminate: end those that run. Without it, what runs goes on.
            signal: its name, or its number; another one changes nothing: what runs in a process is killed.
            **told: of `broadcast`, with ``reply``.

        Raises:
            ValueError: there is no such signal.
        """
        ids = [task_id] if isinstance(task_id, str) else [*task_id]
        _check_signal(signal)
        self._revoke(terminate, ids=ids)
        return self._replies("revoke", destination, {"task_id": ids, "terminate": terminate}, told)

    def terminate(
        self,
        task_id: str | Iterable[str],
        destination: Sequence[str] | None = None,
        signal: str | int | None = "SIGTERM",
        **told: Any,
    ) -> list[dict[str, Any]] | None:
        """`revoke`, and end what runs."""
        return self.revoke(task_id, destination, terminate=True, signal=signal, **told)

    def revoke_by_stamped_headers(
        self,
        headers: dict[str, Any],
        destination: Sequence[str] | None = None,
        terminate: bool = False,
        signal: str | int | None = "SIGTERM",
        **told: Any,
    ) -> list[dict[str, Any]] | None:
        """Let calls not run that are stamped with one of these values.

        Args:
            headers: by the name of the stamp, a value or a list of them.
            destination, terminate, signal, **told: as for `revoke`.
        """
        _check_signal(signal)
        for header, given in headers.items():
            values = codec.pack([*given] if isinstance(given, list | tuple | set) else [given])
            self._revoke(terminate, header=header, values=json.dumps(values))
        arguments = {"headers": headers, "terminate": terminate}
        return self._replies("revoke_by_stamped_headers", destination, arguments, told)

    def purge(self, queues: Iterable[str] | None = None) -> int:
        """Delete the calls that wait in these queues, by default those that a worker serves; returns how many.

        What becomes of their results is as in Celery: nothing.
        """
        wanted = self._app.router.queues() if queues is None else [*queues]
        rows = self._app.store.run("celery_purge", queues=wanted)
        return int(rows[0][0])

    discard_all = purge

    def ping(
        self, destination: Sequence[str] | None = None, timeout: float = 1.0, **told: Any
    ) -> list[dict[str, Any]] | None:
        """Who lives."""
        return self.broadcast("ping", destination=destination, timeout=timeout, **{"reply": True, **told})

    def rate_limit(self, task_name: str, rate_limit: Any, destination: Sequence[str] | None = None, **told: Any) -> Any:
        """Another rate limit for a task, until the worker ends.

        Where the task declares one, it counts over all workers, and so does the new one; else each worker counts for
        itself, as in Celery.

        Args:
            task_name: the task.
            rate_limit: ``"10/m"``, or a number a second; None or 0: none.
        """
        return self._tell("rate_limit", destination, told, task_name=task_name, rate_limit=rate_limit)

    def time_limit(
        self,
        task_name: str,
        soft: float | None = None,
        hard: float | None = None,
        destination: Sequence[str] | None = None,
        **told: Any,
    ) -> Any:
        """Other time limits for a task, in seconds, until the worker ends; for calls that start from now on."""
        return self._tell("time_limit", destination, told, task_name=task_name, soft=soft, hard=hard)

    def add_consumer(
        self,
        queue: str,
        exchange: Any = None,
        exchange_type: str = "direct",
        routing_key: str | None = None,
        options: dict[str, Any] | None = None,
        destination: Sequence[str] | None = None,
        **told: Any,
    ) -> Any:
        """Serve one more queue. Exchange and routing key change nothing: a call has the name of its queue."""
        return self._tell("add_consumer", destination, told, queue=queue)

    def cancel_consumer(self, queue: str, destination: Sequence[str] | None = None, **told: Any) -> Any:
        """Serve a queue no longer; what runs goes on."""
        return self._tell("cancel_consumer", destination, told, queue=queue)

    def pool_grow(self, n: int = 1, destination: Sequence[str] | None = None, **told: Any) -> Any:
        """Run so many more calls at a time."""
        return self._tell("pool_grow", destination, told, n=n)

    def pool_shrink(self, n: int = 1, destination: Sequence[str] | None = None, **told: Any) -> Any:
        """Run so many fewer calls at a time; what runs goes on."""
        return self._tell("pool_shrink", destination, told, n=n)

    def autoscale(self, max: int, min: int, destination: Sequence[str] | None = None, **told: Any) -> Any:
        """Workers reply that it is off: slots cost nothing while they are idle."""
        return self._tell("autoscale", destination, told, max=max, min=min)

    def pool_restart(self, destination: Sequence[str] | None = None, **told: Any) -> Any:
        """Workers reply that it is off: start them anew."""
        told = {name: value for name, value in told.items() if name not in ("modules", "reload", "reloader")}
        return self._tell("pool_restart", destination, told)

    def shutdown(self, destination: Sequence[str] | None = None, **told: Any) -> Any:
        """Stop, as after SIGTERM."""
        return self._tell("shutdown", destination, told)

    def broadcast(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        destination: Sequence[str] | None = None,
        connection: Any = None,
        reply: bool = False,
        timeout: float | None = 1.0,
        limit: int | None = None,
        callback: Any = None,
        channel: Any = None,
        pattern: str | None = None,
        matcher: str | None = None,
        **extra_kwargs: Any,
    ) -> list[dict[str, Any]] | None:
        """Tell workers something, or ask them; see `workrow.celery.mailbox.broadcast`.

        Args:
            connection, channel: not used.
            **extra_kwargs: more arguments of the command.
        """
        return broadcast(
            self._app,
            command,
            {**(arguments or {}), **extra_kwargs},
            destination=destination,
            reply=reply,
            timeout=timeout,
            limit=limit,
            callback=callback,
            pattern=pattern,
            matcher=matcher,
        )

    def _tell(self, command: str, destination: Sequence[str] | None, told: dict[str, Any], **arguments: Any) -> Any:
        return self.broadcast(command, arguments, destination, **told)

    def _replies(
        self, command: str, destination: Any, arguments: dict[str, Any], told: dict[str, Any]
    ) -> list[dict[str, Any]] | None:
        """What workers say to what the database has done; nobody is asked where no reply is wanted."""
        if not told.get("reply"):
            return None
        return self.broadcast(command, {**arguments, "done": True}, destination, **told)

    def _revoke(
        self, terminate: bool, ids: list[str] | None = None, header: str | None = None, values: str | None = None
    ) -> None:
        error = json.dumps(packed(REVOKED, TaskRevokedError("revoked")))
        lasts = self._app.backend.lasts
        given = {"ids": ids, "header": header, "values": values, "exception": error, "lasts": lasts}
        self._app.store.run("celery_revoke", terminate=terminate, **given)


def _check_signal(given: Any) -> None:
    if isinstance(given, str):
        name = given.upper()
        known = hasattr(Signals, name if name.startswith("SIG") else f"SIG{name}")
    else:
        known = given is None or given in {*Signals}
    if not known:
        raise ValueError(f"signal={given!r}: must be the name of a signal, such as 'SIGTERM'")
