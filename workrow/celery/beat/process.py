"""Beat as a process of its own, and beside a worker."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workrow.celery.beat.beat import Beat
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.logs import get_logger

logger = get_logger(__name__)

OURS = {
    *("celery.beat:PersistentScheduler", "celery.beat.PersistentScheduler"),
    *("celery.beat:Scheduler", "celery.beat.Scheduler"),
}
"""Celery's own schedulers, which need nothing but ``beat_schedule``."""
STOP_SECONDS = 5.0
"""So long a worker that ends waits for what its beat is sending."""


def beat_of(app: Any, max_interval: float | None = None, scheduler: str | None = None) -> Beat:
    """The beat of an app.

    Args:
        app: the app of the door.
        max_interval: see `Beat`.
        scheduler: None: ``beat_scheduler``.

    Raises:
        ImproperlyConfigured: another scheduler than Celery's own is asked for, or ``beat_schedule`` cannot be read.
    """
    app.load()
    wanted = scheduler or app.conf.get("beat_scheduler")
    if wanted and wanted not in OURS:
        raise ImproperlyConfigured(
            f"beat_scheduler={wanted!r}: there is none but ours, which keeps its times in the database: "
            "put the entries into beat_schedule, or add_periodic_task, and leave beat_scheduler out"
        )
    return Beat(app, max_interval)


def run_beat(app: Any, max_interval: float | None = None, scheduler: str | None = None) -> None:
    """Send what is due until SIGTERM or SIGINT.

    Args:
        app: the app of the door.
        max_interval: see `Beat`.
        scheduler: see `beat_of`.

    Raises:
        ImproperlyConfigured: see `beat_of`.
        WorkrowError: see `Beat.run`.
    """
    beat = beat_of(app, max_interval, scheduler)
    former = {}
    if threading.current_thread() is threading.main_thread():
        former = {each: signal.signal(each, lambda *_: beat.stop()) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        beat.run()
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)


@contextmanager
def beside(app: Any) -> Iterator[Beat]:
    """Inside, the app's beat runs in a thread. Raises as `beat_of`."""
    beat = beat_of(app)

    def run() -> None:
        try:
            beat.run(embedded=True)
        except Exception:
            logger.critical("beat has ended; start the worker again when this is put right", exc_info=True)

    thread = threading.Thread(target=run, name="beat", daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        beat.stop()
        thread.join(STOP_SECONDS)
