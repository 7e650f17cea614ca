"""OpenTelemetry's instrumentation of Celery, on the calls of the door.

Needs the package ``opentelemetry-instrumentation-celery``. That asks for Celery to be installed, and hears its signals;
from `instrument` on it hears ours, too.
"""

import importlib
from typing import Any

from workrow.celery import current, signals
from workrow.celery.kept_errors import ExceptionInfo


class _Both:
    """A signal of Celery's and the one of ours of the same name."""

    def __init__(self, *both: Any) -> None:
        self._both = both

    def connect(self, *args: Any, **options: Any) -> None:
        for each in self._both:
            each.connect(*args, **options)

    def disconnect(self, *args: Any, **options: Any) -> None:
        for each in self._both:
            each.disconnect(*args, **options)


class _Signals:
    """The module `celery.signals`, with ours."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def __getattr__(self, name: str) -> Any:
        return _Both(getattr(self._theirs, name), getattr(signals, name))


class _Tasks:
    """The registry of Celery's app, and before it that of ours."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    @property
    def tasks(self) -> "_Tasks":
        return self

    def get(self, name: str) -> Any:
        try:
            found = current.current_app().tasks.get(name)
        except RuntimeError:  # there is no app of ours
            found = None
        return self._theirs.tasks.get(name) if found is None else found


def instrument(**options: Any) -> Any:
    """Trace calls where they are sent and where they run: ``apply_async/NAME`` and under it ``run/NAME``.

    Where the app is made, so that child processes do it too. A second time does nothing.

    Args:
        **options: of ``CeleryInstrumentor().instrument``: ``tracer_provider``, ``meter_provider``, ``use_span_links``.

    Returns:
        The instrumentor; its ``uninstrument()`` ends it.

    Raises:
        ImportError: the package is not installed, or Celery is not, which it imports.
    """
    theirs = importlib.import_module("opentelemetry.instrumentation.celery")
    if not isinstance(theirs.signals, _Signals):
        vars(theirs)["signals"] = _Signals(theirs.signals)
        vars(theirs)["ExceptionInfo"] = (theirs.ExceptionInfo, ExceptionInfo)  # which isinstance takes
        vars(theirs.utils)["registry"] = _Tasks(theirs.utils.registry)
    instrumentor = theirs.CeleryInstrumentor()
    instrumentor.instrument(**options)
    return instrumentor
