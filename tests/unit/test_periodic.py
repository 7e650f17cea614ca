"""``@app.periodic``: what cannot become a job is refused where it is written."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from procrastinate.testing import InMemoryConnector

import workrow
from workrow.worker.upstream import Deferrer


def plain(timestamp: int, n: int, to: date = date(2026, 1, 1)) -> None: ...


def with_context(context: workrow.JobContext, timestamp: int, **others: int) -> None: ...


def later(timestamp: int, it: "Later", n: int = 1) -> None: ...


def no_time(n: int = 1) -> None: ...


def declared(home: Any, func: Callable[..., None], kwargs: dict[str, Any] | None, **options: Any) -> None:
    home.periodic(cron="* * * * *", task_kwargs=kwargs)(home.task(name="t", **options)(func))


HOMES: dict[str, Callable[[], Any]] = {
    "app": lambda: workrow.App(connector=InMemoryConnector()),
    "blueprint": lambda: workrow.Blueprint(),
}


@pytest.mark.parametrize("home", list(HOMES))
@pytest.mark.parametrize(
    ("func", "kwargs", "options", "why"),
    [
        (plain, None, {}, "missing a required argument: 'n'"),
        (plain, {"n": 1, "odd": 2}, {}, "unexpected keyword argument 'odd'"),
        (plain, {"n": "many"}, {}, "argument n='many' does not fit int"),
        (plain, {"n": "many"}, {"hide": ("n",)}, r"task_kwargs={'n': '\*\*\*'}: t: argument n=\*\*\* does not fit int"),
        (with_context, {"n": "many"}, {}, "argument n='many' does not fit int"),
        (later, {"n": 2}, {}, "missing a required argument: 'it'"),
        (no_time, None, {}, "unexpected keyword argument 'timestamp'"),
        (plain, {"n": 1}, {"unique": ("n",)}, "nothing of unique, .* write @task"),
        (plain, {"n": 1}, {"expires": 60}, "nothing of unique, .* write @task"),
        (plain, {"n": 1}, {"limits": [workrow.Limit(1, name="one")]}, "nothing of unique, .* write @task"),
        (plain, {"n": 1}, {"version": 2, "upcast": lambda version, args: args}, "nothing of unique, .* write @task"),
    ],
)
def test_what_fits_no_job(home: str, func: Any, kwargs: Any, options: Any, why: str) -> None:
    made = HOMES[home]()
    with pytest.raises(workrow.OptionError, match=f"^task t: .*{why}") as error:
        declared(made, func, kwargs, **options)
    assert "\n" not in str(error.value)
    assert not made.periodic_registry.periodic_tasks


def test_what_no_json_holds_is_refused_where_the_app_is_known() -> None:
    def loose(timestamp: int, it: Any) -> None: ...

    with pytest.raises(workrow.OptionError, match="argument it=.* cannot be stored as JSON"):
        declared(HOMES["app"](), loose, {"it": object()})
    declared(HOMES["blueprint"](), loose, {"it": object()})  # the app's json_dumps may know how


@pytest.mark.parametrize("home", list(HOMES))
async def test_arguments_are_stored_as_those_of_any_call(home: str) -> None:
    app = HOMES["app"]()
    made = app if home == "app" else HOMES[home]()
    declared(made, plain, {"n": 1, "to": date(2026, 2, 3)})
    if made is not app:
        app.include(made)
    async with app.open_async():
        (periodic,) = app.periodic_registry.periodic_tasks.values()
        problems: dict[str, str] = {}
        await Deferrer(problems, app.periodic_registry).defer_jobs([(periodic, 60), (periodic, 120)])
    assert problems == {}
    stored = [job["args"] for job in app.connector.jobs.values()]
    assert stored == [{"n": 1, "to": "2026-02-03", "timestamp": due} for due in (60, 120)]


def test_an_annotation_may_name_what_comes_later() -> None:
    app = HOMES["app"]()
    declared(app, later, {"it": {"x": 1}})
    app.tasks["t"].bind((), {"it": {"x": 1}, "timestamp": 60}, json_too=True)
    with pytest.raises(workrow.ArgumentError, match="it={'x': 'one'} does not fit Later"):
        app.tasks["t"].bind((), {"it": {"x": "one"}, "timestamp": 60}, json_too=True)


@dataclass
class Later:
    x: int


def keeping(func: Any) -> Any:
    @functools.wraps(func)
    async def wrapper(timestamp: int, **others: Any) -> str:
        return f"{timestamp}: {await func(**others)}"

    return wrapper


def taking_out(func: Any) -> Any:
    @functools.wraps(func)
    async def wrapper(**everything: Any) -> str:
        return f"{everything.pop('timestamp')}: {await func(**everything)}"

    return wrapper


@pytest.mark.parametrize("around", [keeping, taking_out])
async def test_a_wrapper_may_take_the_due_time(around: Any) -> None:
    """Its function's signature, which it shows, has none."""
    app = HOMES["app"]()

    async def monthly(n: int, to: date = date(2026, 1, 1)) -> str:
        return f"{n} {to}"

    with pytest.raises(workrow.OptionError, match="argument n='many' does not fit int"):
        declared(app, around(monthly), {"n": "many"})
    app = HOMES["app"]()
    declared(app, around(monthly), {"n": 1, "to": date(2026, 2, 3)})
    async with app.open_async():
        (periodic,) = app.periodic_registry.periodic_tasks.values()
        await Deferrer({}, app.periodic_registry).defer_jobs([(periodic, 60)])
        [job] = app.connector.jobs.values()
        assert job["args"] == {"n": 1, "to": "2026-02-03", "timestamp": 60}
        task = app.tasks["t"]
        assert await task.func(**task.load(job["args"], 1, None)) == "60: 1 2026-02-03"


def test_a_wrapper_that_takes_no_due_time_is_as_what_it_wraps() -> None:
    @functools.wraps(no_time)
    def wrapper(n: int = 1) -> None: ...

    with pytest.raises(workrow.OptionError, match="unexpected keyword argument 'timestamp'"):
        declared(HOMES["app"](), wrapper, None)
