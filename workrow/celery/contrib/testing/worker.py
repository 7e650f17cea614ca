"""A worker for tests, in a thread of theirs."""

import itertools
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from workrow.app import App
from workrow.celery.contrib.testing.app import _Tested
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.result import allow_join_result
from workrow.celery.signals import Signal
from workrow.celery.utils.log import setup
from workrow.celery.worker.engine import POOLS, find, run_worker
from workrow.logs import get_logger

logger = get_logger(__name__)

WORKER_LOGLEVEL = os.environ.get("WORKER_LOGLEVEL", "error")
"""What its logs have, if it writes logs."""
MEANINGLESS = {
    *("O", "optimization", "prefetch_multiplier", "disable_prefetch", "task_events", "send_events", "statedb"),
    *("state_db", "autoscaler_cls", "consumer_cls", "timer_cls", "timer_precision", "pool_cls", "pool_putlocks"),
    *("pool_restarts", "disable_rate_limits", "worker_lost_wait", "scheduler_cls", "schedule_filename", "scheduler"),
    *("ready_callback", "without_heartbeat", "without_mingle", "without_gossip", "heartbeat_interval", "use_eventloop"),
    *("autoscale",),
}
"""Parameters of Celery's worker that change nothing here."""
LIMITS = {
    "task_time_limit": ("time_limit", "task_time_limit"),
    "task_soft_time_limit": ("soft_time_limit", "task_soft_time_limit"),
}
OPTIONS = {"beat", "hostname", "max_memory_per_child", "max_tasks_per_child"}
"""Parameters that the worker itself is given; others are said of the app, or of queues."""
LOOK_SECONDS = 0.005
"""From one look whether the worker has begun, so that it can end, to the next."""

test_worker_starting = Signal("test_worker_starting")
test_worker_started = Signal("test_worker_started", ["worker", "consumer"])
test_worker_stopped = Signal("test_worker_stopped", ["worker"])
_numbers = itertools.count(1)


class TestWorkController:
    """A worker in a thread.

    Args:
        app: the app of the door.
        pool: see `start_worker`.
        **options: of `run_worker`.

    Attributes:
        app: the same.
        hostname: its name.
    """

    __test__ = False  # pytest takes classes named Test… for tests

    def __init__(self, app: Any, pool: str, hostname: str | None = None, **options: Any) -> None:
        self.app = app
        self.hostname: str = hostname or f"gen{os.getpid()}.{next(_numbers)}@{socket.gethostname()}"
        self.pool = _possible(app, pool)
        self._options = options
        self._engine: App | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._over = self._ends = self._anew = False
        self._thread = threading.Thread(target=self._run, name=self.hostname, daemon=True)

    def start(self) -> None:
        """Begin, and return when it runs. Raises what prevents it, a database without workrow's tables say."""
        self._thread.start()
        self.ensure_started()

    def ensure_started(self) -> None:
        """Return when it runs. Raises what prevents it."""
        with self._changed:
            self._changed.wait_for(lambda: self._engine is not None or self._over)
        if self._engine is None and self._error is not None:
            raise self._error

    def reload(self, modules: Any = None, reload: bool = False, reloader: Any = None) -> None:
        """Get to know the tasks that were declared after it began. Returns when it does.

        Args:
            modules, reload, reloader: of Celery's; modules that are imported already are not imported anew.
        """
        with self._changed:
            self._anew = True
            engine, self._engine = self._engine, None
        self._stop(engine)
        self.ensure_started()

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:
        """Ask it to end what runs, and to end."""
        self._ends = True
        self._stop(self._engine)

    def join(self, timeout: float) -> bool:
        """Wait until it has ended, for so many seconds at most. Returns whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _stop(self, engine: App | None) -> None:
        while not self._over and engine is not None:
            if workers := engine.running_workers():
                for each in workers:
                    each.stop()
                return
            time.sleep(LOOK_SECONDS)

    def _run(self) -> None:
        try:
            self._run_engines()
        except BaseException as error:
            self._error = error
            logger.exception("the worker has ended")
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _run_engines(self) -> None:
        options = {"pool": self.pool, "hostname": self.hostname, "started": self._started, **self._options}
        while True:
            self._anew = False
            run_worker(self.app, install_signal_handlers=False, **options)
            if self._ends or not self._anew:
                return

    def _started(self, engine: App) -> None:
        with self._changed:
            self._engine = engine
            self._changed.notify_all()


@contextmanager
def start_worker(
    app: Any,
    concurrency: int = 1,
    pool: str = "solo",
    loglevel: str | int = WORKER_LOGLEVEL,
    logfile: str | None = None,
    perform_ping_check: bool = True,
    ping_task_timeout: float = 10.0,
    shutdown_timeout: float = 10.0,
    **kwargs: Any,
) -> Iterator[TestWorkController]:
    """Inside, a worker runs in a thread, and its app is that of whoever names none.

    Args:
        app: the app of the door.
        concurrency: calls at a time.
        pool: ``solo`` and ``threads`` run calls in threads; ``prefork`` in child processes, which import the app, and
            in threads where it cannot be imported, as one that a test has made.
        loglevel, logfile: of the logs; an app of `TestApp` writes none unless it is told to.
        perform_ping_check: have it run ``celery.ping``, of `workrow.celery.contrib.testing.tasks`, first.
        ping_task_timeout: seconds for that.
        shutdown_timeout: seconds for what still runs at the end.
        **kwargs: ``queues`` and ``exclude_queues``, as text or a list of names; ``hostname``, ``include``, ``beat``,
            ``time_limit``, ``soft_time_limit``, ``max_tasks_per_child``, ``max_memory_per_child``.

    Raises:
        TypeError: there is no such parameter.
        AssertionError: it is to run ``celery.ping``, and the app has no such task.
        RuntimeError: it has not ended in time.
    """
    options = _options_of(app, dict(kwargs))
    test_worker_starting.send(sender=app)
    worker = None
    try:
        with _running(
            app, concurrency, pool, loglevel, logfile, perform_ping_check, shutdown_timeout, options
        ) as worker:
            if perform_ping_check:
                with allow_join_result():
                    pong = app.tasks["celery.ping"].delay().get(timeout=ping_task_timeout)
                    assert pong == "pong", f"celery.ping answered {pong!r}"
            yield worker
    finally:
        test_worker_stopped.send(sender=app, worker=worker)


@contextmanager
def _running(
    app: Any,
    concurrency: int,
    pool: str,
    loglevel: str | int,
    logfile: str | None,
    perform_ping_check: bool,
    shutdown_timeout: float,
    options: dict[str, Any],
) -> Iterator[TestWorkController]:
    setup_app_for_worker(app, loglevel, logfile)
    assert not perform_ping_check or "celery.ping" in app.tasks, (
        "no task celery.ping: import workrow.celery.contrib.testing.tasks, or say perform_ping_check=False"
    )
    worker = TestWorkController(app, pool, concurrency=concurrency, **options)
    worker.start()
    test_worker_started.send(sender=app, worker=worker, consumer=None)
    try:
        yield worker
    finally:
        worker.stop()
        if not worker.join(shutdown_timeout):
            raise RuntimeError(
                f"the worker {worker.hostname} has not ended within {shutdown_timeout:g} s: a task still runs; "
                "give it more, shutdown_timeout=…"
            )


def setup_app_for_worker(app: Any, loglevel: str | int, logfile: str | None) -> None:
    """What is done with an app before a worker runs in a test."""
    app.finalize()
    app.set_default()
    if not isinstance(app, _Tested) or app.writes_logs:
        setup(app.conf, loglevel, logfile)


def _options_of(app: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Those of `TestWorkController`; settings of the app are changed."""
    for setting, names in LIMITS.items():
        for name in names:
            if given.get(name) is not None:
                setattr(app.conf, setting, given[name])
            given.pop(name, None)
    if include := given.pop("include", None):
        app.conf.include = [*app.conf.include, *_listed(include)]
    excluded = _listed(given.pop("exclude_queues", None))
    queues = _listed(given.pop("queues", None)) or app.router.queues()
    meaningless = sorted(given.keys() & MEANINGLESS)
    if told := [name for name in meaningless if given.pop(name) is not None and not name.startswith("without_")]:
        logger.warning("%s: parameters of Celery's worker that change nothing here", ", ".join(told))
    if unknown := sorted(given.keys() - OPTIONS):
        raise TypeError(
            f"{unknown[0]}={given[unknown[0]]!r}: no parameter of a worker; there are {', '.join(sorted(OPTIONS))}"
        )
    return {**given, "queues": [each for each in queues if each not in excluded]}


def _listed(names: str | Iterable[str] | None) -> list[str]:
    return [each.strip() for each in names.split(",")] if isinstance(names, str) else [*(names or ())]


def _possible(app: Any, pool: str) -> str:
    """The pool, or threads where child processes could not import the app."""
    if POOLS.get(pool):
        try:
            find(app)
        except ImproperlyConfigured:
            logger.warning("pool=%r: calls run in threads, since child processes cannot import this app", pool)
            return "threads"
    return pool
