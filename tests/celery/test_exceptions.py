"""Celery's exceptions and states: every class and every text as Celery 5.7 was seen to have them."""

import gc
import json
import pickle
import weakref
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from workrow.celery import exceptions, states
from workrow.celery.pickleable import UnpickleableExceptionWrapper, get_pickleable_exception

SEEN = json.loads((Path(__file__).parent / "data" / "exceptions.json").read_text())


class Text(Exception):
    """Made of two values, and keeps one text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")


class TextOfValue(ValueError):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")


@pytest.mark.parametrize(("name", "bases"), SEEN["classes"].items())
def test_a_class_has_the_bases_that_it_has_in_celery(name: str, bases: list[str]) -> None:
    assert [base.__name__ for base in getattr(exceptions, name).__mro__[:-1]] == bases


@pytest.mark.parametrize("seen", SEEN["instances"], ids=lambda seen: seen["made"])
def test_an_exception_says_what_it_says_in_celery_before_and_after_pickle(seen: dict[str, Any]) -> None:
    made: BaseException = eval(seen["made"], {**vars(exceptions), "datetime": datetime})
    assert {name: repr(value) for name, value in vars(made).items()} == seen["attributes"]
    for error in (made, pickle.loads(pickle.dumps(made))):
        assert str(error) == seen["str"]
        assert seen["repr"] in (None, repr(error))


def test_a_retry_holds_no_reference_to_itself() -> None:
    """Celery's does, so what its traceback holds is freed by the collector only."""
    gc.disable()
    try:
        retry = exceptions.Retry(exc=ValueError("x"))
        gone = weakref.ref(retry)
        del retry
        assert gone() is None
    finally:
        gc.enable()


def test_reraise_raises_the_value() -> None:
    with pytest.raises(KeyError, match="k"):
        exceptions.reraise(KeyError, KeyError("k"))


def test_what_pickle_cannot_carry_becomes_a_base_or_a_wrapper() -> None:
    error = ValueError("x")
    assert get_pickleable_exception(error) is error
    assert repr(get_pickleable_exception(TextOfValue(3, "t"))) == "ValueError('3: t')"
    wrapped = get_pickleable_exception(Text(3, "t"))
    assert isinstance(wrapped, UnpickleableExceptionWrapper)
    assert wrapped.args == (__name__, "Text", ("3: t",), "Text('3: t')")
    assert str(pickle.loads(pickle.dumps(wrapped))) == "Text('3: t')"
    assert repr(wrapped.restore()) == "Text('3: t')"
    assert type(wrapped.restore()) is not Text
    lock = get_pickleable_exception(ValueError(gc.collect, (part for part in "x")))
    assert isinstance(lock, UnpickleableExceptionWrapper)
    assert lock.exc_args[0] is gc.collect
    assert lock.exc_args[1].startswith("<generator")


def test_states_are_ordered_by_what_they_say() -> None:
    order = ["PENDING", "RETRY", "REJECTED", "RECEIVED", "STARTED", "REVOKED", "PROGRESS", "FAILURE", "SUCCESS"]
    assert sorted(map(states.state, reversed(order))) == order
    least, most = states.state("PENDING"), states.state("SUCCESS")
    assert (least < most, least <= most, least > most, least >= most) == (True, True, False, False)
    assert least == "PENDING"
    assert states.precedence("IGNORED") == states.precedence("PROGRESS") == states.precedence(None) == 2
    assert states.ALL_STATES | {"REJECTED"} == states.READY_STATES | states.UNREADY_STATES
    assert states.PROPAGATE_STATES | {"RETRY"} == states.EXCEPTION_STATES
