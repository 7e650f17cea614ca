"""The producer's side: Celery's own way of sending makes each message, and a dial says which transport it takes."""

import inspect
import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, wraps
from typing import Any

from workrow.celery.app import Celery
from workrow.celery.bridge import shadow
from workrow.celery.bridge.dials import Dial, Dials, place
from workrow.celery.bridge.messages import Unmovable
from workrow.celery.bridge.moves import Moves, NotMoved
from workrow.celery.bridge.reading import is_redis
from workrow.celery.bridge.results import Results, mark
from workrow.celery.bridge.transport import Transport
from workrow.celery.outbox import Outbox
from workrow.logs import get_logger

logger = get_logger(__name__)

URLS = ("WORKROW_DATABASE_URL", "DATABASE_URL")
BRIDGE = "_workrow_bridge"
"""The attribute of a Celery app that has its bridge."""
CANVASES = ("_chain", "group", "_chord")
_here: ContextVar[Outbox | None] = ContextVar("here", default=None)
"""What is collected of the calls that come here."""
_there: ContextVar[bool] = ContextVar("there", default=False)
"""What is sent inside goes to the old broker."""


class Bridge:
    """Of one Celery app.

    Args:
        app: the ``celery.Celery``.
        database_url: see `workrow.celery.bridge.install`.
        sticky: the same.
    """

    def __init__(self, app: Any, database_url: str | None, sticky: dict[str, Callable[..., Any]]) -> None:
        self._app = app
        url = database_url or next((found for name in URLS if (found := os.environ.get(name))), None)
        self.door = Celery(app.main, broker=url, set_as_current=False)
        self._moves = Moves(self.door.store)
        self.dials = Dials(self._moves.dials)
        self._sticky = sticky
        self._told: set[tuple[str, str]] = set()
        self._send: Callable[..., Any] = app.send_task
        self._words = [*inspect.signature(self._send).parameters][:6]

    @classmethod
    def of(cls, app: Any, database_url: str | None, sticky: dict[str, Callable[..., Any]]) -> "Bridge":
        """Put one in the way of an app's calls; a second time it is the same.

        Raises:
            TypeError: it is no app of Celery's.
        """
        try:
            import celery
        except ImportError as error:
            raise TypeError(f"install({app!r}): celery is not installed here, so this is no app of it") from error
        if not isinstance(app, celery.Celery):
            raise TypeError(f"install({app!r}): must be a celery.Celery, or the door's")
        bridge: Bridge | None = vars(app).get(BRIDGE)
        if bridge is None:
            bridge = cls(app, database_url, sticky)
            setattr(app, BRIDGE, bridge)
            app.send_task = bridge.send_task
            Results(app, bridge.door, _here.get).install()
            for name in CANVASES:
                _divide(name)
        return bridge

    # ---------------------------------------------------------------- one call

    def send_task(self, name: str, *given: Any, **options: Any) -> Any:
        """``app.send_task``, on either side."""
        options |= dict(zip(self._words[1:], given, strict=False))
        args, kwargs = options.pop("args", None), options.pop("kwargs", None)
        box = _here.get()
        if box is not None:
            return self._collect(box, name, args, kwargs, options)
        if self._comes(name, args, kwargs, options):
            box = Outbox()
            try:
                result = self._collect(box, name, args, kwargs, options)
                self._moves.write(name, box.effects)
                return result
            except (Unmovable, NotMoved) as error:
                self._stays(name, error)
        result = mark(self._send(name, args, kwargs, **options), False)
        self._shadow(name, args, kwargs, options, result)
        return result

    def _collect(self, box: Outbox, name: str, args: Any, kwargs: Any, options: dict[str, Any]) -> Any:
        task = self._app.tasks.get(name)
        limit = getattr(task, "queue", None) or "", getattr(task, "rate_limit", None)
        transport: Any = Transport(box, options.get("countdown"), limit)
        with _set(_here, box):
            return mark(self._send(name, args, kwargs, **{**options, "producer": transport}), True)

    def _comes(self, name: str, args: Any, kwargs: Any, options: dict[str, Any]) -> bool:
        if _there.get() or not self._is_own(options) or self._app.current_worker_task is not None:
            return False
        names = {name, *_names([args, kwargs, *(options.get(key) for key in ("link", "link_error", "chain", "chord"))])}
        dial = self._dial(names)
        if not dial.percent:
            return False
        key = self._key(name, dial, args, kwargs)
        return (100 * random.random() if key is None else place(key)) < dial.percent

    def _is_own(self, options: Mapping[str, Any]) -> bool:
        """Whether a call is to go to the app's broker: beat, for one, brings a producer of its own for that."""
        given = options.get("producer") or options.get("publisher")
        connection = options.get("connection") or getattr(given, "connection", None)
        if connection is None:
            return given is None
        return bool(connection.as_uri() == self._uri)

    @cached_property
    def _uri(self) -> str:
        return str(self._app.connection_for_write().as_uri())

    def _dial(self, names: set[str]) -> Dial:
        """The lowest of several: what belongs together comes here only where all of it may."""
        own = {name for name in names if not name.startswith("celery.")}
        if not own:  # of Celery's own: clean-ups of its backend, say
            return Dial()
        return min((self.dials.of(name) for name in sorted(own)), key=lambda dial: dial.percent)

    def _key(self, name: str, dial: Dial, args: Any, kwargs: Any) -> Any:
        """What decides for a call; None: nothing, each by itself."""
        try:
            if name in self._sticky:
                return self._sticky[name](*(args or ()), **(kwargs or {}))
            if dial.sticky_by is None:
                return None
            if dial.sticky_by in (kwargs or {}):
                return kwargs[dial.sticky_by]
            task = self._app.tasks[name]
            bound = inspect.signature(task.run).bind(*(args or ()), **(kwargs or {}))
            bound.apply_defaults()
            return bound.arguments[dial.sticky_by]
        except Exception as error:
            self._tell(name, "sticky", f"calls of {name} are not sticky: {error!r}")
            return None

    # ---------------------------------------------------------------- canvases

    def canvas(self, apply_async: Callable[..., Any], sig: Any, args: Any, kwargs: Any, options: dict[str, Any]) -> Any:
        """``apply_async`` of a canvas: all of it on one side."""
        name = sig.get("task") or "a canvas"
        if not _there.get() and self._is_own(options) and self._app.current_worker_task is None:
            dial = self._dial({*_names([sig, args, kwargs, options])})
            if 100 * random.random() < dial.percent:
                box = Outbox()
                try:
                    with _set(_here, box):
                        result = apply_async(sig, args, kwargs, **options)
                    if box.effects:
                        self._moves.write(name, box.effects)
                    return mark(result, True)
                except (Unmovable, NotMoved) as error:
                    self._stays(name, error)
        with _set(_there, True):
            return mark(apply_async(sig, args, kwargs, **options), False)

    # ---------------------------------------------------------------- shadows

    def _shadow(self, name: str, args: Any, kwargs: Any, options: dict[str, Any], result: Any) -> None:
        """Let a call that has gone to the old broker be run here too, and rolled back; its caller never hears of it."""
        if self._app.current_worker_task is not None or name.startswith("celery."):
            return
        dial = self.dials.of(name)
        if 100 * random.random() >= dial.shadow:
            return
        if result.ignored or not is_redis(self._app.conf.result_backend):
            self._tell(name, "shadow", f"no shadows of {name}: its results are not kept in Redis")
            return
        task = self._app.tasks.get(name)
        try:
            route = {"queue": options["queue"]} if options.get("queue") else {}
            queue = self._app.amqp.router.route(
                route or dict(getattr(task, "_get_exec_options", dict)()), name, args, kwargs
            )
            call = shadow.call_of(name, result.id, args, kwargs, options, queue["queue"].name)
            self.door.store.run("celery_write", effects=shadow.effects_of(call))
        except Exception as error:
            self._tell(name, "shadow", f"no shadow of {name}: {error!r}")

    # ---------------------------------------------------------------- words

    def _stays(self, name: str, error: Exception) -> None:
        if isinstance(error, NotMoved):
            self.dials.unreachable(error)
        else:
            self._tell(name, "stays", f"calls of {name} go to the old broker: {error}")

    def _tell(self, name: str, what: str, text: str) -> None:
        if (name, what) not in self._told:
            self._told.add((name, what))
            logger.warning("%s (said once)", text)


def _divide(name: str) -> None:
    """Let a class of Celery's canvases ask the bridge of its app, if that has one."""
    from celery import canvas

    kind = getattr(canvas, name)
    apply_async = kind.apply_async
    if hasattr(apply_async, BRIDGE):
        return

    @wraps(apply_async)
    def divided(self: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        app = self.app
        bridge = getattr(app, BRIDGE, None)
        if bridge is None or app.conf.task_always_eager or _here.get() is not None or _there.get():
            return apply_async(self, args, kwargs, **options)
        return bridge.canvas(apply_async, self, args, kwargs, options)

    setattr(divided, BRIDGE, True)
    kind.apply_async = divided


def _names(value: Any) -> Iterator[str]:
    """All tasks that signatures inside of a value name."""
    if isinstance(value, Mapping):
        if "task" in value and "subtask_type" in value and isinstance(value["task"], str):
            yield value["task"]
        for each in value.values():
            yield from _names(each)
    elif isinstance(value, list | tuple | set):
        for each in value:
            yield from _names(each)


@contextmanager
def _set(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
