"""`task_annotations`: the attributes that Celery 5.7 was seen to change, and what differs."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from workrow.celery.annotations import annotate
from workrow.celery.exceptions import ImproperlyConfigured

SEEN = json.loads((Path(__file__).parent / "data" / "annotations.json").read_text())


class Task:
    """As much of a task as annotations need."""

    name = "proj.add"
    rate_limit = None
    max_retries = 7
    time_limit = None

    def on_success(self, value: int) -> Any:
        return "success", value

    def __call__(self, *args: Any) -> Any:
        return self.run(*args)

    @staticmethod
    def run(*args: Any) -> Any:
        return args


class Bound(Task):
    def run(self, *args: Any) -> Any:  # type: ignore[override]
        return self, args


@pytest.fixture(autouse=True)
def module() -> Iterator[ModuleType]:
    made = ModuleType("seen_annotations")
    exec(SEEN["classes"], vars(made))
    sys.modules["seen_annotations"] = made
    yield made
    del sys.modules["seen_annotations"]


def of_class() -> Any:
    return type("Own", (Task,), {})


def of_instance() -> Any:
    return of_class()()


@pytest.mark.parametrize("make", [of_class, of_instance])
@pytest.mark.parametrize("case", SEEN["cases"], ids=lambda case: case["annotations"])
def test_a_task_has_the_attributes_that_it_has_in_celery(
    case: dict[str, Any], make: Callable[[], Any], module: ModuleType
) -> None:
    task = make()
    annotate(task, eval(case["annotations"], {"seen_annotations": module}))
    assert {name: repr(getattr(task, name, "none")) for name in case["seen"]} == case["seen"]
    assert (Task.rate_limit, Task.max_retries) == (None, 7)


@pytest.mark.parametrize("make", [of_class, of_instance])
def test_a_function_becomes_a_method(make: Callable[[], Any]) -> None:
    def on_failure(self: Any, error: str) -> Any:
        return self, error

    made = make()
    annotate(made, {"*": {"on_failure": on_failure, "made": dict}})
    task = made() if isinstance(made, type) else made
    assert task.on_failure("x") == (task, "x")
    assert task.made() == {}


def noted(seen: list[Any]) -> Callable[[Any], Any]:
    def around(function: Any) -> Any:
        def inner(*args: Any) -> Any:
            seen.append(args)
            return function(*args)

        return inner

    return around


@pytest.mark.parametrize("base", [Task, Bound])
@pytest.mark.parametrize("as_class", [True, False])
def test_an_attribute_is_wrapped(base: type[Task], as_class: bool) -> None:
    """Celery gives ``run`` the task also where it is a function that takes none."""
    own: Any = type("Own", (base,), {})
    task = own()
    seen: list[Any] = []
    around = noted(seen)
    annotate(own if as_class else task, {"*": {"@run": around, "@on_success": around, "@__call__": around}})
    first = (task,) if base is Bound else ()
    assert task(3) == ((task, (3,)) if base is Bound else (3,))
    assert task.on_success(4) == ("success", 4)
    assert seen == [(task, 3), (*first, 3), (task, 4)]


def test_an_attribute_of_the_instance_is_wrapped_as_it_is() -> None:
    task: Any = Bound()
    run = task.run
    task.run = lambda *args: run(*args)
    seen: list[Any] = []
    annotate(task, {"*": {"@run": noted(seen)}})
    assert task(3) == (task, (3,))
    assert seen == [(3,)]


def test_a_path_may_stand_for_a_dict_or_an_instance(module: ModuleType) -> None:
    vars(module)["rates"] = {"*": {"rate_limit": "9/s"}}
    vars(module)["instance"] = vars(module)["OfTask"]()
    task = of_instance()
    annotate(task, "seen_annotations.rates")
    assert task.rate_limit == "9/s"
    annotate(task, ["seen_annotations:instance"])
    assert task.rate_limit == "2/s"


@pytest.mark.parametrize(
    ("annotations", "text"),
    [
        (5, "task_annotations: 5: a dict of task names and attributes, an object with annotate"),
        ([None], "task_annotations: None: a dict of task names"),
        ({"*": 5}, "task_annotations: 5: a dict of attributes of proj.add"),
        ({"proj.add": "rate_limit"}, "task_annotations: 'rate_limit': a dict of attributes"),
        ({"*": {5: 1}}, "task_annotations: 5: the name of an attribute of proj.add"),
        ("seen_annotations", "task_annotations: 'seen_annotations': a dict"),
    ],
)
def test_an_annotation_that_is_none_is_told(annotations: Any, text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=text):
        annotate(of_instance(), annotations)


@pytest.mark.parametrize("path", ["nosuch.path", "seen_annotations.nope"])
def test_an_annotation_whose_path_stands_for_nothing_is_told(path: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        annotate(of_instance(), path)
