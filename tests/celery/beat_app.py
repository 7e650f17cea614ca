"""An app for processes of beat, which tests kill: ``python -m tests.celery.beat_app beat|worker [KILL]``."""

import logging
import os
import signal
import sys

from workrow.celery import Celery
from workrow.celery.beat import BeatLazyFunc, run_beat
from workrow.celery.signals import beat_embedded_init, beat_init
from workrow.celery.worker.engine import run_worker

app = Celery("killed", result_expires=None)


def moment() -> int:
    """Within the transaction that sends; who was told to dies in its third."""
    if sys.argv[2:] and (count := next(counter)) == 3:
        say("dying in", count)
        os.kill(os.getpid(), signal.SIGKILL)
    return 0


def say(*words: object) -> None:
    """To the test."""
    sys.stdout.write(f"{' '.join(map(str, words))}\n")
    sys.stdout.flush()


counter = iter(range(1, 1_000_000))
app.conf.beat_schedule = {
    f"every {n}": {
        "task": "killed.note",
        "schedule": 0.03 * (n + 1),
        "args": (n,),
        "kwargs": {"at": BeatLazyFunc(moment)},
        "options": {"queue": "notes"},
    }
    for n in range(4)
}


@app.task(name="killed.note")
def note(n: int, at: int) -> int:
    say("ran", n)
    return n


@beat_init.connect
def said(sender: object, **_: object) -> None:
    say("beat_init", type(sender).__name__)


@beat_embedded_init.connect
def said_too(sender: object, **_: object) -> None:
    say("beat_embedded_init", type(sender).__name__)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
    if sys.argv[1] == "beat":
        run_beat(app)
    else:
        run_worker(app, queues=["notes"], concurrency=4, pool="threads", beat=True)
    say("ended")
