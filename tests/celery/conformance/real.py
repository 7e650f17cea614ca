"""Celery on Redis."""

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from tests.celery.notation import UUID

LANES = 16  # a Redis has as many databases


@contextlib.contextmanager
def lanes(number: int, server: str | None = None) -> Iterator[list[str]]:
    """A server of our own; its databases' URLs. Raises RuntimeError where there is no redis-server."""
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError("there is no redis-server here")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no")
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            yield [f"redis://127.0.0.1:{port}/{lane}" for lane in range(min(number, LANES))]
        finally:
            server.terminate()
            server.wait()


class Store:
    """What lies in the broker and the result backend of a lane."""

    def __init__(self, url: str) -> None:
        import redis

        self.redis = redis.Redis.from_url(url)

    def empty(self) -> None:
        self.redis.flushdb()

    def drop_what_waits(self) -> None:
        self.redis.delete("celery", "other")

    def busy(self) -> bool:
        """Whether a call waits, is held by a worker (that includes countdowns), or runs."""
        return any(self.redis.llen(queue) for queue in ("celery", "other")) or self.redis.hlen("unacked") > 0

    def stored(self, task_id: str) -> dict[str, Any]:
        """A result as it is stored."""
        return json.loads(self.redis.get(f"celery-task-meta-{task_id}"))  # type: ignore[no-any-return]

    def seconds_to_live(self, task_id: str) -> float:
        return float(self.redis.ttl(f"celery-task-meta-{task_id}"))

    def waiting(self) -> int:
        return int(self.redis.llen("celery"))

    def waiting_by_list(self) -> list[str]:
        """The lists in which calls wait, with their lengths."""
        lists = sorted(key for key, kind in self.keys("celery*").items() if kind == "list")
        return [f"{key!r}: {self.redis.llen(key)}" for key in lists]

    def held(self) -> int:
        return int(self.redis.hlen("unacked"))

    def keys(self, pattern: str) -> dict[str, str]:
        """Keys, and the kinds of what lies under them."""
        return {key.decode(): self.redis.type(key).decode() for key in self.redis.scan_iter(pattern, 5000)}

    def watch_chord(self, result: Any, seconds: float = 180) -> dict[str, Any]:
        """What the backend keeps of a chord until its body has run, and what is left then."""
        kinds: set[str] = set()
        facts: dict[str, Any] = {}
        largest, end = 0, time.monotonic() + seconds
        done = False
        while time.monotonic() < end and not done:
            done = result.ready()
            parts = self.keys("*-meta-*.*")
            kinds |= {f"{UUID.sub('<id>', key)} {kind}" for key, kind in parts.items()}
            for key in (key for key, kind in parts.items() if kind == "zset"):
                largest = max(largest, self.redis.zcard(key))
                for entry in self.redis.zrange(key, 0, 0):
                    facts["entry_like"] = UUID.sub("<id>", entry.decode())
                facts["ttl_of_j_set"] = self.redis.ttl(key) > 0
            time.sleep(0.3)
        return {
            **facts,
            "j_grew_past_1000": largest > 1000,
            "keys_while_running": sorted(kinds),
            "taskset_keys_after": sorted(UUID.sub("<id>", key) for key in self.keys("celery-taskset-meta-*")),
            "results_kept": sum(1 for _ in self.redis.scan_iter("celery-task-meta-*", 5000)),
        }
