"""What of an exception is carried out of a child process, and what when it cannot be."""

import pickle
from typing import Any

from workrow.worker.job_logs import Told, message_of, traceback_of, type_of
from workrow.worker.running.children.kinds import Kind
from workrow.worker.running.children.portrait import DEPTH_MAX, ERROR_MAX, Portrait, portrayed, rebuilt


def sent(error: BaseException) -> BaseException:
    return rebuilt(pickle.loads(pickle.dumps(portrayed(error))))


def test_what_is_carried_is_bounded() -> None:
    error = ValueError("x" * (ERROR_MAX + 1), 5)
    error.small, error.big = 1, "x" * ERROR_MAX  # type: ignore[attr-defined]
    for _ in range(2 * DEPTH_MAX):
        outer = ValueError("outer")
        outer.__cause__ = error
        error = outer
    assert len(pickle.dumps(portrayed(error))) < 2 * ERROR_MAX
    depth, again = 0, sent(error)
    while again.__cause__:
        depth, again = depth + 1, again.__cause__
    assert depth == DEPTH_MAX


def test_what_does_not_fit_is_left_out_alone() -> None:
    error = ValueError("x" * (ERROR_MAX + 1), 5)
    error.small, error.big = 1, "x" * ERROR_MAX  # type: ignore[attr-defined]
    again: Any = sent(error)
    assert (again.args[1], again.small, hasattr(again, "big")) == (5, 1, False)


def test_what_is_too_much_is_not_even_pickled_whole() -> None:
    pickled = []

    class Part:
        def __reduce__(self) -> Any:
            pickled.append(self)
            return bytes, (ERROR_MAX // 4,)

        def __call__(self) -> None: ...

    error = ValueError("v")
    error.parts = [(Part(), b"x" * (ERROR_MAX // 4)) for _ in range(1000)]  # type: ignore[attr-defined]
    assert not hasattr(sent(error), "parts")
    assert len(pickled) < 10


def test_a_class_of_a_module_that_is_not_there_matches_by_its_bases_and_its_name() -> None:
    base = Kind("builtins", "LookupError", True)
    kind = Kind("nowhere.errors", "NotFound", True, (Kind("nowhere.errors", "Root", False, (base,)),))
    again = rebuilt(Portrait(kind, Told("nowhere.errors.NotFound", "gone", "the traceback")))
    assert isinstance(again, LookupError)
    assert [each.__name__ for each in type(again).__mro__][:3] == ["NotFound", "Root", "LookupError"]
    assert (type_of(again), message_of(again)) == ("nowhere.errors.NotFound", "gone")


def test_bytes_that_cannot_be_opened_here_are_left_out() -> None:
    broken = b"cnowhere\nthing\n."
    kind = Kind("builtins", "ValueError", True)
    again = rebuilt(Portrait(kind, Told("ValueError", "m", "t"), broken, (broken,), (broken,), (("a", broken),)))
    assert (type(again), again.args, hasattr(again, "a")) == (ValueError, (None,), False)


def test_a_note_that_is_added_later_is_shown() -> None:
    error = ValueError("v")
    error.add_note("first")
    again = sent(error)
    again.add_note("later")
    text, _ = traceback_of(again)
    assert text.count("first") == text.count("later") == 1
