"""The wrong clock of the chaos suite is wrong, and nothing else is."""

import os
import subprocess
import sys

from tests.chaos.fleet import CLOCK_OFF_SECONDS, SHIM

PROGRAM = """
import datetime, logging, multiprocessing, pickle, time
import psycopg  # which takes datetimes apart in C

ends = multiprocessing.Pipe()
for zone in (None, datetime.UTC, datetime.timezone(datetime.timedelta(hours=2), "here")):
    moment = datetime.datetime(2026, 3, 29, 2, 30, 1, 5, zone, fold=1)
    ends[0].send([moment])  # how a child process gets its job
    assert [moment] == ends[1].recv() == pickle.loads(pickle.dumps([moment]))
    assert ends[1].poll() is False and pickle.loads(pickle.dumps(moment)).fold == 1
assert isinstance(moment, datetime.datetime) and isinstance(datetime.datetime.now(), datetime.datetime)
record = logging.LogRecord("a", 1, "a", 1, "a", None, None)
print(time.time(), datetime.datetime.now().timestamp(), datetime.datetime.now(datetime.UTC).timestamp(), record.created,
      time.monotonic())
"""


def clocks(off: int) -> list[float]:
    """What the clocks of a process tell whose host's clock is off by so many seconds."""
    environment = {**os.environ, "CHAOS_CLOCK_OFF": str(off), "PYTHONPATH": str(SHIM)}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return [float(word) for word in ended.stdout.split()]


def test_only_the_clock_on_the_wall_is_wrong() -> None:
    *right, before = clocks(0)
    *wrong, after = clocks(CLOCK_OFF_SECONDS)
    assert all(abs(late - early - CLOCK_OFF_SECONDS) < 60 for early, late in zip(right, wrong, strict=True))
    assert 0 < after - before < 60
