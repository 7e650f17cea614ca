"""Commands to workers, and their replies: rows that the workers read."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workrow.celery import codec

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.05
"""Seconds between two looks for replies."""


def broadcast(
    app: Any,
    command: str,
    arguments: Mapping[str, Any] | None = None,
    destination: Sequence[str] | None = None,
    reply: bool = False,
    timeout: float | None = 1.0,
    limit: int | None = None,
    callback: Callable[[dict[str, Any]], Any] | None = None,
    pattern: str | None = None,
    matcher: str | None = None,
) -> list[dict[str, Any]] | None:
    """Tell workers something, or ask them.

    Args:
        app: the app of the door.
        command: its name.
        arguments: of the command.
        destination: names of workers; None: all.
        reply: wait for what they say.
        timeout: seconds for which to wait at most; it ends before that when all living workers have replied.
        limit: so many replies are enough; None: all.
        callback: called with each reply as it comes.
        pattern: only workers whose names match it.
        matcher: how: "glob" or "pcre".

    Returns:
        With ``reply``, a dict of a worker's name and its reply for each, in the order of their names; else None.

    Raises:
        ValueError: the destination is no list, or there is no such matcher.
        EncodeError: an argument is no JSON.
    """
    if destination is not None and not isinstance(destination, list | tuple):
        raise ValueError(f"destination must be a list/tuple not {type(destination)}")
    if matcher not in (None, "glob", "pcre"):
        raise ValueError(f"matcher={matcher!r}: must be 'glob' or 'pcre'")
    ((command_id, workers),) = app.store.run(
        "celery_command",
        method=command,
        arguments=json.dumps(codec.pack(dict(arguments or {}))),
        destination=None if destination is None else [*destination],
        pattern=pattern,
        matcher=matcher,
    )
    if not reply:
        return None
    until = time.monotonic() + (1.0 if timeout is None else timeout)
    waited, pause = set(workers), FIRST_PAUSE
    seen: set[int] = set()
    replies: list[tuple[str, dict[str, Any]]] = []
    while True:
        rows = app.store.run("celery_replies", command_id=command_id)
        for worker_id, worker, said in rows:
            if worker_id not in seen and said is not None:
                replies.append((worker, {worker: codec.unpack(said)}))
                if callback is not None:
                    callback(replies[-1][1])
            seen.add(worker_id)
        enough = limit is not None and len(replies) >= limit
        if enough or waited <= seen or time.monotonic() >= until:
            return [each for _, each in sorted(replies, key=lambda one: one[0])][:limit]
        time.sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(pause * 1.5, LONGEST_PAUSE)
