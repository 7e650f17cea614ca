"""Exceptions as they are kept: what stands in the row, and what a reader gets that has the class, or has not."""

import json
import pickle
import sys
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from workrow.celery import codec
from workrow.celery.exceptions import SecurityError, WorkerLostError
from workrow.celery.kept_errors import ExceptionInfo, keep_error, restore_error
from workrow.celery.pickleable import UnpickleableExceptionWrapper, celery_module

SEEN = json.loads((Path(__file__).parent / "data" / "kept_errors.json").read_text())


# classes
class TwoArguments(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


class TwoAsText(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")


class ValueOfTwo(ValueError):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")


class Fixed(Exception):
    def __init__(self) -> None:
        super().__init__("fixed")


class Noted(Exception):
    pass


class Outer:
    class Inner(KeyError):
        pass


class NotAnError:
    def __init__(self, *args: Any) -> None:
        called.append(args)


class Odd(Exception):
    def __new__(cls, *args: Any) -> Any:
        return None if args == ("none",) else super().__new__(cls, *args)


def function(*args: Any) -> None:
    called.append(args)


def local(*args: Any) -> Exception:
    class Local(Exception):
        pass

    return Local(*args)


def local_value(*args: Any) -> Exception:
    class Local(ValueError):
        pass

    return Local(*args)


def noted(value: Any) -> Exception:
    error = Noted("x")
    error.value = value  # type: ignore[attr-defined]
    return error


called: list[Any] = []
# end of classes

NAMES = {
    **globals(),
    "Decimal": Decimal,
    "date": date,
    "timedelta": timedelta,
    "threading": threading,
    "WorkerLostError": WorkerLostError,
}


def shown(error: BaseException | None) -> list[Any]:
    assert error is not None
    return [celery_module(type(error)), type(error).__name__, str(error), repr(error.args)]


@pytest.mark.parametrize("seen", SEEN["errors"], ids=lambda seen: seen["error"])
def test_an_exception_is_kept_and_read_as_by_celery(seen: dict[str, Any]) -> None:
    kept = json.loads(codec.dumps(keep_error(eval(seen["error"], NAMES))))
    assert kept == seen["kept"]
    assert shown(restore_error(codec.unpack(codec.pack(codec.loads(json.dumps(kept)))))) == seen["read"]


@pytest.mark.parametrize("seen", SEEN["rows"], ids=lambda seen: json.dumps(seen["kept"]))
def test_a_row_is_read_as_by_celery(seen: dict[str, Any]) -> None:
    if "raises" in seen:
        with pytest.raises((SecurityError, ValueError)) as refused:
            restore_error(seen["kept"])
        assert [type(refused.value).__name__, str(refused.value)] == seen["raises"]
    else:
        assert shown(restore_error(seen["kept"])) == seen["read"]
    assert not called


def test_attributes_that_the_class_makes_of_its_arguments_are_there_again() -> None:
    error = restore_error(keep_error(TwoArguments(3, "text")))
    assert isinstance(error, TwoArguments)
    assert (error.code, error.message) == (3, "text")


def test_an_argument_that_could_not_be_read_is_kept_as_text() -> None:
    kept = keep_error(ValueError({"__type__": "nope", "__value__": 1}))
    assert kept["exc_message"] == ["{'__type__': 'nope', '__value__': 1}"]


def test_each_argument_of_a_wrapped_exception_is_kept_by_itself() -> None:
    """Celery keeps the text of the tuple, and reads it as a tuple of letters."""
    wrapped = restore_error(keep_error(local("hidden", {1})))
    assert isinstance(wrapped, UnpickleableExceptionWrapper)
    assert wrapped.exc_args == ("hidden", "{1}")


def test_a_wrapped_exception_of_ours_is_kept_under_celerys_module() -> None:
    wrapped = restore_error(keep_error(WorkerLostError(threading.Lock())))
    assert isinstance(wrapped, UnpickleableExceptionWrapper)
    assert (wrapped.exc_module, wrapped.exc_cls_name) == ("billiard.exceptions", "WorkerLostError")


def test_nothing_is_nothing_and_other_things_are_refused() -> None:
    assert restore_error(None) is restore_error({}) is None
    error = ValueError("x")
    assert restore_error(error) is error
    with pytest.raises(TypeError, match="a kept exception must be a dict, not 5"):
        restore_error(5)
    with pytest.raises(ValueError, match="Exception information must include the exception type"):
        restore_error({"exc_type": 5, "exc_message": []})


@pytest.fixture
def lazy_module() -> Iterator[str]:
    module = ModuleType("lazy_module_of_a_test")
    module.__getattr__ = called.append  # type: ignore[method-assign]

    class Lazy:
        @property
        def __class__(self) -> Any:
            called.append(self)
            return type

    vars(module)["lazy"] = Lazy()
    sys.modules[module.__name__] = module
    yield module.__name__
    del sys.modules[module.__name__]


def test_reading_imports_nothing_and_runs_no_code_of_what_it_looks_at(lazy_module: str) -> None:
    assert "antigravity" not in sys.modules
    restore_error({"exc_type": "Error", "exc_message": [], "exc_module": "antigravity"})
    assert "antigravity" not in sys.modules
    assert shown(restore_error({"exc_type": "Gone", "exc_message": [], "exc_module": lazy_module}))[1] == "Gone"
    with pytest.raises(SecurityError):
        restore_error({"exc_type": "lazy", "exc_message": [], "exc_module": lazy_module})
    assert shown(restore_error({"exc_type": "lazy.x", "exc_message": [], "exc_module": lazy_module}))[1] == "lazy.x"
    assert not called


@pytest.mark.parametrize("module", [None, 5, ["os"], ""])
def test_a_class_without_a_module_is_made(module: Any) -> None:
    error = restore_error({"exc_type": "ValueError", "exc_message": ["x"], "exc_module": module})
    assert repr(error) == "ValueError('x')"
    assert not isinstance(error, ValueError)


def test_a_constructor_that_gives_no_exception_is_no_exception() -> None:
    error = restore_error({"exc_type": "Odd", "exc_message": ["none"], "exc_module": __name__})
    assert type(error) is Exception
    assert "Odd'>(['none'])" in str(error)


def test_einfo_has_class_exception_and_traceback() -> None:
    error = ValueOfTwo(3, "text")
    try:
        raise error
    except ValueError:
        info = ExceptionInfo()
    assert info.exc_info == (ValueOfTwo, error, error.__traceback__)
    assert info.traceback.startswith("Traceback (most recent call last):\n")
    assert info.traceback.endswith("ValueOfTwo: 3: text\n")
    assert str(info) == info.traceback
    assert repr(info) == "<ExceptionInfo: ValueOfTwo('3: text')>"
    carried = pickle.loads(pickle.dumps(info))
    assert (carried.traceback, carried.type, carried.tb) == (info.traceback, ValueError, None)
    assert repr(carried.exception) == "ValueError('3: text')"
    assert ExceptionInfo((KeyError, KeyError("k"), None), internal=True).traceback == "KeyError: 'k'\n"
