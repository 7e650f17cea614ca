"""Where calls go: the queues that Celery 5.7 with kombu's brokers was seen to put them in, and what differs."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from workrow.celery.conf import Settings
from workrow.celery.exceptions import ImproperlyConfigured, QueueNotFound
from workrow.celery.queues import Exchange, Queue
from workrow.celery.routes import Router

SEEN = json.loads((Path(__file__).parent / "data" / "routes.json").read_text())
NAME = "proj.tasks.add"


class KombuExchange:
    """What is read of kombu's."""

    def __init__(self, name: str = "", type: str = "direct") -> None:
        self.name, self.type = name, type


class KombuQueue:
    """What is read of kombu's: with bindings it has no exchange."""

    def __init__(self, name: str, exchange: Any = None, routing_key: str = "", bindings: Any = None) -> None:
        if isinstance(exchange, list):
            exchange, bindings = None, exchange
        self.name, self.routing_key, self.bindings = name, routing_key, set(bindings or ())
        self.exchange = None if bindings else exchange or KombuExchange()


class Broadcast(KombuQueue):
    """kombu's, by its name."""


class Binding:
    def __init__(self, exchange: Any, routing_key: str = "") -> None:
        self.exchange, self.routing_key = exchange, routing_key


@pytest.fixture(autouse=True)
def _no_module_stays() -> Iterator[None]:
    yield
    sys.modules.pop("rmod", None)


def routed(case: dict[str, Any]) -> dict[str, Any]:
    """The options of the call of a case."""
    scope: dict[str, Any] = {"re": re, "Queue": KombuQueue, "Exchange": KombuExchange, "binding": Binding}
    exec(case.get("pre", ""), scope)
    conf, task, call = (eval(f"dict({case.get(part, '')})", scope) for part in ("conf", "task", "call"))
    settings = Settings(conf)
    if case.get("send"):
        name = call.pop("route_name", NAME)
        return Router(settings).route(call, name)
    default = {"priority": settings.task_default_priority}
    return Router(settings).route({**default, **task, **call}, NAME, (1,), {"k": 2})


@pytest.mark.parametrize("case", SEEN, ids=lambda case: f"{case['conf']} {case.get('task', '')} {case.get('call', '')}")
def test_a_call_goes_where_it_goes_in_celery(case: dict[str, Any]) -> None:
    """``here`` is said where Celery loses the call, or runs it in several queues."""
    here = case.get("here", case["seen"].get("raises", case["seen"].get("queues")))
    if here[0] in ("QueueNotFound", "ImproperlyConfigured"):
        with pytest.raises((QueueNotFound, ImproperlyConfigured)) as told:
            routed(case)
        assert type(told.value).__name__ == here[0]
        if len(here) > 1:
            assert str(told.value) == here[1]
    else:
        options = routed(case)
        assert [options["queue"]] == here
        assert type(options["queue"]) is str
        assert options.get("priority") == case["seen"]["priority"]


def test_where_celery_knows_one_queue_it_is_the_same_one() -> None:
    assert all("here" not in case for case in SEEN if len(case["seen"].get("queues", ())) == 1)


# -------------------------------------------------------------------- what routes are given, and give


def router(**conf: Any) -> Router:
    return Router(Settings(conf))


def test_a_function_gets_the_call_and_an_object_less_of_it() -> None:
    seen: list[Any] = []

    class ByName:
        def route_for_task(self, name: str, args: Any = None, kwargs: Any = None) -> None:
            seen.append((name, args, kwargs))

    def by_call(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **rest: Any) -> None:
        seen.append((name, args, kwargs, options, task, rest))

    task = object()
    given = {"priority": 3, "exchange": None}
    options = router(task_routes=(by_call, ByName())).route(given, NAME, (1,), {"k": 2}, task=task)
    assert seen == [(NAME, (1,), {"k": 2}, {"priority": 3}, task, {}), (NAME, (1,), {"k": 2})]
    assert options == {"priority": 3, "queue": "celery"}
    assert given == {"priority": 3, "exchange": None}


def test_options_of_a_route_go_before_the_settings_and_after_those_of_the_call() -> None:
    """In Celery a route with ``expires``, ``countdown`` or ``ignore_result`` is a TypeError at the call."""
    routes = {NAME: {"queue": "r", "expires": 10, "time_limit": 3, "countdown": None}}
    assert router(task_routes=routes).route({"expires": 20, "time_limit": None}, NAME) == {
        "queue": "r", "expires": 20, "time_limit": 3
    }  # fmt: skip


@pytest.mark.parametrize(
    ("routes", "queue"),
    [
        ([("other.*", "a"), ("proj.*", {"queue": "b"}), ("*", "c")], "b"),
        ([("other.*", "a"), {NAME: "b"}, ("*", "c")], "b"),
        ([("*", "a"), (NAME, "b")], "b"),
        ([("*", "a"), {NAME: "b"}], "a"),
        ([(re.compile(r".*\.add"), "b")], "b"),
        ((("*", "b"),), "b"),
        ({NAME: KombuQueue("b")}, "b"),
        ({NAME: Queue("b")}, "b"),
        (lambda *_, task: KombuQueue("b"), "b"),
        ("rmod.routes", "b"),
        ([], "celery"),
    ],
)
def test_routes_that_celery_cannot_read(routes: Any, queue: str) -> None:
    module = ModuleType("rmod")
    vars(module)["routes"] = {"*": "b"}
    sys.modules["rmod"] = module
    assert router(task_routes=routes).route({}, NAME)["queue"] == queue


@pytest.mark.parametrize(
    ("routes", "text"),
    [
        (5, "task_routes: 5: a dict of names and queues, a list of pairs, a function"),
        ([None], "task_routes: None: a dict of names"),
        ({"*": 5}, r"task_routes: 5, of '\*': the name of a queue, or a dict of options"),
        ({"*": None}, "task_routes: None, of "),
        ({"*": b"q"}, "task_routes: b'q', of "),
        ({"*": ["queue", "q"]}, r"task_routes: \['queue', 'q'\], of "),
        ({5: "q"}, "task_routes: 5: a name, or a pattern"),
        ([[("*", "q", 3)]], r"task_routes: \('\*', 'q', 3\): a pair"),
        ([["ab"]], "task_routes: 'ab': a pair"),
        ({"*": {"queue": 5}}, "queue=5: a queue, or the name of one"),
        (lambda *_, task: 5, "task_routes: 5, of <"),
    ],
)
def test_a_route_that_is_none_is_told(routes: Any, text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=text):
        router(task_routes=routes).route({}, NAME)


@pytest.mark.parametrize(
    ("path", "text"), [("rmod.nope", "module 'rmod' has no attribute 'nope'"), ("nosuch", "No module named 'nosuch'")]
)
def test_a_route_whose_path_stands_for_nothing_is_told(path: str, text: str) -> None:
    sys.modules["rmod"] = ModuleType("rmod")
    with pytest.raises(ModuleNotFoundError, match=text):
        router(task_routes=path).route({}, NAME)


def test_a_later_setting_is_seen() -> None:
    conf = Settings({"task_routes": {"*": "a"}})
    routing = Router(conf)
    assert routing.route({}, NAME)["queue"] == "a"
    conf.task_routes = {"*": "b"}
    conf.task_create_missing_queues = False
    with pytest.raises(QueueNotFound):
        routing.route({}, NAME)
    conf.task_queues = ["b"]
    assert routing.route({}, NAME)["queue"] == "b"
    conf.task_routes = None
    conf.task_default_queue = "b"
    assert routing.route({}, NAME)["queue"] == "b"


# -------------------------------------------------------------------- queues


@pytest.mark.parametrize(
    "told",
    [
        ["a", "b"],
        ("a", Queue("b")),
        [Queue("a", "x", "k"), KombuQueue("b")],
        {"a": {}, "b": {"exchange": "x"}},
        {"a": Queue("other"), "b": KombuQueue("b")},
    ],
)
def test_queues_are_names_ours_and_those_of_kombu(told: Any) -> None:
    routing = router(task_queues=told, task_create_missing_queues=False)
    assert routing.queues() == ["a", "b"]
    assert routing.route({"queue": "b"}, NAME) == {"queue": "b"}
    with pytest.raises(QueueNotFound, match="Queue 'c' missing from task_queues"):
        routing.route({"queue": "c"}, NAME)


def test_our_queues_are_bound_as_those_of_kombu() -> None:
    topic = Exchange("t", type="topic")
    routing = router(task_queues=[Queue("a", topic, "a.#"), Queue("b", topic, "*.b"), Queue("c", "d", "k"), Queue("e")])
    for key, queue in (("a", "a"), ("a.x.y", "a"), ("x.b", "b")):
        assert routing.route({"exchange": topic, "routing_key": key}, NAME)["queue"] == queue
    assert routing.route({"exchange": "d", "routing_key": "k"}, NAME)["queue"] == "c"
    assert routing.route({"exchange": "celery", "routing_key": "celery"}, NAME)["queue"] == "e"
    with pytest.raises(ImproperlyConfigured, match="exchange='t', routing_key='a.b': a, b are bound to that"):
        routing.route({"exchange": "t", "routing_key": "a.b"}, NAME)
    assert routing.route({"queue": "b", "exchange": "t", "routing_key": "a.b"}, NAME)["queue"] == "b"
    with pytest.raises(QueueNotFound, match=r"exchange='t', routing_key='b': no queue in task_queues is bound to that"):
        routing.route({"exchange": "t", "routing_key": "b"}, NAME)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("a", "task_queues='a': a list of names or queues"),
        (5, "task_queues=5: a list"),
        ([5], "task_queues: 5: a name, or a queue that has one"),
        ([""], "task_queues: '': a name"),
        ({"a": 5}, "task_queues: 5: a name"),
        ([Broadcast("bcast.1")], "task_queues: .*Broadcast.*: a call here goes to one queue, and runs once"),
    ],
)
def test_a_queue_that_is_none_is_told(told: Any, text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=text):
        router(task_queues=told).queues()


def test_queues_of_a_worker() -> None:
    assert router().queues() == ["celery"]
    assert router(task_default_queue="d").queues() == ["d"]
    routing = router(task_queues=["a", "b"])
    assert routing.queues() == ["a", "b"]
    assert routing.queues(["b", "z"]) == ["b", "z"]
    assert routing.queues(exclude=["b", "q"]) == ["a"]
    with pytest.raises(ImproperlyConfigured, match="no queue is left to serve: all of a, b are excluded"):
        routing.queues(exclude=["a", "b"])
    with pytest.raises(ImproperlyConfigured, match=r"queue 'z': not in task_queues \(a, b\): add it there"):
        router(task_queues=["a", "b"], task_create_missing_queues=False).queues(["a", "z"])
