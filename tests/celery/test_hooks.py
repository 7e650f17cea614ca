"""What hooks and signals are told of a run, and in which order, is what Celery 5.7.0 was seen to tell."""

import logging
from collections.abc import Iterator
from signal import SIGTERM
from typing import Any

import pytest

from tests.celery.memory import App
from workrow.celery import ends, runs, signals
from workrow.celery.exceptions import Ignore, Reject, TaskRevokedError
from workrow.celery.kept_errors import ExceptionInfo
from workrow.celery.request import Context
from workrow.celery.task import Task

OF_RUNS = ("prerun", "postrun", "success", "failure", "retry", "revoked", "internal_error")
CALL = {"task_id": "it", "args": [], "kwargs": {}}
REQUEST = {"id": "it", "task": "it", "called_directly": False}


class Told(list[Any]):
    """Names, and by them the arguments that came with them."""

    def __init__(self) -> None:
        self.by_name: dict[str, Any] = {}

    def add(self, name: str, *args: Any, **named: Any) -> None:
        self.append(name)
        self.by_name[name] = args or named


class Hooked(Task):
    told: Told
    breaks: str | None = None

    def hook(self, name: str, *args: Any) -> None:
        self.told.add(name, *args)
        if name == self.breaks:
            raise RuntimeError(f"in {name}")

    def before_start(self, *args: Any) -> None:
        self.hook("before_start", *args)

    def on_success(self, *args: Any) -> None:
        self.hook("on_success", *args)

    def on_failure(self, *args: Any) -> None:
        self.hook("on_failure", *args)

    def on_retry(self, *args: Any) -> None:
        self.hook("on_retry", *args)

    def after_return(self, *args: Any) -> None:
        self.hook("after_return", *args)


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()

    def hear(signal: Any, sender: Any, **named: Any) -> None:
        told.add(signal.name, sender=sender, **named)

    mine = [getattr(signals, f"task_{name}") for name in OF_RUNS]
    for signal in mine:
        signal.connect(hear, weak=False)
    yield told
    for signal in mine:
        signal.disconnect(hear)


def run(told: Told, raises: Any = None, returns: Any = 7, breaks: str | None = None, **request: Any) -> Any:
    app = App()

    @app.task(name="it", base=Hooked, bind=True, told=told, breaks=breaks)
    def it(self: Any) -> Any:
        told.add("body")
        if raises == "retry":
            raise self.retry(countdown=0, exc=KeyError("k"))
        if raises is not None:
            raise raises
        return returns

    task = app.tasks["it"]
    call = Context({**CALL, **REQUEST, **request})
    return app, runs.run(app, task, call)


BEGIN = ["task_prerun", "before_start", "body"]
FAILURE = ["on_failure", "task_failure", "after_return", "task_postrun"]


@pytest.mark.parametrize(
    ("raises", "state", "order"),
    [
        (None, "SUCCESS", ["on_success", "task_success", "after_return", "task_postrun"]),
        (ValueError("boom"), "FAILURE", FAILURE),
        ("retry", "RETRY", ["on_retry", "task_retry", "task_postrun"]),
        (Ignore(), "IGNORED", ["task_postrun"]),
        (Reject("no"), "REJECTED", ["task_postrun", "task_failure"]),
        (Reject("no", requeue=True), "REJECTED", ["task_postrun"]),
        (SystemExit(3), "FAILURE", ["task_postrun", "task_failure"]),
    ],
)
def test_order(told: Told, raises: Any, state: str, order: list[str]) -> None:
    _, end = run(told, raises)
    assert (end.state, told) == (state, BEGIN + order)


class TestArguments:
    def test_of_success(self, told: Told) -> None:
        app, _ = run(told, returns=(1, 2))
        task = app.tasks["it"]
        assert told.by_name["task_prerun"] == {"sender": task, "task": task, **CALL}
        assert told.by_name["before_start"] == ("it", [], {})
        assert told.by_name["on_success"] == ((1, 2), "it", [], {})
        success = told.by_name["task_success"]
        assert (success["result"], 0 < success["runtime"] < 5) == ((1, 2), True)
        assert told.by_name["after_return"] == ("SUCCESS", (1, 2), "it", [], {}, None)
        assert told.by_name["task_postrun"] == {
            "sender": task,
            "task": task,
            **CALL,
            "retval": (1, 2),
            "state": "SUCCESS",
        }
        assert app.AsyncResult("it").get() == [1, 2]

    def test_of_failure(self, told: Told) -> None:
        error = ValueError("boom")
        run(told, error)
        *call, einfo = told.by_name["on_failure"]
        assert call == [error, "it", [], {}]
        assert isinstance(einfo, ExceptionInfo)
        assert (einfo.exception, einfo.traceback.splitlines()[-1]) == (error, "ValueError: boom")
        failure = told.by_name["task_failure"]
        assert (failure["exception"], failure["traceback"]) == (error, error.__traceback__)
        assert {name: failure[name] for name in CALL} == CALL
        assert told.by_name["after_return"] == ("FAILURE", error, "it", [], {}, None)

    def test_of_a_retry(self, told: Told) -> None:
        run(told, "retry")
        exc, *call, einfo = told.by_name["on_retry"]
        assert (repr(exc), call) == ("KeyError('k')", ["it", [], {}])
        retry = told.by_name["task_retry"]
        assert str(retry["reason"]) == "Retry in 0s: KeyError('k')"
        assert (retry["request"].id, type(retry["einfo"]), type(einfo)) == ("it", ExceptionInfo, ExceptionInfo)
        assert told.by_name["task_postrun"]["retval"] is retry["reason"]

    def test_of_a_lost_worker(self, told: Told) -> None:
        app, _ = run(told, SystemExit(3))
        assert str(told.by_name["task_failure"]["exception"]) == "Worker exited prematurely: exitcode 3."
        assert (told.by_name["task_postrun"]["state"], told.by_name["task_postrun"]["retval"]) == (None, None)
        assert app.AsyncResult("it").state == "FAILURE"


def test_what_before_start_raises_is_the_failure(told: Told) -> None:
    app, _ = run(told, breaks="before_start")
    assert told == ["task_prerun", "before_start", *FAILURE]
    assert str(app.AsyncResult("it").result) == "in before_start"


@pytest.mark.parametrize(
    ("raises", "breaks", "state"),
    [
        (None, "on_success", "SUCCESS"),
        (None, "after_return", "SUCCESS"),
        (ValueError("boom"), "on_failure", "FAILURE"),
        ("retry", "on_retry", "RETRY"),
    ],
)
def test_what_another_hook_raises_changes_nothing(
    told: Told, caplog: pytest.LogCaptureFixture, raises: Any, breaks: str, state: str
) -> None:
    run(told, raises)
    whole = [*told]
    told.clear()
    app, end = run(told, raises, breaks=breaks)
    assert end.state == app.AsyncResult("it").state == state
    assert sorted(told) == sorted([*whole, "task_internal_error"])
    assert [name for name in told if name != "task_internal_error"] == whole
    assert str(told.by_name["task_internal_error"]["exception"]) == f"in {breaks}"
    assert told.by_name["task_internal_error"]["request"]["id"] == "it"
    assert f"{breaks} of it[it] failed" in caplog.text


@pytest.mark.parametrize(
    ("raises", "level", "words"),
    [
        (Reject("no", requeue=False), logging.WARNING, "reject requeue=False: no"),
        (Reject(requeue=True), logging.WARNING, "reject requeue=True: None"),
        (Ignore(), logging.INFO, "ignored"),
    ],
)
def test_a_task_that_refuses_its_call_is_logged_as_in_celery(
    told: Told, caplog: pytest.LogCaptureFixture, raises: Exception, level: int, words: str
) -> None:
    with caplog.at_level(logging.INFO):
        run(told, raises)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage().partition("\n")[0]) == (level, f"Task it[it] {words}")
    assert ("Traceback" in caplog.text) == (level == logging.WARNING)


def test_a_result_that_is_no_json_is_a_failure_if_it_is_to_be_kept(told: Told) -> None:
    app, end = run(told, returns=object)
    assert (end.state, told) == ("FAILURE", [*BEGIN, *FAILURE])
    assert "not JSON serializable" in str(app.AsyncResult("it").result)
    told.clear()
    app, end = run(told, returns=object, ignore_result=True)
    assert (end.state, told[3:5]) == ("SUCCESS", ["on_success", "task_success"])
    assert app.AsyncResult("it").state == "PENDING"


def test_a_link_that_cannot_be_called_spoils_a_success(told: Told) -> None:
    app, end = run(told, callbacks=["no signature"])
    assert told == [*BEGIN, "task_postrun", "task_internal_error", "on_failure", "task_failure"]
    assert (end.state, told.by_name["task_postrun"]["retval"], app.AsyncResult("it").state) == ("SUCCESS", 7, "FAILURE")


def test_a_call_that_never_runs_is_revoked(told: Told) -> None:
    app = App()
    app.task(name="it", base=Hooked, told=told)(lambda: None)
    for why in ("revoked", "expired", "terminated"):
        ends.revoked(app, Context({**CALL, **REQUEST}), TaskRevokedError(why))
        heard = told.by_name.pop("task_revoked")
        assert (heard.pop("sender"), heard.pop("request").id) == (app.tasks["it"], "it")
        signum = SIGTERM if why == "terminated" else None
        assert heard == {"terminated": why == "terminated", "expired": why == "expired", "signum": signum}
    assert told == ["task_revoked"] * 3
    assert app.AsyncResult("it").state == "REVOKED"


def test_who_has_no_hooks_and_no_listeners_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App()

    def fails() -> None:
        raise ValueError("boom")

    app.task(name="it")(fails)
    for each in vars(signals).values():
        if isinstance(each, signals.Signal):
            monkeypatch.setattr(each, "receivers", [])  # those of other tests' apps
    monkeypatch.setattr(signals.Signal, "send", None)
    monkeypatch.setattr("workrow.celery.hooks.ExceptionInfo", None)
    end = runs.run(app, app.tasks["it"], Context({**CALL, **REQUEST}))
    assert end.state == "FAILURE"


def test_receivers_of_one_task_hear_of_that_one() -> None:
    app, heard = App(), []
    for name in ("one", "two"):
        app.task(name=name)(lambda: None)

    @signals.task_prerun.connect(sender=app.tasks["one"])
    def hear(task_id: str, **named: Any) -> None:
        heard.append(task_id)

    for name in ("one", "two"):
        app.tasks[name].apply_async(task_id=name)
    app.work()
    assert heard == ["one"]
    signals.task_prerun.disconnect(hear, sender=app.tasks["one"])


def test_a_receiver_that_fails_does_not_stop_the_run(caplog: pytest.LogCaptureFixture) -> None:
    def bad(**named: Any) -> None:
        raise KeyError("bad")

    app = App()
    app.task(name="it")(lambda: 5)
    signals.task_prerun.connect(bad)
    with caplog.at_level(logging.ERROR):
        app.tasks["it"].apply_async(task_id="it")
        app.work()
    signals.task_prerun.disconnect(bad)
    assert app.AsyncResult("it").get() == 5
    assert "raised KeyError('bad')" in caplog.text
