"""What cannot work is said where it is declared, with the name, the value and the fix."""

import contextlib
import functools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import procrastinate
import pytest
from click.testing import CliRunner
from procrastinate.testing import InMemoryConnector

import workrow
from tests.integration import process_tasks
from workrow.cli import main
from workrow.errors import brief


def make_app() -> workrow.App:
    return workrow.App(connector=InMemoryConnector())


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


class Yielding:
    __qualname__ = "Yielding"

    def __call__(self) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize(
    "function", [generator, async_generator, functools.partial(generator), Yielding()], ids=lambda each: str(type(each))
)
def test_generator_functions_are_no_tasks(function: Callable[..., Any]) -> None:
    app = make_app()
    told = r"task letters: it is a generator function.* return the values, as a list"
    with pytest.raises(workrow.OptionError, match=told):
        app.task(name="letters")(function)
    assert "letters" not in app.tasks


def test_functions_without_a_name_are_named_by_what_they_are() -> None:
    with pytest.raises(workrow.OptionError, match=r"^task functools.partial\(.*: it is a generator function"):
        make_app().task(functools.partial(generator))


def test_what_makes_something_of_a_generator_is_one() -> None:
    @make_app().task(name="managed")
    @contextlib.contextmanager
    def managed() -> Iterator[int]:
        yield 1

    @make_app().task(name="listed")
    def listed() -> list[int]:
        return list(generator())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aliases": "abc"}, r"aliases='abc': must be a list of names, such as \['abc'\]"),
        ({"aliases": 5}, "aliases=5: must be a list of names"),
        ({"aliases": ["a", 5]}, "alias=5: must be a non-empty string"),
        ({"aliases": ["n" * 129]}, "has 129 characters"),
        ({"retry": "x"}, "retry='x': must be a workrow.Retry"),
        ({"retry": -1}, "retry=-1: must be"),
        ({"retry": 1.5}, "retry=1.5: must be"),
        ({"queue": "\ud800"}, r"queue='\\ud800': '\\ud800' at position 0 is half of a character"),
        ({"lock": "a\udcff"}, "at position 1 is half of a character"),
        ({"name": "\udcff"}, "is half of a character"),
        ({"task_middleware": 5}, "task_middleware=5: must be a list of functions"),
        ({"task_middleware": generator}, "task_middleware=<function.*: must be a list of functions"),
        ({"task_middleware": ["log"]}, r"task_middleware=\['log'\]: must be a list of functions"),
    ],
)
def test_bad_task_options(options: dict[str, Any], message: str) -> None:
    app = make_app()
    with pytest.raises(workrow.OptionError, match=f"^task .*: .*{message}"):
        app.task(**{"name": "t", **options})(process_tasks.pid)


def test_what_procrastinate_takes_is_taken() -> None:
    app = make_app()
    for number, retry in enumerate((True, False, 0, 5, procrastinate.RetryStrategy(max_attempts=3))):
        app.task(name=f"t{number}", aliases=[f"a{number}"], retry=retry)(process_tasks.pid)
    assert {"a0", "a4"} <= app.tasks.keys()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: 0, "task p: run_in='process' finds the function by its name, and .*<lambda>"),
        (
            functools.partial(process_tasks.double, n=1),
            "task p: it is an object of type partial, and no function: wrap",
        ),
    ],
)
def test_a_process_finds_functions_by_their_names(function: Any, message: str) -> None:
    with pytest.raises(workrow.OptionError, match=message):
        make_app().task(name="p", run_in="process")(function)


def test_nor_does_it_find_local_ones() -> None:
    def local() -> None: ...

    with pytest.raises(workrow.OptionError, match=r"task p: .*local is inside another function; define it at the top"):
        make_app().task(name="p", run_in="process")(local)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: workrow.App(5), "of type int is no PostgreSQL URL: it must be a string, such as 'postgresql://"),  # type: ignore[arg-type]
        (lambda: workrow.App("postgresql://h/d", direct_url=5), "of type int is no PostgreSQL URL"),  # type: ignore[arg-type]
        (lambda: workrow.App(lambda: None).database_url, "of type NoneType is no PostgreSQL URL"),  # type: ignore[arg-type,return-value]
        (lambda: workrow.App("postgresql://h/d", lease=float("nan")), "lease=nan: must be seconds"),
        (lambda: workrow.App("postgresql://h/d", lease=float("inf")), "lease=inf: must be seconds"),
        (lambda: workrow.App("postgresql://h/d", max_crashes="x"), "max_crashes='x': must be a whole number"),  # type: ignore[arg-type]
    ],
)
def test_bad_apps(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(workrow.ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sessions": 5}, "sessions=5: must make a session when it is called, as an async_sessionmaker does"),
        ({"sync_sessions": "x"}, "sync_sessions='x': must make a session when it is called, as a sessionmaker does"),
        ({"keep_history": "x"}, r"keep_history='x': must be a timedelta above zero, such as timedelta\(days=30\)"),
        ({"keep_history": 0}, "keep_history=0: must be a timedelta"),
        ({"keep_history": float("nan")}, "keep_history=nan: must be a timedelta"),
        ({"keep_history": timedelta(-1)}, r"keep_history=datetime.timedelta\(days=-1\): must be a timedelta above"),
        ({"keep_history": timedelta.max}, "keep_history=.* at most 100 years"),
        ({"import_paths": "emails.tasks"}, r"import_paths='emails.tasks': .* such as \['emails.tasks'\]"),
        ({"import_paths": 5}, "import_paths=5: must be a list of modules"),
        ({"import_paths": [5]}, r"import_paths=\[5\]: must be a list of modules"),
        ({"worker_defaults": 5}, "worker_defaults=5: must be a dict"),
        ({"worker_defaults": {"concurency": 5}}, "worker_defaults: concurency=5: did you mean 'concurrency'"),
        ({"worker_defaults": {"max_jobs": 0}}, "max_jobs=0: must be a whole number of jobs, at least 1"),
        ({"worker_defaults": {"max_memory": 1.5}}, "max_memory=1.5: must be a whole number of MiB, at least 1"),
        ({"worker_defaults": {"slow_callback_duration": 0}}, "slow_callback_duration=0: must be seconds"),
        ({"worker_defaults": {"concurrency": 0}}, "concurrency=0: must be a whole number of slots"),
        ({"periodic_defaults": {"delay": 5}}, "periodic_defaults: delay=5: did you mean 'max_delay'"),
        ({"periodic_defaults": {"max_delay": "x"}}, "max_delay='x': must be seconds"),
        ({"max_payload": 0}, "max_payload=0"),
        ({"max_result": 0}, "max_result=0"),
        ({"max_result": 2**28}, "max_result=268435456: .* to 268,435,455, which is what PostgreSQL's jsonb holds"),
    ],
)
def test_bad_options_of_apps(options: dict[str, Any], message: str) -> None:
    with pytest.raises(workrow.ConfigurationError, match=message):
        workrow.App("postgresql://h/d", **options)


def test_a_connector_is_one() -> None:
    with pytest.raises(workrow.ConfigurationError, match="connector=5: must be one of procrastinate's connectors"):
        workrow.App(connector=5)  # type: ignore[arg-type]


def test_options_of_apps_that_can_be_had() -> None:
    app = workrow.App(
        "postgresql://h/d",
        import_paths=("a.b",),
        worker_defaults={"concurrency": 3, "queue_concurrency": {"a": 3}, "health": ":8000"},  # type: ignore[typeddict-unknown-key]
        periodic_defaults={"max_delay": 0},
        keep_history=timedelta(hours=1),
        sessions=object,
        sync_sessions=object,  # type: ignore[arg-type]
    )
    assert app.import_paths == ["a.b"]


class Celery:
    def __call__(self, n: int) -> None: ...


@pytest.mark.parametrize(
    ("thing", "name"), [(functools.partial(process_tasks.double), "partial"), (Celery(), "Celery"), (5, "int")]
)
@pytest.mark.parametrize("named", [{}, {"name": "t"}])
def test_only_functions_are_tasks(thing: Any, name: str, named: dict[str, str]) -> None:
    for where in (make_app(), workrow.Blueprint("b")):
        with pytest.raises(
            workrow.OptionError, match=f"^task .*: it is an? .* of type {name}, and no function: wrap it"
        ):
            where.task(**named)(thing)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"rate_limit": "100/h"},
            r"unknown task option rate_limit='100/h': .* Celery's; here it is limits=Rate\('100/h'\)",
        ),
        ({"rate_limit": 10}, r"limits=Rate\('10/m'\)"),
        ({"max_retries": 3}, r"retry=Retry\(max_attempts=…\)"),
        ({"default_retry_delay": 3}, r"retry=Retry\(wait=seconds\)"),
        ({"autoretry_for": (ValueError,)}, "retry_on="),
        ({"acks_late": True}, "until it has ended"),
        ({"ignore_result": True}, "results=False"),
        ({"bind": True}, "a first parameter annotated JobContext"),
        ({"serializer": "json"}, "arguments are stored as JSON"),
        ({"retries": 3}, "did you mean 'retry'"),
    ],
)
def test_celerys_words_are_translated(options: dict[str, Any], message: str) -> None:
    for declare in (make_app().task, functools.partial(workrow.Blueprint, "b")):
        with pytest.raises(workrow.OptionError, match=message):
            declare(**options)


CALLS = {
    "link": r"workrow.chain\(",
    "link_error": r"@task\(on_failure=…\)",
    "routing_key": "queue= names it",
    "exchange": "queue= names it",
    "serializer": "arguments are stored as JSON",
    "compression": "arguments are stored as JSON",
    "soft_time_limit": r"@task\(soft_time_limit=…, time_limit=…\)",
    "time_limit": r"@task\(soft_time_limit=…, time_limit=…\)",
    "task_id": r"\.id of what is returned",
    "retry": "in the database when the call returns",
    "ignore_result": r"@task\(results=False\)",
    "headers": "an argument of the task",
    "producer": "there is no broker",
}


@pytest.mark.parametrize("word", CALLS)
def test_celerys_words_of_a_call_are_translated(word: str) -> None:
    @make_app().task(name="taking", queue="slow")
    def taking(n: int) -> None: ...

    told = rf"^taking.apply_async\({word}=5\): a word of Celery's; .*{CALLS[word]}"
    for call in (taking, taking.options(priority=1)):
        with pytest.raises(workrow.OptionError, match=told):
            call.apply_async((1,), **{word: 5})


def test_other_words_of_a_call() -> None:
    taking = make_app().task(name="taking")(process_tasks.double)
    with pytest.raises(workrow.OptionError, match=r"unknown option of taking.apply_async\(\): count_down=5: did"):
        taking.apply_async((1,), count_down=5)
    with pytest.raises(workrow.OptionError, match=r"^countdown=-1: must be a timedelta or a number of seconds"):
        taking.apply_async((1,), countdown=-1)
    with pytest.raises(workrow.OptionError, match="^eta=5: must be a datetime with a time zone"):
        taking.apply_async((1,), eta=5)
    with pytest.raises(workrow.OptionError, match=r"^countdown=5 and eta=.*: give one of the two"):
        taking.apply_async((1,), countdown=5, eta=datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("subtask", r"task.s\(…\) keeps arguments"),
        ("map", r"workrow.map\(…\)"),
        ("retry", "RetryLater"),
        ("AsyncResult", r"app.job\(id\)"),
        ("request", "JobContext"),
    ],
)
def test_what_celerys_tasks_have_besides(name: str, message: str) -> None:
    taking = make_app().task(name="taking")(process_tasks.double)
    for thing in (taking, taking.options(priority=1)):
        assert not hasattr(thing, name)
        with pytest.raises(AttributeError, match=rf"^taking.{name}: a word of Celery's; here: .*{message}"):
            getattr(thing, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing_such'"):
        _ = taking.nothing_such


@pytest.mark.parametrize("job_id", ["x", None, True, 0, -1, 2**70, 1.5])
async def test_ids_of_jobs(job_id: Any) -> None:
    app = make_app()
    told = r"job_id=.*: must be the id of a job, a whole number from 1"
    with pytest.raises(workrow.OptionError, match=told):
        app.job(job_id)
    with pytest.raises(workrow.OptionError, match=told):
        await app.cancel_async(job_id)
    with pytest.raises(workrow.OptionError, match=told):
        app.cancel(job_id)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"n": 1}, "taking: rows={'n': 1}: must be an iterable of mappings, one for each job"),
        ("rows", "rows='rows': must be an iterable of mappings"),
        (5, "rows=5: must be an iterable of mappings"),
        ([{"n": 1}, 5], "taking: the row 5: must be a mapping of one job's arguments by name"),
        (["n"], "the row 'n': must be a mapping"),
    ],
)
def test_rows_are_mappings(rows: Any, message: str) -> None:
    @make_app().task(name="taking")
    def taking(n: int) -> None: ...

    for enqueue in (taking.enqueue_many, taking.options(priority=1).enqueue_many):
        with pytest.raises(workrow.ArgumentError, match=message):
            enqueue(None, rows)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"args": 1}, r"taking: args=1: must be a list or a tuple, such as \[1\]"),
        ({"args": 0}, "args=0"),
        ({"args": "1"}, "args='1': must be a list"),
        ({"kwargs": [1]}, r"kwargs=\[1\]: must be a mapping"),
    ],
)
def test_what_apply_async_takes(given: dict[str, Any], message: str) -> None:
    @make_app().task(name="taking")
    def taking(n: Any) -> None: ...

    with pytest.raises(workrow.ArgumentError, match=message):
        taking.apply_async(**given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, "concurrency=0: must be a whole number of slots, at least 1"),
        ({"concurrency": "4"}, "concurrency='4'"),
        ({"queues": "emails"}, r"queues='emails': must be a list of names, such as \['emails'\]"),
        ({"shutdown_graceful_timeout": float("nan")}, "shutdown_graceful_timeout=nan: must be .* or None for as long"),
        ({"shutdown_graceful_timeout": -1}, "shutdown_graceful_timeout=-1"),
        ({"fetch_job_polling_interval": float("inf")}, "fetch_job_polling_interval=inf"),
        ({"queue_concurrency": {"a": 0}}, r"queue_concurrency\['a'\]=0: must be a whole number of slots"),
    ],
)
async def test_bad_workers(options: dict[str, Any], message: str) -> None:
    with pytest.raises(workrow.OptionError, match=message):
        workrow.App("postgresql://h/d")._worker(**options)


class NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize("value", [10**5000, NoRepr(), [NoRepr()]], ids=["huge", "object", "list"])
def test_arguments_that_cannot_even_be_shown(value: Any) -> None:
    @make_app().task(name="taking")
    def taking(n: Any) -> None: ...

    with pytest.raises(workrow.ArgumentError, match=r"taking: argument n=<\w+, not shown: \w+> cannot be stored"):
        taking.delay(value)

    @make_app().task(name="typed")
    def typed(n: list[int]) -> None: ...

    with pytest.raises(workrow.ArgumentError, match=r"typed: argument n=<"):
        typed.delay([value] if isinstance(value, NoRepr) else value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cancel", "9" * 30], "is not in the range"),
        (["job", "0"], "is not in the range"),
        (["limits", "set", "l", "--weight", "nan"], "nan is no finite number"),
        (["limits", "set", "l", "--weight", "inf"], "inf is no finite number"),
        (["limits", "set", "l", "--max-running", "99999999999"], "is not in the range"),
        (["schedules", "create", "s", "t", "--priority", "99999999999"], "is not in the range"),
        (["schema", "upgrade", "--to", "-1"], "is not in the range"),
        (["worker", "--shutdown-timeout", "inf"], "inf is no finite number"),
        (["worker", "--processes", "-1"], "is not in the range"),
    ],
)
def test_numbers_of_the_command_line(arguments: list[str], message: str) -> None:
    told = CliRunner().invoke(main, ["--app", "nowhere.app", *arguments])
    assert told.exit_code == 2
    assert message in told.output


@pytest.mark.parametrize(
    ("retry", "told"),
    [
        (True, True),
        (procrastinate.RetryStrategy(), True),
        (procrastinate.RetryStrategy(retry_exceptions=[OSError]), True),
        (workrow.Retry(max_attempts=None, wait=0), True),
        (workrow.Retry(rules=(workrow.Rule(OSError, max_attempts=None, wait=0.0),)), True),
        ((workrow.Rule(OSError), workrow.Rule(KeyError, max_attempts=None, wait=0)), True),
        (False, False),
        (1000, False),
        (procrastinate.RetryStrategy(max_attempts=5), False),
        (procrastinate.RetryStrategy(wait=1), False),
        (procrastinate.RetryStrategy(linear_wait=1), False),
        (workrow.Retry(max_attempts=None), False),
        (workrow.Retry(max_attempts=5, wait=0), False),
        (workrow.Rule(OSError, discard=True), False),
    ],
)
def test_a_retry_that_is_a_tight_loop_is_told(retry: Any, told: bool, caplog: pytest.LogCaptureFixture) -> None:
    blueprint = workrow.Blueprint("b")
    blueprint.task(name="t", retry=retry)(_nothing)
    assert ("task t: retry=" in caplog.text and "at once and without end" in caplog.text) is told


def _nothing() -> None: ...


@pytest.mark.parametrize("named", [False, True])
def test_a_task_that_is_named_after_a_script_is_warned_of(tmp_path: Path, named: bool) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import workrow\n"
        "app = workrow.App('postgresql://h/d')\n"
        + ("@app.task(name='send')\n" if named else "@app.task\n")
        + "def send() -> None: ...\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    warned = f"{script}:3: UserWarning: task __main__.send is named after a script, and has another name where"
    assert (warned in ended.stderr) != named
    assert ended.stderr == "" or "give it one of its own, such as name='send'" in ended.stderr
    imported = "import script"
    ended = subprocess.run([sys.executable, "-c", imported], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stderr == ""


@pytest.mark.parametrize("verb", ["result", "status", "progress", "cancel", "retry"])
def test_what_nobody_awaits_names_the_job(verb: str) -> None:
    app = make_app()
    for job, name in ((workrow.Job(7, "emails.send", "default", app), r"emails.send\[7\]"), (app.job(7), r"job\[7\]")):
        with pytest.warns(RuntimeWarning, match=rf"coroutine '{name}.{verb}' was never awaited"):
            getattr(job, verb)()


def test_a_value_that_is_too_long_to_be_shown_ends_with_a_sign_of_it() -> None:
    assert brief("x" * 78) == f"'{'x' * 78}'"
    assert brief("x" * 79) == f"'{'x' * 79}…"
