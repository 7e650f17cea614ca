"""Results answer as Celery 5.7.0 on Redis was seen to answer."""

import copy
import pickle
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.celery.memory import App
from workrow.celery.exceptions import ImproperlyConfigured, IncompleteStream, TaskRevokedError, TimeoutError
from workrow.celery.result import (
    AsyncResult,
    EagerResult,
    GroupResult,
    ResultSet,
    allow_join_result,
    denied_join_result,
    result_from_tuple,
    task_join_will_block,
)

INSIDE_A_TASK = "Never call result.get"


@pytest.fixture
def app() -> App:
    app = App()
    for number in (1, 2, 3):
        app.backend.store(f"a{number}", "SUCCESS", number * 10)
    app.backend.store("failed", "FAILURE", ValueError("boom"))
    app.backend.store("revoked", "REVOKED", TaskRevokedError("revoked"))
    app.backend.store("retried", "RETRY", KeyError("k"))
    app.backend.store("working", "PROGRESS", {"i": 1})
    for name, value, children in (
        ("parent", 5, ["a1", "a2"]),
        ("grandparent", 6, ["parent"]),
        ("of failed", 7, ["failed", "a1"]),
        ("of waiting", 8, ["waiting", "a1"]),
    ):
        app.backend.store(name, "SUCCESS", value, children=[((each, None), None) for each in children])
    app.backend.store("of group", "SUCCESS", 9, children=[group(app, "a1", "a2").as_tuple()])
    return app


def some(app: App, *ids: str) -> ResultSet:
    return ResultSet([app.AsyncResult(each) for each in ids], app=app)


def group(app: App, *ids: str, **options: Any) -> GroupResult:
    return app.GroupResult("group", [app.AsyncResult(each) for each in ids], **options)


class Calls(list[Any]):
    def __call__(self, *args: Any) -> None:
        self.append(args)


@pytest.mark.parametrize(
    ("id", "known", "ready", "successful", "failed"),
    [
        ("a1", True, True, True, False),
        ("failed", True, True, False, True),
        ("revoked", True, True, False, False),
        ("retried", True, False, False, False),
        ("working", True, False, False, False),
        ("nobody's", False, False, False, False),
    ],
)
def test_states(app: App, id: str, known: bool, ready: bool, successful: bool, failed: bool) -> None:
    result = app.AsyncResult(id)
    assert (result.exists(), result.ready(), result.successful(), result.failed()) == (known, ready, successful, failed)


def test_what_is_kept_beside_the_result_is_told() -> None:
    app = App()
    kept = {"name": "add", "args": [1], "kwargs": {"y": 2}, "worker": "one@host", "retries": 1, "queue": "celery"}
    done = datetime(2026, 1, 2, tzinfo=UTC)
    app.backend.kept["x"] = {"status": "SUCCESS", "result": 3, "date_done": done.isoformat(), **kept}
    result = app.AsyncResult("x")
    assert {name: getattr(result, name) for name in kept} == kept
    assert result.date_done == done
    nothing = app.AsyncResult("nobody's")
    assert [getattr(nothing, name) for name in (*kept, "date_done", "children", "traceback")] == [None] * 9


class TestGet:
    def test_waiting_has_an_end(self, app: App) -> None:
        with pytest.raises(TimeoutError, match="The operation timed out"):
            app.AsyncResult("working").get(timeout=0.01)
        with pytest.raises(app.AsyncResult("x").TimeoutError):
            app.AsyncResult("nobody's").get(timeout=0.01, on_interval=Calls())

    def test_arguments_go_where_celery_has_them(self, app: App) -> None:
        called = Calls()
        assert app.AsyncResult("a1").get(1, True, 0.1, True, True, called) == 10
        assert called == [("a1", 10)]
        with pytest.raises(TypeError, match="foo"):
            app.AsyncResult("a1").get(foo=1)  # type: ignore[call-arg]

    def test_a_failure_is_raised_or_returned(self, app: App) -> None:
        called = Calls()
        with pytest.raises(ValueError, match="boom"):
            app.AsyncResult("failed").get(callback=called)
        assert called == []
        assert repr(app.AsyncResult("failed").get(callback=called, propagate=False)) == "ValueError('boom')"
        assert [id for id, _ in called] == ["failed"]
        assert repr(app.AsyncResult("retried").maybe_throw()) == "KeyError('k')"

    def test_a_failure_before_it_is_raised_unless_parents_are_not_followed(self, app: App) -> None:
        result = app.AsyncResult("a1", parent=app.AsyncResult("failed"))
        with pytest.raises(ValueError, match="boom"):
            result.get()
        assert result.get(follow_parents=False) == result.get(propagate=False) == 10
        assert app.AsyncResult("a1", parent=app.AsyncResult("nobody's")).get() == 10

    def test_whoever_waits_hears_of_each_state(self, app: App) -> None:
        heard: list[Any] = []

        def on_message(meta: dict[str, Any]) -> None:
            heard.append((meta["task_id"], meta["status"], meta["result"]))
            if meta["status"] == "PROGRESS":
                app.backend.store("working", "SUCCESS", 2)

        assert app.AsyncResult("working").get(on_message=on_message, interval=0.001) == 2
        assert heard == [("working", "PROGRESS", {"i": 1}), ("working", "SUCCESS", 2)]

    def test_once_read_a_result_stays_and_once_forgotten_it_is_nothing(self, app: App) -> None:
        result = app.AsyncResult("a1", parent=app.AsyncResult("a2"))
        assert result.get() == 10
        app.backend.forget("a1")
        assert (result.state, app.AsyncResult("a1").state) == ("SUCCESS", "PENDING")
        result.forget()
        assert (result.state, result.result, result.get(timeout=1)) == ("PENDING", None, None)
        assert app.AsyncResult("a2").state == "PENDING"
        app.backend.store("a1", "SUCCESS", 3)
        assert result.get() == 3


def test_throw_raises_what_it_is_given(app: App) -> None:
    with pytest.raises(KeyError, match="k"):
        app.AsyncResult("a1").throw(KeyError("k"))


class TestThen:
    def test_callbacks_are_called_once_in_their_order(self, app: App) -> None:
        result, called = app.AsyncResult("a1"), Calls()
        assert result.then(called) is result
        result.then(lambda of: called("second", of))
        assert called == []
        assert (result.get(), result.get()) == (10, 10)
        assert called == [(result,), ("second", result)]
        result.then(lambda of: called("late", of))
        assert called[2:] == [("late", result)]

    def test_a_failure_is_a_result_too(self, app: App) -> None:
        result, called, errors = app.AsyncResult("failed"), Calls(), Calls()
        result.then(called, on_error=errors)
        assert result.ready()
        assert (called, errors) == ([(result,)], [])

    def test_what_a_callback_raises_goes_to_on_error_or_to_the_reader(self, app: App) -> None:
        def callback(_: Any) -> None:
            raise KeyError("in callback")

        errors = Calls()
        app.AsyncResult("a1").then(callback, on_error=errors).get()
        assert repr(errors) == "[(KeyError('in callback'),)]"
        with pytest.raises(KeyError, match="in callback"):
            app.AsyncResult("a1").then(callback).get()

    def test_a_weak_callback_may_go(self, app: App) -> None:
        called = Calls()

        class Listener:
            def hear(self, result: Any) -> None:
                called(result)

        stays, goes = Listener(), Listener()
        result = app.AsyncResult("a1").then(stays.hear, weak=True).then(goes.hear, weak=True)
        del goes
        result.get()
        assert called == [(result,)]

    def test_a_set_calls_when_each_of_its_results_is_known(self, app: App) -> None:
        results, called = some(app, "a1", "a2"), Calls()
        results.then(called)
        results[0].get()
        assert called == []
        results[1].get()
        assert called == [(results,)]


class TestChildren:
    def ids(self, pairs: Any) -> list[tuple[str | None, Any]]:
        return [(None if one is None else str(one), str(other)) for one, other in pairs]

    def test_iterdeps(self, app: App) -> None:
        assert self.ids(app.AsyncResult("grandparent").iterdeps()) == [
            (None, "grandparent"),
            ("grandparent", "parent"),
            ("parent", "a1"),
            ("parent", "a2"),
        ]
        assert self.ids(app.AsyncResult("of group").iterdeps()) == [
            (None, "of group"),
            ("of group", "group"),
            ("group", "a1"),
            ("group", "a2"),
        ]

    def test_what_has_not_ended_is_refused_or_left_as_it_is(self, app: App) -> None:
        result = app.AsyncResult("of waiting")
        with pytest.raises(IncompleteStream, match="waiting has not ended"):
            list(result.iterdeps())
        with pytest.raises(IncompleteStream):
            result.build_graph()
        assert self.ids(result.iterdeps(intermediate=True))[1:] == [("of waiting", "waiting"), ("of waiting", "a1")]

    def test_collect_and_the_leaf(self, app: App) -> None:
        found = [(str(result), value) for result, value in app.AsyncResult("grandparent").collect()]
        assert found == [("grandparent", 6), ("parent", 5), ("a1", 10), ("a2", 20)]
        assert [value for _, value in app.AsyncResult("of group").collect()] == [9, [10, 20], 10, 20]
        assert app.AsyncResult("grandparent").get_leaf() == app.AsyncResult("of group").get_leaf() == 20
        with pytest.raises(ValueError, match="boom"):
            app.AsyncResult("of failed").get_leaf()
        values = [value for _, value in app.AsyncResult("of failed").collect(propagate=False)]
        assert repr(values) == "[7, ValueError('boom'), 10]"

    def test_the_graph(self, app: App) -> None:
        graph = app.AsyncResult("grandparent").graph
        assert str(graph) == (
            "grandparent(3)\n     parent(2)\n          a1(0)\n          a2(0)\nparent(2)\n     a1(0)\n     a2(0)\n"
            "a1(0)\na2(0)"
        )
        assert (len(graph), graph.edges(), graph["parent"]) == (4, ["grandparent", "parent"], ["a1", "a2"])
        assert ("a1" in graph, "x" in graph, [*graph]) == (True, False, ["grandparent", "parent", "a1", "a2"])


class TestAsAValue:
    def test_one(self, app: App) -> None:
        result = app.AsyncResult("a1", parent=app.AsyncResult("a2"))
        assert (repr(result), str(result), result.task_id) == ("<AsyncResult: a1>", "a1", "a1")
        assert result == "a1" == app.AsyncResult("a1") != app.AsyncResult("a2")
        assert result != 5
        assert {result, app.AsyncResult("a1")} == {result}
        assert result.as_tuple() == (("a1", (("a2", None), None)), None)
        assert result.as_list() == ["a1", "a2"]
        with pytest.raises(ValueError, match="requires valid id"):
            AsyncResult(None)  # type: ignore[arg-type]

    @pytest.mark.parametrize("again", [copy.copy, lambda result: pickle.loads(pickle.dumps(result))])
    def test_copies(self, app: App, again: Callable[[Any], Any]) -> None:
        result = again(app.AsyncResult("a1", parent=app.AsyncResult("a2")))
        assert (result, result.parent, result.get()) == ("a1", "a2", 10)
        assert again(group(app, "a1", "a2")).join() == [10, 20]

    def test_groups(self, app: App) -> None:
        assert (repr(group(app, "a1", "a2")), str(group(app))) == ("<GroupResult: group [a1, a2]>", "group")
        assert group(app, "a1") == group(app, "a1") == "group"
        assert group(app, "a1") != group(app, "a1", parent=app.AsyncResult("a2"))
        assert (bool(app.GroupResult("x", [])), bool(app.GroupResult(None, []))) == (True, False)
        assert hash(group(app)) == hash("group")
        assert group(app, "a1", "a2").children == ["a1", "a2"]

    def test_sets(self, app: App) -> None:
        results = some(app, "a1", "a2")
        assert (repr(results), len(results), bool(some(app))) == ("<ResultSet: [a1, a2]>", 2, False)
        assert results == some(app, "a1", "a2") != some(app, "a2", "a1")
        assert ([*results], results[1]) == (["a1", "a2"], "a2")
        with pytest.raises(TypeError, match="unhashable"):
            hash(results)

    def test_tuples(self, app: App) -> None:
        for result in (
            app.AsyncResult("a1", parent=app.AsyncResult("a2")),
            group(app, "a1", "a2", parent=app.AsyncResult("a3")),
        ):
            again = result_from_tuple(result.as_tuple(), app)
            assert (again, again.parent, type(again)) == (result, result.parent, type(result))


def test_groups_are_saved_and_restored(app: App) -> None:
    assert GroupResult.restore("group", app=app) is None
    saved = group(app, "a1", "a2").save()
    assert GroupResult.restore("group") == GroupResult.restore("group", backend=app.backend) == saved
    saved.delete()
    assert GroupResult.restore("group") is None


def test_a_set_changes(app: App) -> None:
    results = some(app, "a1")
    results.update([app.AsyncResult("a1"), app.AsyncResult("a2"), app.AsyncResult("a3")])
    results.add("a2")
    results.remove("a1")
    results.discard(app.AsyncResult("a3"))
    results.discard("x")
    assert results.results == ["a2"]
    with pytest.raises(KeyError, match="x"):
        results.remove("x")
    results.clear()
    assert len(results) == 0


@pytest.mark.parametrize(
    ("ids", "ready", "successful", "failed", "waiting", "completed"),
    [
        (("a1", "a2"), True, True, False, False, 2),
        (("a1", "failed"), True, False, True, False, 1),
        (("a1", "nobody's"), False, False, False, True, 1),
        ((), True, True, False, False, 0),
        (("a1", "revoked"), True, False, False, False, 1),
    ],
)
def test_how_far_a_set_is(
    app: App, ids: tuple[str, ...], ready: bool, successful: bool, failed: bool, waiting: bool, completed: int
) -> None:
    results = some(app, *ids)
    assert (results.ready(), results.successful(), results.failed(), results.waiting()) == (
        ready,
        successful,
        failed,
        waiting,
    )
    assert results.completed_count() == completed


class TestJoin:
    @pytest.mark.parametrize("way", ["get", "join", "join_native"])
    def test_values_in_their_order(self, app: App, way: str) -> None:
        join = getattr(some(app, "a2", "a1", "a2"), way)
        assert join(timeout=1) == [20, 10, 20]
        assert getattr(some(app), way)() == []
        nested = ResultSet([app.AsyncResult("a1"), group(app, "a2", "a3")], app=app)
        assert getattr(nested, way)(timeout=1) == [10, [20, 30]]

    @pytest.mark.parametrize("way", ["get", "join", "join_native"])
    def test_failures(self, app: App, way: str) -> None:
        join = getattr(some(app, "a1", "failed", "a2"), way)
        with pytest.raises(ValueError, match="boom"):
            join(timeout=1)
        assert repr(join(timeout=1, propagate=False)) == "[10, ValueError('boom'), 20]"
        with pytest.raises(TimeoutError):
            getattr(some(app, "a1", "nobody's"), way)(timeout=0.01)

    def test_only_join_waits_for_those_before_a_failure(self, app: App) -> None:
        results = some(app, "nobody's", "failed")
        with pytest.raises(TimeoutError):
            results.join(timeout=0.01)
        with pytest.raises(ValueError, match="boom"):
            results.get(timeout=0.01)

    @pytest.mark.parametrize(("way", "gives"), [("get", None), ("join", []), ("join_native", None)])
    def test_callbacks_instead_of_a_list(self, app: App, way: str, gives: Any) -> None:
        called = Calls()
        assert getattr(some(app, "a1", "a2"), way)(callback=called) == gives
        assert called == [("a1", 10), ("a2", 20)]

    def test_iter_native_gives_each_when_it_has_ended(self, app: App) -> None:
        looks = Calls()

        def look() -> None:
            looks()
            app.backend.store("late", "SUCCESS", 40)

        pairs = some(app, "late", "a1", "failed").iter_native(interval=0.001, on_interval=look)
        found = [(id, meta["task_id"], meta["status"]) for id, meta in pairs]
        assert found == [("a1", "a1", "SUCCESS"), ("failed", "failed", "FAILURE"), ("late", "late", "SUCCESS")]
        assert len(looks) == 1
        assert list(some(app).iter_native()) == []

    def test_the_pause_between_looks_is_longer_than_a_look(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        looks: list[float] = []

        def slow(ids: list[str]) -> dict[str, Any]:
            looks.append(time.monotonic())
            time.sleep(0.02)
            return {each: app.backend.meta(each) for each in ids}

        monkeypatch.setattr(app.backend, "metas", slow)
        with pytest.raises(TimeoutError):
            list(some(app, "nobody's").iter_native(timeout=0.15, interval=0.001))
        assert looks[1] - looks[0] >= 0.1

    def test_no_messages_of_many(self, app: App) -> None:
        with pytest.raises(ImproperlyConfigured, match="on_message is for"):
            some(app, "a1").get(on_message=Calls())

    def test_maybe_throw(self, app: App) -> None:
        called = Calls()
        some(app, "a1", "failed").maybe_throw(called, propagate=False)
        assert [id for id, _ in called] == ["a1", "failed"]
        with pytest.raises(ValueError, match="boom"):
            some(app, "a1", "failed").maybe_throw()

    def test_native_joins_are_for_results_that_are_kept(self, app: App) -> None:
        assert (some(app).supports_native_join, some(app, "a1").supports_native_join) == (None, True)
        eager = GroupResult("g", [EagerResult("e", 1, "SUCCESS"), EagerResult("f", 2, "SUCCESS")], app=app)
        assert (eager.supports_native_join, eager.get(), eager.successful()) == (False, [1, 2], True)


def test_revoking_is_the_controls_work(app: App) -> None:
    calls: list[Any] = []
    app.control = SimpleNamespace(  # type: ignore[attr-defined]
        revoke=lambda ids, **options: calls.append((ids, options)),
        revoke_by_stamped_headers=lambda headers, **options: calls.append((headers, options)),
    )
    app.AsyncResult("a1").revoke(terminate=True, signal="SIGKILL")
    some(app, "a1", "a2").revoke(wait=True, timeout=2)
    app.AsyncResult("a1").revoke_by_stamped_headers({"a": "b"})
    nothing = {"connection": None, "terminate": False, "signal": None, "reply": False, "timeout": None}
    assert calls == [
        ("a1", {**nothing, "terminate": True, "signal": "SIGKILL"}),
        (["a1", "a2"], {**nothing, "reply": True, "timeout": 2}),
        ({"a": "b"}, nothing),
    ]


class TestWhoMayWait:
    def refused(self, call: Callable[[], Any]) -> bool:
        try:
            call()
        except RuntimeError as error:
            assert str(error).startswith(INSIDE_A_TASK)  # noqa: PT017
            return True
        return False

    def test_where_it_is_denied_everything_that_waits_is_refused(self, app: App) -> None:
        one, two = app.AsyncResult("a1"), group(app, "a1")
        waits = [one.get, two.get, two.join, two.join_native, EagerResult("e", 1, "SUCCESS").get, one.get_leaf]
        with denied_join_result():
            assert task_join_will_block()
            assert [self.refused(each) for each in waits] == [True] * len(waits)
            assert (one.get(disable_sync_subtasks=False), one.result) == (10, 10)
            assert len(list(two.iter_native())) == 1
            with allow_join_result():
                assert (task_join_will_block(), one.get()) == (False, 10)
            assert task_join_will_block()
        assert not task_join_will_block()

    def test_inside_a_task_it_is_denied(self, app: App) -> None:
        @app.task(name="gets")
        def gets() -> list[bool]:
            with allow_join_result():
                allowed = self.refused(app.AsyncResult("a1").get)
            return [self.refused(app.AsyncResult("a1").get), allowed]

        app.tasks["gets"].apply_async(task_id="it")
        app.work()
        assert app.AsyncResult("it").get() == [True, False]

    def test_what_one_thread_is_allowed_another_is_not(self, app: App) -> None:
        seen: list[bool] = []
        with denied_join_result():
            thread = threading.Thread(target=lambda: seen.append(task_join_will_block()))
            thread.start()
            thread.join()
        assert seen == [False]


class TestEager:
    def test_it_has_ended(self) -> None:
        result = EagerResult("e", 1, "SUCCESS", name="add")
        assert (result.get(timeout=0, interval=1), result.wait(), result.result, result.name) == (1, 1, 1, "add")
        assert (result.ready(), result.exists(), result.supports_native_join) == (True, True, False)
        assert (repr(result), result == "e", result.children, result.date_done) == (
            "<EagerResult: e>",
            True,
            None,
            None,
        )
        assert (result.app, result.backend, result.parent) == (None, None, None)
        assert isinstance(result, AsyncResult)

    def test_what_kept_no_state_comes_to_nothing(self) -> None:
        assert EagerResult("e", KeyError("k"), "RETRY").get() is None
        assert EagerResult("e", KeyError("k"), "IGNORED").get() is None

    def test_failures(self) -> None:
        with pytest.raises(ValueError, match="boom"):
            EagerResult("e", ValueError("boom"), "FAILURE").get()
        with pytest.raises(Exception, match="text"):
            EagerResult("e", "text", "FAILURE").get()
        assert EagerResult("e", "text", "FAILURE").get(propagate=False) == "text"

    def test_revoke_and_forget(self) -> None:
        result = EagerResult("e", 1, "SUCCESS")
        result.forget()
        assert result.get() == 1
        result.revoke()
        assert (result.state, result.ready(), result.successful()) == ("REVOKED", True, False)
        with pytest.raises(TaskRevokedError, match="revoked"):
            result.get()

    def test_then_is_now(self) -> None:
        called, result = Calls(), EagerResult("e", 1, "SUCCESS")
        result.then(called)
        assert called == [(result,)]

    def test_pickle(self) -> None:
        again = pickle.loads(pickle.dumps(EagerResult("e", 1, "SUCCESS", None, "add")))
        assert (again.id, again.get(), again.state, again.name) == ("e", 1, "SUCCESS", "add")
