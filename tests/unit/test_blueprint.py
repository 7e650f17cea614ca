"""Declaring tasks."""

from typing import TYPE_CHECKING, Any

import procrastinate
import pytest
from procrastinate.testing import InMemoryConnector

import workrow

if TYPE_CHECKING:
    from procrastinate import JobContext


def make_app() -> workrow.App:
    return workrow.App(connector=InMemoryConnector())


def test_names_come_from_the_blueprint_and_the_function() -> None:
    emails = workrow.Blueprint("emails", queue="mail", priority=2)

    @emails.task
    def send() -> None: ...

    @emails.task(name="other", queue="slow", aliases=["old"])
    def other() -> None: ...

    assert (send.name, send.queue, send.priority) == ("emails.send", "mail", 2)
    assert (other.name, other.queue, other.priority) == ("other", "slow", 2)
    app = make_app().include(emails)
    assert app.tasks["emails.send"] is send
    assert app.tasks["old"] is other


def test_an_app_is_a_procrastinate_app_with_its_names() -> None:
    app = make_app()

    @app.task(queue="q")
    def plain() -> None: ...

    assert isinstance(app, procrastinate.App)
    assert plain.name == f"{__name__}.plain"
    assert isinstance(plain, procrastinate.tasks.Task)
    assert "builtin:procrastinate.builtin_tasks.remove_old_jobs" in " ".join(app.tasks)


def test_procrastinates_own_blueprints_can_be_included() -> None:
    old = procrastinate.Blueprint()

    @old.task(name="legacy")
    def legacy() -> None: ...

    app = make_app()
    app.add_tasks_from(old, namespace="ns")
    assert "ns:legacy" in app.tasks


def test_a_task_can_be_called() -> None:
    @make_app().task(name="add")
    def add(a: int, b: int) -> int:
        return a + b

    assert add(1, b=2) == 3
    assert add.__doc__ is None
    assert add.__name__ == "add"


def test_the_context_is_found_by_annotation() -> None:
    app = make_app()

    @app.task(name="typed")
    def typed(ctx: workrow.JobContext, n: int) -> None: ...

    @app.task(name="quoted")
    def quoted(ctx: "JobContext", n: int) -> None: ...

    @app.task(name="flag", pass_context=True)
    def flag(ctx: Any, n: int) -> None: ...

    @app.task(name="without")
    def without(n: int) -> None: ...

    assert [t.pass_context for t in (typed, quoted, flag, without)] == [True, True, True, False]
    assert [list(t.signature.parameters) for t in (typed, quoted, flag, without)] == [["n"]] * 4


def test_a_name_used_twice_names_both() -> None:
    blueprint = workrow.Blueprint("b")

    @blueprint.task(name="same")
    def first() -> None: ...

    with pytest.raises(workrow.TaskNameTaken, match=r"'same' is used twice, by .*first and .*second"):

        @blueprint.task(name="same")
        def second() -> None: ...

    with pytest.raises(procrastinate.exceptions.TaskAlreadyRegistered):

        @blueprint.task(name="new", aliases=["same"])
        def third() -> None: ...

    assert set(blueprint.tasks) == {"same"}
    with pytest.raises(workrow.TaskNameTaken, match="include it once"):
        make_app().include(blueprint, blueprint)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"qeue": "x"}, "unknown task option qeue='x': did you mean 'queue'"),
        ({"queue": ""}, "queue=''"),
        ({"name": "n" * 129}, "has 129 characters"),
        ({"priority": "high"}, "priority='high'"),
        ({"retry": 3, "discard_on": (OSError,)}, "go with retry=workrow.Retry"),
        ({"discard_on": OSError}, "must be a tuple of exception classes"),
    ],
)
def test_bad_task_options(options: dict[str, Any], message: str) -> None:
    blueprint = workrow.Blueprint("b")
    with pytest.raises(workrow.OptionError, match=message):

        @blueprint.task(**options)
        def task() -> None: ...

    assert blueprint.tasks == {}


def test_bad_blueprint_options() -> None:
    with pytest.raises(workrow.OptionError, match="unknown task option cron="):
        workrow.Blueprint("b", cron="* * * * *")  # type: ignore[call-arg]


def test_parameters_without_a_name_are_refused() -> None:
    blueprint = workrow.Blueprint("b")
    with pytest.raises(workrow.OptionError, match=r"task b.many: parameter \*rest"):

        @blueprint.task
        def many(*rest: int) -> None: ...

    with pytest.raises(
        workrow.OptionError, match=r"args={}: .*missing a required argument: 'n'; give what is missing in"
    ):

        @blueprint.task(cron="* * * * *")
        def tick(n: int) -> None: ...


def test_narrowing_a_blueprints_retry() -> None:
    blueprint = workrow.Blueprint("b", retry=workrow.Retry(max_attempts=7, discard_on=(KeyError,)))

    @blueprint.task(discard_on=(ValueError,), retry_on=(OSError,))
    def task() -> None: ...

    assert task.retry_strategy == workrow.Retry(max_attempts=7, retry_on=(OSError,), discard_on=(KeyError, ValueError))


def test_the_app_takes_a_url_or_a_connector() -> None:
    with pytest.raises(workrow.ConfigurationError, match="one of the two"):
        workrow.App()
    with pytest.raises(workrow.ConfigurationError, match=r"'mysql://u:\*\*\*@h/d' is no PostgreSQL URL"):
        workrow.App("mysql://u:secret@h/d")
    with pytest.raises(workrow.ConfigurationError, match="InMemoryConnector, does not tell its URL"):
        _ = make_app().database_url
    assert workrow.App("postgresql+asyncpg://h/d").database_url == "postgresql://h/d"
    assert workrow.App(lambda: "postgres://h/d").database_url == "postgresql://h/d"
