"""What a process loads that only imports workrow, or only enqueues."""

import subprocess
import sys

import pytest

import workrow

ENQUEUE = """
import asyncio, sys, psycopg
import workrow
app = workrow.App("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
blueprint = workrow.Blueprint()
@blueprint.task(queue="mail")
def send(to: str) -> None: ...
app.include(blueprint)
for on in (psycopg.Connection.__new__(psycopg.Connection), psycopg.AsyncConnection.__new__(psycopg.AsyncConnection)):
    try:
        asyncio.run(send.enqueue(on, to="a"))
    except AttributeError:  # it has been given to the driver, and is connected to nothing
        pass
    else:
        raise SystemExit("who enqueued that?")
"""


def loaded(code: str) -> set[str]:
    code += "\nimport sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def inside(modules: set[str], *packages: str) -> list[str]:
    return sorted(each for each in modules if each in packages or each.startswith(tuple(f"{one}." for one in packages)))


def test_the_package_alone_loads_nothing_but_itself() -> None:
    modules = loaded("import workrow; dir(workrow)")
    assert inside(modules, "workrow", "sqlalchemy", "procrastinate", "pydantic", "psycopg") == ["workrow"]


UNUSED = (
    *(f"workrow.{room}" for room in ("worker", "cli", "schema", "testing", "maintenance", "schedules", "results")),
    *(
        f"workrow.declare.{one}"
        for one in ("crontab", "walltime", "schedule", "retry_policy", "backoff", "retry_rules")
    ),
    *(f"workrow.enqueue.{one}" for one in ("copy", "once", "routing", "sqlalchemy_transaction")),
    *(f"workrow.database.{one}" for one in ("beside", "link", "listener", "supervision")),
    "workrow.directives",
    "sqlalchemy",
    "pydantic",
    "pydantic_core",
    "cronsim",
)
"""What stays out of a process that enqueues a text: no schedule, retry, result, rule or conversion is in it."""
OURS_MOST = 66
"""So many modules are loaded on top of procrastinate's own 371, for workrow.App is an App of it: 437, of 688 once."""


def test_who_only_enqueues_loads_no_more_than_that_takes() -> None:
    modules = loaded(ENQUEUE)
    assert "workrow.enqueue.transaction" in modules
    assert inside(modules, *UNUSED) == []
    upstream = loaded("import procrastinate; procrastinate.App(connector=procrastinate.PsycopgConnector())")
    assert len(modules - upstream) <= OURS_MOST, sorted(modules - upstream)


@pytest.mark.parametrize("name", [*workrow.__all__, "clock", "records", "schedule", "urls"])
def test_each_name_is_found_and_told_by_dir(name: str) -> None:
    assert getattr(workrow, name) is not None
    assert name in dir(workrow)


def test_the_names_are_those_of_all() -> None:
    assert {*workrow._HOME_OF, "retries", "schema", "__version__"} == set(workrow.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nope'"):
        workrow.Nope  # type: ignore[attr-defined]  # noqa: B018


def test_a_star_brings_all_names() -> None:
    assert {"App", "Cron", "retries"} <= loaded("from workrow import *\nprint(*globals(), sep='\\n')")
