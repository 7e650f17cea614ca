"""Values, results and errors as plain JSON."""

import time
from collections.abc import Callable
from typing import Any

from tests.celery.conformance.words import module


def shown(value: Any) -> Any:
    """A value as plain JSON: of errors the class and the text, of requests what they call."""
    if isinstance(value, BaseException):
        return {"exception": type(value).__name__, "text": str(value)}
    kind = type(value).__name__
    if kind == "Context":
        return {"request_of": value.task, "id": value.id, "args": shown(value.args), "kwargs": shown(value.kwargs)}
    if kind == "ExceptionInfo":
        return shown(value.exception)
    if isinstance(value, str) and value.startswith("Traceback (most"):
        return {"traceback": "str"}
    if isinstance(value, dict):
        return {str(key): shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [shown(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return {"object": kind, "repr": repr(value)[:300]}


def typed(value: Any) -> dict[str, str]:
    return {"type": type(value).__name__, "repr": repr(value)}


def raised(error: BaseException) -> dict[str, Any]:
    return {
        "raises": type(error).__name__,
        "bases": [base.__name__ for base in type(error).__mro__[1:3]],
        "text": str(error),
    }


def outcome(call: Callable[[], Any]) -> dict[str, Any]:
    """What a call gives, or what it raises."""
    try:
        return {"value": shown(call())}
    except module("exceptions").TimeoutError as error:
        return {"times_out": str(error)}
    except BaseException as error:
        return raised(error)


def look(result: Any, timeout: float = 6) -> dict[str, Any]:
    """What a task came to."""
    got = outcome(lambda: result.get(timeout=timeout))
    return {"get": got, "state": result.state, "result": shown(result.result)}


def until(test: Callable[[], Any], seconds: float = 10, step: float = 0.03) -> Any:
    """What the test gives as soon as it is true; None: it never was in this time."""
    end = time.monotonic() + seconds
    while True:
        if value := test():
            return value
        if time.monotonic() > end:
            return None
        time.sleep(step)
