#!/usr/bin/env bash
# Celery 5.7.0: a task that replaces itself hands its link on to what takes its place. Where that is a chain that begins
# with a chord, the link is called with the value of the chord, and not with what the chain comes to; the caller's result
# is that of the whole chain. Of a chain of plain tasks both are the same.
# Seen, of the same sum: the plain chain gives 112 and its link gets 112; with a chord the result is 112, and the link gets 2.
# Exits 0 while that is so, and 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "celery==5.7.0"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import time

import celery
from celery import Celery, chain, chord
from celery.contrib.testing.worker import start_worker

app = Celery("sums", broker="memory://", backend="cache+memory://")
heard: list[int] = []


@app.task(name="add")
def add(x: int, y: int) -> int:
    return x + y


@app.task(name="total")
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(name="hear")
def hear(value: int) -> None:
    heard.append(value)


@app.task(name="plain", bind=True)
def plain(self: celery.Task) -> None:
    raise self.replace(chain(add.s(1, 1), add.s(10), add.s(100)))


@app.task(name="with_chord", bind=True)
def with_chord(self: celery.Task) -> None:
    raise self.replace(chain(chord([add.s(0, 1), add.s(0, 1)], total.s()), add.s(10), add.s(100)))


seen = {}
with start_worker(app, perform_ping_check=False, pool="solo"):
    for task in (plain, with_chord):
        heard.clear()
        result = task.apply_async(link=hear.s()).get(timeout=30)
        until = time.monotonic() + 10
        while not heard and time.monotonic() < until:
            time.sleep(0.05)
        seen[task.name] = result, [*heard]
print(f"Celery {celery.__version__}: {seen}")
sys.exit(0 if seen == {"plain": (112, [112]), "with_chord": (112, [2])} else 1)
PYTHON
