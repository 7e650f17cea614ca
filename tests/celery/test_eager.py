"""Calls that run where they are made come to what they were seen to come to on Celery 5.7.0."""

import json
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from tests.celery.memory import App
from workrow.celery import signals
from workrow.celery.canvas import chain, chord, group, signature
from workrow.celery.exceptions import EncodeError, Ignore, MaxRetriesExceededError, Reject, Retry
from workrow.celery.result import AsyncResult, EagerResult, GroupResult
from workrow.celery.task import Task

ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


class Shop:
    """Tasks, and what they did."""

    def __init__(self, **settings: Any) -> None:
        self.app = App()
        vars(self.app.conf).update(settings)
        self.seen: list[Any] = []
        self._plain()
        self._retrying()

    def __getattr__(self, name: str) -> Any:
        return self.app.tasks[name]

    def _plain(self) -> None:
        note, task = self.seen.append, self.app.task
        functions: dict[str, Callable[..., Any]] = {
            "add": lambda x, y: note(f"add({x}, {y})") or x + y,
            "mul": lambda x, y: note(f"mul({x}, {y})") or x * y,
            "xsum": lambda numbers: note(f"xsum({numbers})") or sum(numbers),
            "ident": lambda x: note(f"ident({x!r})") or x,
            "kind": lambda x: repr(x),
            "noop": lambda: object,
            "eb_old": lambda uuid: note(["eb_old", uuid]),
            "eb_new": lambda request, exc, traceback: note(["eb_new", request.id, repr(exc), traceback[-17:]]),
        }
        for name, function in functions.items():
            function.__name__ = name
            task(name=name)(function)

        def raising(name: str, error: BaseException) -> None:
            @task(name=name)
            def raises(*args: Any, **kwargs: Any) -> None:
                note(name)
                raise error

        raising("fail", ValueError("boom"))
        raising("ignore", Ignore())
        raising("reject", Reject("no", requeue=False))
        raising("leave", SystemExit(2))

        @task(name="request", bind=True)
        def request(self: Task, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return {**vars(self.request)}

        @task(name="calls", bind=True)
        def calls(self: Task) -> Any:
            inner = shop.request.delay()
            return [inner.get(disable_sync_subtasks=False)["root_id"] == self.request.id, self.request.children]

        @task(name="gets")
        def gets(way: str) -> Any:
            return getattr(shop.ident, way)((1,)).get()

        shop = self

    def _retrying(self) -> None:
        note, task = self.seen.append, self.app.task

        @task(name="retry", bind=True, max_retries=5)
        def retry(self: Task, x: Any, times: int = 2) -> Any:
            note(self.request.retries)
            if self.request.retries < times:
                raise self.retry(countdown=1000)
            return x

        @task(name="give_up", bind=True, max_retries=2)
        def give_up(self: Task, exc: Any = None) -> None:
            note(self.request.retries)
            raise self.retry(exc=exc)

        @task(name="other_args", bind=True)
        def other_args(self: Task, x: int, y: int = 1) -> Any:
            if self.request.retries:
                return [x, y]
            raise self.retry(args=[x + 1], kwargs={"y": y + 1})

        @task(name="goes_on", bind=True)
        def goes_on(self: Task) -> str:
            told = self.retry(throw=False, countdown=5)
            note([str(told), told.is_eager, told.sig.task, told.sig.options["retries"]])
            return "first"

        @task(name="replaced", bind=True)
        def replaced(self: Task, x: int, many: bool = False) -> None:
            raise self.replace(group(shop.add.s(x, 10), shop.add.s(x, 20)) if many else shop.add.s(x, 10))

        shop = self


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def always() -> Shop:
    return Shop(task_always_eager=True)


def ended(result: Any) -> tuple[str, str]:
    assert type(result) is EagerResult
    return result.state, ID.sub("<id>", repr(result.result))


class TestApply:
    def test_success_and_failure(self, shop: Shop) -> None:
        result = shop.add.apply((1, 1), task_id="X")
        assert (ended(result), result.id, result.name, result.children, result.parent) == (
            ("SUCCESS", "2"), "X", "add", None, None,
        )  # fmt: skip
        failed = shop.fail.apply()
        assert ended(failed) == ("FAILURE", "ValueError('boom')")
        assert failed.traceback.startswith("Traceback (most recent call last):\n")
        assert failed.traceback.endswith("ValueError: boom\n")
        with pytest.raises(ValueError, match="boom"):
            failed.get()
        assert repr(failed.get(propagate=False)) == "ValueError('boom')"

    def test_arguments_go_in_and_out_as_they_are(self, shop: Shop) -> None:
        given = ((1,), {1: 2}, b"x", date(2020, 1, 1), object)
        assert [shop.kind.apply((value,)).get() for value in given] == [repr(value) for value in given]
        assert shop.noop.apply().get() is object
        assert shop.add.apply(kwargs={"x": 1, "y": 2}).get() == 3
        assert ended(shop.add.apply((1,)))[0] == "FAILURE"

    def test_throw(self, shop: Shop) -> None:
        with pytest.raises(ValueError, match="boom"):
            shop.fail.apply(throw=True, link_error=shop.eb_old.s())
        with pytest.raises(Retry, match="in 1000s"):
            shop.retry.apply((1,), throw=True)
        with pytest.raises(SystemExit):
            shop.leave.apply()
        assert shop.seen == ["fail", 0, "leave"]

    def test_what_keeps_no_state(self, shop: Shop) -> None:
        ignored, rejected = shop.ignore.apply(throw=True), shop.reject.apply(throw=True)
        assert (ended(ignored), ignored.get()) == (("IGNORED", "Ignore()"), None)
        assert (ended(rejected), rejected.get()) == (("REJECTED", "reject requeue=False: no"), None)

    def test_the_request(self, shop: Shop) -> None:
        options = {"exchange": "ex", "routing_key": "rk", "priority": 3, "queue": "q", "countdown": 100, "expires": 5}
        request = shop.request.apply(
            (1,), {"k": 2}, task_id="T", retries=1, headers={"h": 1}, logfile="lf", loglevel=10, root_id="R",
            parent_id="P", group_id="G", ignore_result=True, link=shop.ident.s(), link_error=shop.eb_old.s(), **options,
        ).result  # fmt: skip
        shown = {
            "id": "T", "root_id": "T", "task": "request", "args": (1,), "kwargs": {"k": 2}, "retries": 1,
            "is_eager": True, "called_directly": False, "headers": {"h": 1}, "logfile": "lf", "loglevel": 10,
            "ignore_result": True, "callbacks": [shop.ident.s()], "errbacks": [shop.eb_old.s()],
            "delivery_info": {"is_eager": True, "exchange": "ex", "routing_key": "rk", "priority": 3},
        }  # fmt: skip
        assert {name: request[name] for name in shown} == shown
        assert not {"parent_id", "group", "expires", "eta"} & set(request)
        plain = shop.request.apply().result
        assert (plain["callbacks"], plain["errbacks"], plain["args"], plain["loglevel"]) == (None, None, (), 0)

    def test_links_are_sent_and_errbacks_called(self, shop: Shop) -> None:
        assert shop.add.apply((1, 1), link=[shop.mul.s(5), group(shop.ident.s())]).get() == 2
        assert shop.seen == ["add(1, 1)"]
        shop.app.work()
        assert shop.seen == ["add(1, 1)", "ident(2)", "mul(2, 5)"]
        shop.seen.clear()
        shop.fail.apply(task_id="F", link_error=[shop.eb_old.s(), shop.eb_new.s()])
        assert shop.seen == ["fail", ["eb_new", "F", "ValueError('boom')", "ValueError: boom\n"], ["eb_old", "F"]]

    def test_signals_come_as_of_any_run(self, shop: Shop) -> None:
        heard: list[Any] = []

        def hear(signal: Any, **named: Any) -> None:
            heard.append((signal.name, named.get("state")))

        for signal in (signals.task_prerun, signals.task_postrun, signals.task_failure, signals.task_internal_error):
            signal.connect(hear)
        shop.add.apply((1, 1))
        shop.reject.apply()
        with pytest.raises(ValueError, match="boom"):
            shop.fail.apply(throw=True)
        assert heard == [
            *[("task_prerun", None), ("task_postrun", "SUCCESS")],
            *[("task_prerun", None), ("task_postrun", "REJECTED")],
            *[("task_prerun", None), ("task_postrun", None), ("task_internal_error", None)],
        ]

    def test_what_a_hook_raises_is_raised(self, shop: Shop) -> None:
        class Hooked(Task):
            def on_success(self, *args: Any) -> None:
                raise KeyError("in hook")

        shop.app.task(name="hooked", base=Hooked)(lambda: 1)
        with pytest.raises(KeyError, match="in hook"):
            shop.hooked.apply()


class TestRetries:
    def test_they_run_at_once(self, shop: Shop) -> None:
        result = shop.retry.apply((1,), task_id="R", link=shop.ident.s())
        assert (ended(result), result.id, shop.seen) == (("SUCCESS", "1"), "R", [0, 1, 2])
        shop.app.work()
        assert shop.seen == [0, 1, 2, "ident(1)"]

    def test_they_end(self, shop: Shop) -> None:
        with pytest.raises(MaxRetriesExceededError, match=r"Can't retry give_up\[.*\] args:\(\) kwargs:{}"):
            shop.give_up.apply().get()
        assert shop.seen == [0, 1, 2]
        assert ended(shop.give_up.apply((KeyError("k"),))) == ("FAILURE", "KeyError('k')")
        shop.seen.clear()
        shop.give_up.apply(retries=2, link_error=shop.eb_old.s())
        assert [shop.seen[0], shop.seen[1][0]] == [2, "eb_old"]

    def test_with_other_arguments(self, shop: Shop) -> None:
        assert shop.other_args.apply((1,)).get() == [2, 2]

    def test_a_retry_that_is_not_thrown_does_not_run(self, shop: Shop) -> None:
        assert ended(shop.goes_on.apply()) == ("SUCCESS", "'first'")
        assert shop.seen == [["Retry in 5s", True, "goes_on", 1]]


class TestCanvas:
    def test_a_signature(self, shop: Shop) -> None:
        assert (shop.add.s(1).apply((2,)).get(), shop.add.si(1, 2).apply((9,)).get()) == (3, 3)
        assert shop.add.s(1, 1).set(task_id="S").apply().id == "S"
        assert shop.request.s().set(queue="q", countdown=9).apply().get()["delivery_info"]["routing_key"] is None

    def test_a_chain(self, shop: Shop) -> None:
        result = (shop.add.s(1, 1) | shop.mul.s(5) | shop.add.s(1)).apply(task_id="C")
        assert (result.get(), result.parent.get(), result.parent.parent.get()) == (11, 10, 2)
        assert (result.id, result.parent.parent.parent, len(set(result.as_list()))) == ("C", None, 3)
        assert (shop.add.s(1) | shop.mul.s(5)).apply((2,)).get() == 15
        assert (shop.add.s(1) | shop.mul.s(5)).apply((), {"y": 7}).get() == 40
        assert (shop.add.s(1, 1) | shop.mul.si(2, 5)).apply().get() == 10
        assert chain(shop.add.s(1, 1), chain(shop.mul.s(2), shop.add.s(3)), shop.add.s(1)).apply().get() == 8
        assert chain().apply() is None

    def test_a_chain_raises_what_all_but_its_last_raise(self, shop: Shop) -> None:
        with pytest.raises(ValueError, match="boom"):
            (shop.add.s(1, 1) | shop.fail.s() | shop.add.s(1)).apply()
        assert shop.seen == ["add(1, 1)", "fail"]
        last = (shop.add.s(1, 1) | shop.fail.s()).apply(link_error=shop.eb_old.s(), task_id="L")
        assert (ended(last), shop.seen[2:]) == (
            ("FAILURE", "ValueError('boom')"),
            ["add(1, 1)", "fail", ["eb_old", "L"]],
        )

    def test_links_of_a_chain_are_those_of_its_last_part(self, shop: Shop) -> None:
        both = shop.add.s(1, 1) | shop.mul.s(5).set(link=[shop.kind.s()])
        both.link(shop.ident.s())
        assert both.apply(link=shop.xsum.si([1])).get() == 10
        shop.app.work()
        assert shop.seen == ["add(1, 1)", "mul(2, 5)", "ident(10)", "xsum([1])"]
        assert sorted(run["task"] for run in shop.app.runs) == ["ident", "kind", "xsum"]

    def test_a_group(self, shop: Shop) -> None:
        result = group(shop.add.s(1), shop.mul.s(2)).apply((5,), task_id="G")
        assert (type(result), result.id, result.get(), result.parent) == (GroupResult, "G", [6, 10], None)
        nested = group(shop.add.s(1, 1), group(shop.add.s(2, 2), chain(shop.add.s(3, 3), shop.mul.s(2))))
        assert nested.apply().get() == [2, 4, 12]
        assert group().apply().get() == []
        failing = group(shop.add.s(1, 1), shop.fail.s()).apply()
        assert (failing.failed(), failing.completed_count()) == (True, 1)
        assert repr(failing.get(propagate=False)) == "[2, ValueError('boom')]"

    def test_a_chord(self, shop: Shop) -> None:
        assert chord([shop.add.s(1), shop.add.s(2)], shop.xsum.s()).apply((5,)).get() == 13
        assert chord([shop.add.s(1, 1)]).apply(body=shop.xsum.s()).get() == 2
        assert chord([], shop.xsum.s()).apply().get() == 0
        both = chord([shop.add.s(1, 1), shop.add.s(2, 2)], group(shop.xsum.s(), shop.ident.s()))
        assert both.apply().get() == [6, [2, 4]]
        with pytest.raises(ValueError, match="boom"):
            chord([shop.add.s(1, 1), shop.fail.s()], shop.xsum.s()).apply()
        seen = chord([shop.add.s(1, 1), shop.fail.s()], shop.ident.s()).apply(propagate=False).get()
        assert repr(seen) == "[2, ValueError('boom')]"

    def test_a_group_in_a_chain(self, shop: Shop) -> None:
        members = group(shop.add.s(1), shop.mul.s(10))
        assert (shop.add.s(1, 1) | members).apply().get() == [3, 20]
        assert (shop.add.s(1, 1) | members | shop.xsum.s()).apply().get() == 23

    def test_many(self, shop: Shop) -> None:
        assert shop.ident.map(iter([1, 2])).apply().get() == [1, 2]
        assert shop.add.starmap([(1, 1), (2, 2)]).apply().get() == [2, 4]
        assert shop.add.chunks([(1, 1), (2, 2), (3, 3)], 2).apply().get() == [[2, 4], [6]]

    def test_a_replaced_task_is_the_one_in_its_place(self, shop: Shop) -> None:
        assert shop.replaced.apply((1,), task_id="R").id == "R"
        assert ended(shop.replaced.apply((1,))) == ("SUCCESS", "11")
        assert shop.replaced.apply((1, True)).get() == [11, 21]
        assert (shop.replaced.s(1) | shop.mul.s(2)).apply().get() == 22


class TestAlways:
    def test_calls_are_applied_and_nobody_hears_of_them(self, always: Shop) -> None:
        result = always.add.apply_async((1, 1), task_id="T", countdown=1000, expires=-5)
        assert (ended(result), result.id, always.app.AsyncResult("T").state) == (("SUCCESS", "2"), "T", "PENDING")
        assert ended(always.fail.delay()) == ("FAILURE", "ValueError('boom')")
        assert not always.app.queue

    def test_arguments_are_checked_and_go_through_json(self, always: Shop) -> None:
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            always.request.app.task(name="two")(lambda x: x).delay()
        given = ((1,), {1: 2}, b"x", date(2020, 1, 1))
        expected = ["[1]", "{'1': 2}", "b'x'", "datetime.date(2020, 1, 1)"]
        assert [always.kind.delay(value).get() for value in given] == expected
        assert always.kind.apply_async(kwargs={"x": (1, (2,))}).get() == "[1, [2]]"
        with pytest.raises(EncodeError, match="type is not JSON serializable"):
            always.kind.delay(object)
        assert always.noop.delay().get() is object

    def test_links_run_groups_of_them_first(self, always: Shop) -> None:
        links = [always.ident.s(), always.mul.s(2), group(always.kind.s(), always.add.s(3))]
        assert always.add.apply_async((1, 1), link=links).get() == 2
        assert always.seen == ["add(1, 1)", "add(2, 3)", "ident(2)", "mul(2, 2)"]
        assert ended(always.add.apply_async((1, 1), link=always.fail.s())) == ("SUCCESS", "2")
        with pytest.raises(TypeError, match="positional"):
            always.add.apply_async((1, 1), link=always.request.app.task(name="two")(lambda x: x).s(1))

    def test_errbacks(self, always: Shop) -> None:
        result = always.fail.apply_async(link_error=[always.eb_old.s(), always.eb_new.s()])
        assert always.seen[1:] == [
            ["eb_new", result.id, "ValueError('boom')", "ValueError: boom\n"],
            ["eb_old", result.id],
        ]

    def test_retries(self, always: Shop) -> None:
        assert ended(always.retry.apply_async((1,), link=always.ident.s())) == ("SUCCESS", "1")
        assert always.seen == [0, 1, 2, "ident(1)"]

    def test_canvases(self, always: Shop) -> None:
        add, mul, xsum = always.add, always.mul, always.xsum
        result = chain(add.s(1, 1), add.s(2), mul.s(3))()
        assert (ended(result), result.parent.get()) == (("SUCCESS", "12"), 4)
        with pytest.raises(ValueError, match="boom"):
            chain(add.s(1, 1), always.fail.s(), mul.s(3))()
        both = group(add.s(1, 1), add.s(2, 2))()
        assert (type(both), both.get(), {type(each) for each in both}) == (GroupResult, [2, 4], {EagerResult})
        assert group()().get() == []
        with pytest.raises(TypeError, match="Cannot add link to group"):
            both = group(add.s(1, 1)).apply_async(link=always.ident.s())
        assert ended(chord([add.s(1, 1), add.s(2, 2)])(xsum.s())) == ("SUCCESS", "6")
        assert chord([add.s(1), add.s(2)], xsum.s()).apply_async((5,)).get() == 13
        assert chain(add.s(1, 1), group(add.s(1), mul.s(10)), xsum.s())().get() == 23
        assert add.chunks([(1, 1), (2, 2)], 1)().get() == [[2], [4]]
        assert always.ident.map([1, 2]).delay().get() == [1, 2]
        always.seen.clear()
        chain(add.s(1, 1), mul.s(3)).apply_async(link=always.ident.s())
        chord([add.s(1, 1)], xsum.s()).apply_async(link=always.ident.s())
        assert always.seen == ["add(1, 1)", "mul(2, 3)", "ident(6)", "add(1, 1)", "xsum([2])", "ident(2)"]

    def test_replaced(self, always: Shop) -> None:
        assert chain(always.replaced.s(1), always.mul.s(2))().get() == 22
        assert always.replaced.delay(1, True).get() == [11, 21]

    def test_a_call_in_a_task_has_no_part_in_it(self, always: Shop) -> None:
        assert always.calls.delay().get() == [False, []]

    def test_a_task_may_wait_for_what_it_applies_but_not_for_calls(self, shop: Shop, always: Shop) -> None:
        assert shop.gets.apply(("apply",)).get() == 1
        with pytest.raises(RuntimeError, match="Never call result.get"):
            always.gets.delay("apply_async").get()

    def test_propagates(self) -> None:
        shop = Shop(task_always_eager=True, task_eager_propagates=True)
        with pytest.raises(ValueError, match="boom"):
            shop.fail.apply_async(link_error=shop.eb_old.s())
        with pytest.raises(ValueError, match="boom"):
            shop.fail.apply()
        with pytest.raises(ValueError, match="boom"):
            group(shop.add.s(1, 1), shop.fail.s())()
        with pytest.raises(ValueError, match="boom"):
            shop.add.apply_async((1, 1), link=shop.fail.s())
        with pytest.raises(Retry, match="Retry in 1000s"):
            shop.retry.delay(1)
        assert (shop.fail.apply(throw=False).state, shop.ignore.delay().state) == ("FAILURE", "IGNORED")
        assert "eb_old" not in str(shop.seen)

    def test_a_task_of_another_app_is_sent_to_it(self, always: Shop) -> None:
        result = signature("unknown", (1,), app=always.app).apply_async((2,), task_id="U")
        assert (type(result), result.id) == (AsyncResult, "U")
        (sent,) = map(json.loads, always.app.queue)
        assert (sent["task"], sent["id"], sent["args"]) == ("unknown", "U", [2, 1])


class TestKept:
    @pytest.fixture
    def storing(self) -> Shop:
        return Shop(task_store_eager_result=True)

    def kept(self, shop: Shop, result: Any) -> tuple[str, str]:
        known = shop.app.AsyncResult(result.id)
        return known.state, repr(known.result)

    def test_with_the_setting_results_are_kept(self, storing: Shop) -> None:
        results = [storing.add.apply((1, 1)), storing.fail.apply(), storing.retry.apply((1,)), storing.kind.apply((1,))]
        assert [self.kept(storing, each) for each in results] == [ended(each) for each in results]

    def test_but_none_that_is_not_to_be_kept(self, storing: Shop) -> None:
        for result in (storing.add.apply((1, 1), ignore_result=True), storing.ignore.apply(), storing.reject.apply()):
            assert self.kept(storing, result) == ("PENDING", "None")

    def test_what_cannot_be_kept_is_a_failure(self, storing: Shop) -> None:
        result = storing.noop.apply()
        assert self.kept(storing, result)[0] == ended(result)[0] == "FAILURE"
        with pytest.raises(EncodeError, match="not JSON serializable"):
            result.get()
