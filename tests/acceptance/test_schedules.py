"""Five workers, a schedule of every second, one of them killed again and again: each tick once, none missing.

A quarter of a minute, a kill every three seconds; the minute of the promise, a kill every ten, is
``TICK_SECONDS=60 KILL_SECONDS=10 pytest tests/acceptance/test_schedules.py``.
"""

import os
import random
from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from subprocess import Popen
from typing import Any

from tests.acceptance.commands import start, wait_for

WORKERS = 5
SECONDS = int(os.environ.get("TICK_SECONDS", "15"))
KILL_SECONDS = int(os.environ.get("KILL_SECONDS", "3"))


def worker(url: str) -> AbstractContextManager[Popen[str]]:
    command = ("workrow", "--app=tests.acceptance.schedule_app.app", "worker", "--log-level=warning")
    return start(command, SCHEDULE_DATABASE_URL=url)


def ticks(conn: Any) -> list[int]:
    rows = conn.execute("SELECT CAST(args ->> 'timestamp' AS bigint) FROM workrow.jobs WHERE task = 'tick' ORDER BY 1")
    return [row[0] for row in rows]


def test_each_tick_once_and_none_missing_while_workers_are_killed(database_url: str, conn: Any) -> None:
    kill = random.Random(7)
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(database_url)) for _ in range(WORKERS)]
        wait_for(lambda: conn.execute("SELECT count(*) = %s FROM workrow.workers", [WORKERS]).fetchone()[0])
        first = wait_for(lambda: ticks(conn))[0]
        killed = 0
        while (now := wait_for(lambda: max(ticks(conn)))) < first + SECONDS:
            if now - first >= (killed + 1) * KILL_SECONDS:
                victim = workers.pop(kill.randrange(WORKERS))
                victim.kill()
                victim.wait()
                workers.append(stack.enter_context(worker(database_url)))
                killed += 1
            wait_for(lambda now=now: max(ticks(conn)) > now)  # type: ignore[misc]
    seen = ticks(conn)
    assert [second for second, count in Counter(seen).items() if count > 1] == []
    assert seen == list(range(first, seen[-1] + 1))
    assert killed >= SECONDS // KILL_SECONDS - 1
    assert conn.execute("SELECT skipped FROM workrow.schedules WHERE name = 'tick'").fetchone() == (0,)
