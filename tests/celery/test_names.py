"""Names of Celery's that are neither calls nor canvases nor results: what code that was written for it finds here."""

import logging
from typing import Any

import psycopg
import pytest

import workrow.celery
from tests.celery.memory import App
from workrow.celery import Celery, Signature, chain, current, maybe_signature, signals, uuid
from workrow.celery.app import app_or_default, default_app
from workrow.celery.app.task import Context
from workrow.celery.conf.known import reason
from workrow.celery.contrib.abortable import ABORTED, AbortableTask
from workrow.celery.exceptions import MaxRetriesExceededError, OperationalError
from workrow.celery.message import message, request_of
from workrow.celery.registry import Registry
from workrow.celery.task import Task


def test_an_app_has_its_own_way_of_naming_tasks_and_is_told_when_it_is_made() -> None:
    class Own(Celery):
        made = False

        def on_init(self) -> None:
            self.made = True

        def gen_task_name(self, name: str, module: str) -> str:
            return f"own.{name}"

    app = Own("own", set_as_current=False)

    @app.task
    def send() -> None: ...

    class Mail(Task):
        def run(self) -> None: ...

    assert (app.made, send.name, app.register_task(Mail).name) == (True, "own.send", "own.Mail")


def test_an_app_with_tasks_from_the_beginning() -> None:
    one = Celery("one", set_as_current=False)
    task = one.task(name="send")(lambda: None)
    assert Celery("two", set_as_current=False, tasks={"send": task}).tasks["send"] is task
    shared = Registry()
    assert Celery("three", set_as_current=False, tasks=shared)._tasks is shared


def test_an_app_that_is_not_to_complete_itself() -> None:
    app = Celery("own", set_as_current=False, autofinalize=False)
    with pytest.raises(RuntimeError, match="^Contract breach: app not finalized$"):
        app.tasks  # noqa: B018 - asking is what is refused
    app.finalize()
    assert "celery.map" in app.tasks


def test_a_source_of_settings_that_need_not_be_there() -> None:
    app = Celery("own", set_as_current=False, config_source="no_such_settings", config_source_silent=True)
    assert app.conf.task_default_queue == "celery"
    with pytest.raises(ImportError):
        Celery("own", set_as_current=False, config_source="no_such_settings").conf.task_default_queue  # noqa: B018


def test_an_app_runs_commands(capsys: pytest.CaptureFixture[str]) -> None:
    app = Celery("own", set_as_current=False, broker="postgresql://u:secret@here/jobs", task_default_queue="mail")
    app.start(["report"])
    assert capsys.readouterr().out.strip() == app.bugreport().strip() == workrow.celery.bugreport(app).strip()
    assert ("secret" in app.bugreport(), "'mail'" in app.bugreport()) == (False, True)
    with pytest.raises(ValueError, match="The worker sub-command must be specified in argv"):
        app.worker_main(["-Q", "mail"])


def test_which_app_is_meant() -> None:
    app = Celery("own")
    other = Celery("other", set_as_current=False)
    assert (app_or_default(), app_or_default(other)) == (app, other)
    assert default_app.main == "own"
    assert repr(app.ResultSet([]).app) == repr(app)
    assert workrow.celery.VERSION >= (5, 3)
    assert (len(uuid()), maybe_signature(None)) == (36, None)
    current.set_default(other)


def test_parts_of_signatures() -> None:
    app = App()
    add = app.task(name="add")(lambda x, y: x + y)
    whole = chain(add.s(1, 1), add.s(2))
    whole.link(add.s(3))
    first, last = whole.unchain_tasks()
    assert (first.options, [each.args for each in last.options["link"]]) == ({}, [(3,)])
    sig = add.s(1, 2).set(root_id="r", parent_id="p")
    assert (sig.root_id, sig.parent_id, add.s().root_id) == ("r", "p", None)
    assert sig.AsyncResult("x").id == "x"
    app.conf.task_always_eager = True
    made: Any = workrow.celery.chunks.apply_chunks(add.s(), [(1, 1), (2, 2), (3, 3)], 2)
    assert made.get() == [[2, 4], [6]]

    @Signature.register_type("twice")
    class Twice(Signature):
        @classmethod
        def from_dict(cls, d: Any, app: Any = None) -> "Twice":
            return cls(d, app=app)

    try:
        assert type(Signature.from_dict({"task": "add", "subtask_type": "twice"})) is Twice
    finally:
        del Signature.TYPES["twice"]


def test_what_a_task_says_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Celery("own", set_as_current=False)
    bound, sent = [], []
    monkeypatch.setattr(app, "send_task", lambda name, args, kwargs, **options: sent.append(options["shadow"]))

    class Own(Task):
        def on_bound(self, app: Any) -> None:
            bound.append((self.name, app))

        def shadow_name(self, args: Any, kwargs: Any, options: Any) -> str:
            return f"{self.name} of {args[0]}"

    see = app.task(name="see", base=Own)(lambda x: x)
    assert bound == [("see", app)]
    assert (see.MaxRetriesExceededError, see.OperationalError) == (MaxRetriesExceededError, OperationalError)
    see.delay(1)
    see.apply_async((2,), shadow="other")
    assert sent == ["see of 1", "other"]


def test_texts_in_place_of_arguments() -> None:
    told = message("id", (1,), {"a": 2}, {"shadow": "shade", "argsrepr": "(…)", "kwargsrepr": "{…}"})
    request = request_of("see", told)
    assert (request.shadow, request.argsrepr, request.kwargsrepr) == ("shade", "(…)", "{…}")
    plain = request_of("see", message("id", (1,), {"a": 2}, {}))
    assert (plain.shadow, plain.argsrepr, plain.kwargsrepr) == (None, "(1,)", "{'a': 2}")


def test_attributes_that_mean_nothing_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    app = Celery("own", set_as_current=False)
    app.task(name="a", acks_on_failure_or_timeout=False, backend="redis://", throws=ValueError)(lambda: None)
    app.task(name="b", acks_on_timeout=True, acks_on_failure=None)(lambda: None)
    app.finalize()
    acks, results = reason("acks"), reason("results")
    told = f"what was set and means nothing here: a.acks_on_failure_or_timeout ({acks}); a.backend ({results})"
    assert caplog.messages == [told]


def test_what_is_logged_of_runs(caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    caplog.set_level(logging.DEBUG, "workrow.celery.hooks")

    @app.task(name="it", throws=(KeyError,), resultrepr_maxsize=5, bind=True)
    def it(self: Any, how: str) -> str:
        match how:
            case "expected":
                raise KeyError("k")
            case "unexpected":
                raise ValueError("v")
            case "retry" if not self.request.retries:
                raise self.retry(countdown=0)
        return "long enough"

    for how in ("expected", "unexpected", "retry"):
        it.apply_async(
            (how,),
            task_id=how,
        )
    app.work()
    lines = [(each.levelname, each.getMessage().partition(" in ")[0], bool(each.exc_info)) for each in caplog.records]
    assert lines == [
        ("INFO", "Task it[expected] raised expected: KeyError('k')", False),
        ("ERROR", "Task it[unexpected] raised unexpected: ValueError('v')", True),
        ("INFO", "Task it[retry] retry: Retry", False),
        ("DEBUG", "Task it[retry] succeeded", False),
    ]
    assert caplog.records[-1].getMessage().endswith(": 'long")


def test_a_request_as_options() -> None:
    request = Context(id="i", timelimit=[2, 1], stamps={"a": 1, "b": 2}, stamped_headers=["a"], headers={"h": 1})
    told = {name: value for name, value in request.as_execution_options().items() if value}
    assert told == {
        "task_id": "i", "time_limit": 2, "soft_time_limit": 1, "a": 1, "stamped_headers": ["a"], "headers": {"h": 1},
    }  # fmt: skip


def test_a_task_that_is_asked_to_stop(database_url: str) -> None:
    with Celery("own", broker=database_url, set_as_current=False) as app:
        long = app.task(name="long", base=AbortableTask)(lambda: None)
        result = long.delay()
        assert (result.state, result.is_aborted()) == ("PENDING", False)
        long.push_request(Context(id=result.id))
        assert not long.is_aborted()
        result.abort()
        assert (result.state, long.is_aborted(), long.is_aborted(task_id="another")) == (ABORTED, True, False)
        app.backend.mark_as_done(result.id, "stopped")
        assert (long.AsyncResult(result.id).state, long.is_aborted()) == ("SUCCESS", False)


def test_how_long_a_failure_is_kept(database_url: str) -> None:
    with Celery("own", broker=database_url, set_as_current=False) as app, psycopg.connect(database_url) as conn:
        app.conf.update(result_expires=100, result_failure_expires=1000)
        app.backend.mark_as_done("good", 1)
        app.backend.mark_as_failure("bad", ValueError("v"))
        query = "SELECT task_id, expires_at > now() + INTERVAL '500 seconds' FROM workrow.celery_results"
        assert dict(conn.execute(query).fetchall()) == {"good": False, "bad": True}


def test_a_child_process_tells_that_it_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    from workrow.celery.worker import calls

    app = Celery("own", set_as_current=False)
    heard = []

    def hear(sender: Any, **_: Any) -> None:
        heard.append(sender)

    app.on_after_fork.connect(hear)
    monkeypatch.setenv(calls.APP, f"{__name__}:the_app")
    monkeypatch.setattr(calls, "_served", [])
    monkeypatch.setitem(globals(), "the_app", app)
    monkeypatch.setattr(signals.worker_process_init, "receivers", [])
    assert (calls.served(), calls.served()) == (app, app)
    assert heard == [app]
