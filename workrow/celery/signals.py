"""Celery's signals: functions that are told of what happens to tasks, workers and the scheduler.

@task_failure.connect(sender=charge)
def page(sender, task_id, exception, **kwargs): ...
"""

import inspect
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from workrow.logs import get_logger

logger = get_logger(__name__)
FIRST_RETRY_SECONDS = LONGER_BY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 30.0


class Receiver(NamedTuple):
    """A function that is connected."""

    key: Any
    sender: Any
    find: Callable[[], Any]
    retry: bool


class Signal:
    """Something that happens, and who is told of it.

    Args:
        name: for people.
        providing_args: names of the arguments that receivers get beside ``sender`` and ``signal``.
        never: why it never comes here; who connects to it is told so once, in the log.

    Attributes:
        receivers: who is connected. Whoever sends may look first whether there is anybody.
    """

    def __init__(
        self, name: str | None = None, providing_args: Iterable[str] | None = None, never: str | None = None
    ) -> None:
        self.name = name
        self.providing_args = set(providing_args or ())
        self.never = never
        self.receivers: list[Receiver] = []
        self._lock = threading.Lock()

    def connect(
        self,
        receiver: Callable[..., Any] | None = None,
        sender: Any = None,
        weak: bool = True,
        dispatch_uid: Any = None,
        retry: bool = False,
    ) -> Any:
        """Tell a function from here on; without one, a decorator. Gives the function back.

        Args:
            receiver: takes ``sender``, the signal's arguments, and ``**kwargs``.
            sender: tell only of this one: the task itself, or for ``before_task_publish`` and ``after_task_publish``
                its name. None: of all.
            weak: stop when nobody else knows the function or, of a bound method, the object.
            dispatch_uid: connects one receiver of this name only, however often its module is loaded.
            retry: call it again, after 2 s, 4 s … 30 s, until it raises nothing. The sender waits.

        Raises:
            TypeError: the receiver cannot be called.
            ValueError: it takes no ``**kwargs``.
        """
        if receiver is None:
            return lambda function: self.connect(function, sender, weak, dispatch_uid, retry)
        self._check(receiver)
        if self.never is not None:
            logger.warning("%r waits for the signal %s, which never comes: %s", receiver, self.name, self.never)
            self.never = None
        found = Receiver(_key(receiver, dispatch_uid), sender, _finder(receiver) if weak else lambda: receiver, retry)
        with self._lock:
            alive = [each for each in self.receivers if each.find() is not None]
            if not any(each.key == found.key and _same(each.sender, sender) for each in alive):
                alive.append(found)
            self.receivers = alive
        return receiver

    def _check(self, receiver: Any) -> None:
        if not callable(receiver):
            raise TypeError(f"a receiver of the signal {self.name} must be a function, not {receiver!r:.80}")
        try:
            parameters = inspect.signature(receiver).parameters.values()
        except ValueError:  # a function of C does not tell
            return
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            raise ValueError(f"{receiver!r:.80} must take **kwargs to be a receiver of the signal {self.name}")

    def disconnect(
        self, receiver: Any = None, sender: Any = None, weak: bool | None = None, dispatch_uid: Any = None
    ) -> bool:
        """Tell a function no longer; the `sender` and the `dispatch_uid` are those that it was connected with.

        Returns:
            Whether it was connected.
        """
        key = _key(receiver, dispatch_uid)
        with self._lock:
            rest = [each for each in self.receivers if each.key != key or not _same(each.sender, sender)]
            was_there = len(rest) < len(self.receivers)
            self.receivers = rest
        return was_there

    def has_listeners(self, sender: Any = None) -> bool:
        """Whether a `send` by this sender would be heard."""
        return bool(self._live(sender))

    def send(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        """Call the receivers, in the order in which they were connected.

        Returns:
            Each receiver with what it returned, or the exception that it raised, which the log has too.
        """
        if not self.receivers:
            return []
        responses = []
        for receiver, retry in self._live(sender):
            try:
                call = _until_it_works if retry else _once
                response = call(receiver, {"signal": self, "sender": sender, **named})
            except Exception as error:
                logger.exception("receiver %r of the signal %s raised %r", receiver, self.name, error)
                response = error
            responses.append((receiver, response))
        return responses

    send_robust = send

    def _live(self, sender: Any) -> list[tuple[Any, bool]]:
        heard = [each for each in self.receivers if each.sender is None or _same(each.sender, sender)]
        found = [(each.find(), each.retry) for each in heard]
        return [(receiver, retry) for receiver, retry in found if receiver is not None]

    def __repr__(self) -> str:
        return f"<Signal: {self.name} providing_args={self.providing_args!r}>"


def _once(receiver: Any, named: dict[str, Any]) -> Any:
    return receiver(**named)


def _until_it_works(receiver: Any, named: dict[str, Any]) -> Any:
    seconds = FIRST_RETRY_SECONDS
    while True:
        try:
            return receiver(**named)
        except Exception as error:
            logger.error("receiver %r raised %r, and is called again in %.0f s", receiver, error, seconds)
        time.sleep(seconds)
        seconds = min(seconds + LONGER_BY_SECONDS, LONGEST_RETRY_SECONDS)


def _key(receiver: Any, dispatch_uid: Any) -> Any:
    if dispatch_uid is not None:
        return dispatch_uid
    function = getattr(receiver, "__func__", None)
    return (id(receiver), None) if function is None else (id(receiver.__self__), id(function))


def _finder(receiver: Any) -> Callable[[], Any]:
    try:
        return weakref.WeakMethod(receiver) if hasattr(receiver, "__func__") else weakref.ref(receiver)
    except TypeError:  # nothing can know it weakly
        return lambda: receiver


def _same(one: Any, other: Any) -> bool:
    """Texts that are equal, or one object; a proxy of a task is that task."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    return _meant(one) is _meant(other)


def _meant(sender: Any) -> Any:
    find = getattr(type(sender), "_get_current_object", None)
    return sender if find is None else find(sender)


_NO_GREEN_THREADS = "tasks run in threads, in processes or on the event loop, and nothing is green"

before_task_publish = Signal(
    "before_task_publish", ["body", "exchange", "routing_key", "headers", "properties", "declare", "retry_policy"]
)
after_task_publish = Signal("after_task_publish", ["body", "exchange", "routing_key"])
task_received = Signal("task_received", ["request"])
task_prerun = Signal("task_prerun", ["task_id", "task", "args", "kwargs"])
task_postrun = Signal("task_postrun", ["task_id", "task", "args", "kwargs", "retval"])
task_success = Signal("task_success", ["result", "runtime"])
task_retry = Signal("task_retry", ["request", "reason", "einfo"])
task_failure = Signal("task_failure", ["task_id", "exception", "args", "kwargs", "traceback", "einfo"])
task_internal_error = Signal(
    "task_internal_error", ["task_id", "args", "kwargs", "request", "exception", "traceback", "einfo"]
)
task_revoked = Signal("task_revoked", ["request", "terminated", "signum", "expired"])
task_rejected = Signal("task_rejected", ["message", "exc"])
task_unknown = Signal("task_unknown", ["message", "exc", "name", "id"])
task_sent = Signal("task_sent", ["task_id", "task", "args", "kwargs", "eta", "taskset"])

import_modules = Signal("import_modules")
celeryd_init = Signal("celeryd_init", ["instance", "conf", "options"])
celeryd_after_setup = Signal("celeryd_after_setup", ["instance", "conf"])
worker_init = Signal("worker_init")
worker_before_create_process = Signal("worker_before_create_process")
worker_process_init = Signal("worker_process_init")
worker_process_shutdown = Signal("worker_process_shutdown")
worker_ready = Signal("worker_ready")
worker_shutdown = Signal("worker_shutdown")
worker_shutting_down = Signal("worker_shutting_down")
heartbeat_sent = Signal("heartbeat_sent")

setup_logging = Signal("setup_logging", ["loglevel", "logfile", "format", "colorize"])
after_setup_logger = Signal("after_setup_logger", ["logger", "loglevel", "logfile", "format", "colorize"])
after_setup_task_logger = Signal("after_setup_task_logger", ["logger", "loglevel", "logfile", "format", "colorize"])

beat_init = Signal("beat_init")
beat_embedded_init = Signal("beat_embedded_init")
user_preload_options = Signal("user_preload_options", ["app", "options"])

eventlet_pool_started = Signal("eventlet_pool_started", never=_NO_GREEN_THREADS)
eventlet_pool_preshutdown = Signal("eventlet_pool_preshutdown", never=_NO_GREEN_THREADS)
eventlet_pool_postshutdown = Signal("eventlet_pool_postshutdown", never=_NO_GREEN_THREADS)
eventlet_pool_apply = Signal("eventlet_pool_apply", ["target", "args", "kwargs"], never=_NO_GREEN_THREADS)
