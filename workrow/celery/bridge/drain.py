"""What waits in a Redis that was Celery's broker becomes jobs, each message once.

A message goes from its list to a list of ours, is written as a job under a key that only one job can have, and then
leaves that list. Whoever is killed in between loses nothing: the next drain begins with what lies in the list of ours,
and finds those keys that were written already.
"""

import base64
import bz2
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from workrow.celery.bridge.messages import Unmovable, call_of
from workrow.celery.bridge.reading import redis_at
from workrow.celery.exceptions import OperationalError

AT_ONCE = 200
"""Messages that are moved by one statement."""
SEPARATOR = "\x06\x16"
"""Between the name of a queue and a priority, in the name of a list; kombu's ``sep``."""
HELD = "workrow-drain:"
"""What the names of our lists begin with."""
OF_WORKERS = ("celery.pidbox", "celeryev")
"""In the names of lists in which workers tell each other something."""
PUT_BACK = "if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 then redis.call('LPUSH', KEYS[2], ARGV[1]) end"
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "application/x-gzip": zlib.decompress,
    "application/x-bz2": bz2.decompress,
}
UNLOCK = "celery.chord_unlock"
IN_CHORD = "part of a chord, whose counter stays in the old result backend"


@dataclass(slots=True)
class Drained:
    """What became of the messages.

    Attributes:
        moved: by the names of tasks.
        known: so many had been moved before.
        left: by the names of tasks and the reasons why they are where they were.
        held: so many are with Celery's workers, which have taken them: those with an eta, and those that run.
    """

    moved: Counter[str] = field(default_factory=Counter)
    known: int = 0
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    held: int = 0


class Drain:
    """Moves the messages of some queues.

    Args:
        app: of the door.
        url: of the Redis.
        with_chords: headers of chords too, without their chords: no body is called.
    """

    def __init__(self, app: Any, url: str, with_chords: bool = False) -> None:
        self._app = app
        self._redis = redis_at(url)
        self._with_chords = with_chords
        options = app.conf.broker_transport_options or {}
        self._prefix: str = options.get("global_keyprefix", "")
        self._separator: str = options.get("sep", SEPARATOR)
        self._unacked = self._prefix + options.get("unacked_key", "unacked")

    def check(self) -> None:
        """Raise OperationalError if the Redis cannot be asked."""
        try:
            self._redis.ping()
        except Exception as error:
            raise OperationalError(f"the Redis to drain cannot be reached: {error}") from error

    def run(self, queues: Iterable[str]) -> Drained:
        """Move what waits in them at this moment."""
        drained = Drained()
        for queue in queues:
            for name in self._lists(queue):
                self._run(queue, name, drained)
        drained.held = self._redis.hlen(self._unacked)
        return drained

    def look(self, queues: Iterable[str]) -> Drained:
        """What `run` would move and leave; nothing is changed."""
        drained = Drained()
        for queue in queues:
            for name in self._lists(queue):
                for texts in (self._pages(name), self._pages(self._held(name))):
                    for raw in texts:
                        task, _, why = self._read(queue, raw)
                        if why is None:
                            drained.moved[task] += 1
                        else:
                            drained.left[task, why] += 1
        drained.held = self._redis.hlen(self._unacked)
        return drained

    def others(self, queues: Iterable[str]) -> dict[str, int]:
        """How many of Celery's messages wait in queues that are none of these, by the names of the queues."""
        found: Counter[str] = Counter()
        for key in self._redis.scan_iter("*", 1000, _type="list"):
            name = key.decode(errors="replace").removeprefix(HELD)
            if name.startswith(self._prefix) and not any(each in name for each in OF_WORKERS):
                queue, _, step = name.removeprefix(self._prefix).rpartition(self._separator)
                queue = queue if queue and step.isdigit() else name.removeprefix(self._prefix)
                if queue not in queues and _is_message(self._redis.lindex(key, 0)):
                    found[queue] += self._redis.llen(key)
        return dict(sorted(found.items()))

    # ---------------------------------------------------------------- lists

    def _lists(self, queue: str) -> list[str]:
        """The lists of a queue, one for each step of priorities, the most urgent first; also those that we hold."""
        found = {self._prefix + queue}
        for start in (self._prefix, HELD + self._prefix):
            for key in self._redis.scan_iter(f"{_literal(start + queue + self._separator)}*", 1000):
                name = key.decode().removeprefix(HELD)
                if name.rpartition(self._separator)[2].isdigit():
                    found.add(name)
        return sorted(
            found, key=lambda name: int(name.rpartition(self._separator)[2]) if self._separator in name else 0
        )

    def _held(self, name: str) -> str:
        return HELD + name

    def _pages(self, name: str) -> Iterator[bytes]:
        at = 0
        while page := self._redis.lrange(name, at, at + AT_ONCE - 1):
            yield from page
            at += AT_ONCE

    def _run(self, queue: str, name: str, drained: Drained) -> None:
        self._settle(queue, name, drained)
        left = self._redis.llen(name)
        while left > 0:
            pipeline = self._redis.pipeline(transaction=False)
            for _ in range(min(left, AT_ONCE)):
                pipeline.lmove(name, self._held(name), "RIGHT", "LEFT")
            if not any(pipeline.execute()):
                return
            left -= AT_ONCE
            self._settle(queue, name, drained)

    def _settle(self, queue: str, name: str, drained: Drained) -> None:
        """Write what lies in the list of ours, and empty it. Of the oldest first, as the list was filled."""
        held = self._held(name)
        raws = self._redis.lrange(held, 0, -1)[::-1]
        if not raws:
            return
        read = [(raw, *self._read(queue, raw)) for raw in raws]
        moves = [
            {"key": _key(raw), "task": task, "effects": {"calls": [call]}}
            for raw, task, call, why in read
            if why is None
        ]
        new: set[str] = set()
        if moves:
            new.update(self._app.store.run("celery_move", moves=json.dumps(moves), came="drain")[0][0])
        put_back = self._redis.register_script(PUT_BACK)
        for raw, task, _, why in read:
            if why is not None:
                put_back(keys=[held, name], args=[raw])
                drained.left[task, why] += 1
                continue
            self._redis.lrem(held, 1, raw)
            if _key(raw) in new:
                new.discard(_key(raw))
                drained.moved[task] += 1
            else:
                drained.known += 1

    # ---------------------------------------------------------------- messages

    def _read(self, queue: str, raw: bytes) -> tuple[str, dict[str, Any] | None, str | None]:
        """The name of a message's task, its call, and why it stays."""
        name = "?"
        try:
            message = json.loads(raw)
            headers, properties = message.get("headers") or {}, message.get("properties") or {}
            name = str(headers.get("task") or name)
            body: Any = message["body"]
            if properties.get("body_encoding") == "base64":
                body = base64.b64decode(body)
            if compression := headers.get("compression"):
                if compression not in DECOMPRESS:
                    raise Unmovable(f"it is compressed as {compression}")
                body = DECOMPRESS[compression](body)
            call = call_of(headers, body, properties, queue, message.get("content-type"), self._limit(name))
        except Unmovable as error:
            return name, None, str(error)
        except Exception as error:
            return name, None, f"it is no message of Celery's: {type(error).__name__}"
        name = call["task"]
        if name == UNLOCK or (call["args"].get("chord") and not self._with_chords):
            return name, None, IN_CHORD
        call["args"].pop("chord", None)
        return name, call, None

    def _limit(self, name: str) -> tuple[str, Any] | None:
        task = self._app.tasks.get(name)
        return None if task is None else (task.queue or "", task.rate_limit)


def _key(raw: bytes) -> str:
    """A message's own: kombu gives each one when it is published, and one that is delivered again keeps it."""
    tag = (json.loads(raw).get("properties") or {}).get("delivery_tag")
    return str(tag) if tag else hashlib.sha256(raw).hexdigest()


def _is_message(raw: bytes | None) -> bool:
    """Whether what lies in a list is of Celery's, and not of another who uses this Redis."""
    try:
        message = json.loads(raw or b"")
        return isinstance(message, dict) and {"body", "properties"} <= message.keys()
    except ValueError:
        return False


def _literal(text: str) -> str:
    """For a pattern of SCAN."""
    return "".join(f"\\{each}" if each in "*?[]\\^-" else each for each in text)
