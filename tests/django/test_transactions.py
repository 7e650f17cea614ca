"""What is enqueued in a Django process is in Django's transaction."""

import asyncio
import os
import unittest
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import workrow
from tests.django.process import IN_DJANGO, in_django
from tests.django.work import committed, order, waiting, work

if IN_DJANGO:
    from asgiref.sync import sync_to_async
    from django.core.exceptions import SynchronousOnlyOperation
    from django.db import DatabaseError, IntegrityError, connection, connections, transaction
    from django.db.transaction import TransactionManagementError
    from django.db.utils import DataError
    from django.test import TestCase

    from tests.django.shop.models import Order
    from tests.django.shop.tasks import ship, ship_again, ship_all, ship_aside, ship_once, ship_slowly, thank
    from workrow.django import App, app
    from workrow.django.models import Job

WAYS = (
    "delay",
    "apply_async",
    "enqueue",
    "enqueue on",
    "enqueue_many",
    "enqueue_copy",
    "defer",
    "configure",
    "workflow",
)


def enqueue(way: str, pk: int) -> None:
    calls: dict[str, Any] = {
        "delay": lambda: ship.delay(pk),
        "apply_async": lambda: ship.apply_async((pk,), priority=3),
        "enqueue": lambda: ship.enqueue(order=pk),
        "enqueue on": lambda: ship.enqueue(connection, pk),
        "enqueue_many": lambda: ship.enqueue_many(connection, [{"order": pk}]),
        "enqueue_copy": lambda: ship.enqueue_copy(connections["default"], [{"order": pk}]),
        "defer": lambda: ship.defer(order=pk),
        "configure": lambda: app.configure_task("ship", lock="one").defer(order=pk),
        "workflow": lambda: workrow.group(ship.s(pk), thank.s(pk)).enqueue(),
    }
    calls[way]()


@pytest.mark.parametrize("way", WAYS)
@in_django
def test_a_rollback_takes_the_job_along_and_a_commit_keeps_it(way: str) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        enqueue(way, order())
        assert len(waiting()) == (2 if way == "workflow" else 1)
        assert committed() == []
        1 / 0  # noqa: B018
    assert (committed(), Order.objects.count()) == ([], 0)
    with transaction.atomic():
        enqueue(way, order())
    assert "ship" in committed()
    assert not connection.in_atomic_block


@in_django
def test_outside_of_a_block_it_is_there_at_once() -> None:
    for count, way in enumerate(WAYS, 1):
        enqueue(way, order())
        assert (way, committed().count("ship")) == (way, count)


@in_django
def test_a_savepoint_takes_along_what_was_enqueued_in_it() -> None:
    with transaction.atomic():
        ship.delay(order("first"))
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            thank.delay(order("second"))
            1 / 0  # noqa: B018
        ship_once.delay(order("third"))
    assert committed() == ["ship", "ship_once"]
    assert list(Order.objects.values_list("item", flat=True)) == ["first", "third"]


@in_django
def test_a_rule_decides_in_the_transaction() -> None:
    with transaction.atomic():
        first = ship_once.delay(1)
        again = ship_once.delay(1)
        assert (again.id, again.existing) == (first.id, True)
        transaction.set_rollback(True)
    assert ship_once.delay(1).created


@in_django
async def test_async_code_enqueues_where_its_orm_is() -> None:
    job = await ship.enqueue(None, 5)
    await ship.defer_async(order=6)
    await ship_once.enqueue(None, 6)
    await workrow.chain(ship.s(7), thank.si(8)).enqueue(None)
    assert await sync_to_async(committed)() == ["ship", "ship", "ship_once", "ship"]
    assert await job.status() == "todo"

    def block() -> None:
        with transaction.atomic():
            ship.delay(9)
            transaction.set_rollback(True)

    await sync_to_async(block)()
    assert len(await sync_to_async(committed)()) == 4
    with pytest.raises(SynchronousOnlyOperation):
        ship.delay(10)


@in_django
def test_async_code_inside_of_a_block_of_its_thread_joins_it() -> None:
    """As an async test of Django's `TestCase` does."""

    class Case(TestCase):
        async def test(self) -> None:
            await ship.enqueue(None, 5)
            await ship.defer_async(order=6)
            assert [job.task async for job in Job.objects.all()] == ["ship", "ship"]
            assert await sync_to_async(committed)() == []

    result = unittest.TestResult()
    unittest.TestSuite([Case("test")]).run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
    assert committed() == []


@in_django
def test_a_batch_is_a_block() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic(), workrow.batch(connection):
        ship.delay(1)
        1 / 0  # noqa: B018
    with workrow.batch(None, on_complete=thank.si(3)) as batch:
        ship.delay(1)
        ship.defer(order=2)
    assert committed()[-2:] == ["ship", "ship"]
    assert batch.status_sync().state == "running"

    async def loops() -> None:
        async with workrow.batch(None, on_complete=thank.si(3)):
            pass

    with pytest.raises(workrow.TransactionError, match=r"with workrow\.batch\(django\.db\.connection\)"):
        asyncio.run(loops())


@in_django
def test_what_a_job_of_a_batch_enqueues_is_of_the_batch() -> None:
    with workrow.batch(None, on_complete=thank.si(1)) as batch:
        ship_all.delay([order(), order()])
        ship_again.delay(order())
    work()
    status = batch.status_sync()
    assert (status.state, status.size, status.done) == ("succeeded", 5, 5)
    assert Job.objects.filter(task="letters.thank", status="succeeded").count() == 1


@in_django
def test_a_worker_assumes_the_role_that_django_does() -> None:
    options = connections.settings["default"]["OPTIONS"]
    options["assume_role"] = "pg_read_all_data"
    try:
        with psycopg.connect(App().database_url) as own:
            assert own.execute("SELECT current_user").fetchone() == ("pg_read_all_data",)
    except psycopg.OperationalError as error:
        if "permission denied to set role" not in str(error):
            raise
        pytest.skip("needs a member of pg_read_all_data")
    finally:
        del options["assume_role"]


@in_django
def test_what_is_asked_of_a_job_is_asked_in_the_transaction() -> None:
    with transaction.atomic():
        job = ship.delay(1)
        assert job.status_sync() == "todo"
        assert job.cancel_sync() == "cancelled"
        assert app.pause_queue("default", actor="me")
        transaction.set_rollback(True)
    with pytest.raises(workrow.JobNotFound):
        job.status_sync()
    assert app.job_manager.check_connection()


@in_django
def test_djangos_errors_stay_djangos() -> None:
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            Order.objects.bulk_create([Order(pk=1), Order(pk=1)])
        ship.delay(1)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        with pytest.raises(DataError), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        with pytest.raises(workrow.TransactionError, match="has failed already; roll it back"):
            ship.delay(2)
        1 / 0  # noqa: B018
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            ship.delay(3)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE procrastinate_jobs ADD CHECK (task_name <> 'letters.thank')")
    with pytest.raises(DatabaseError, match="check constraint"):
        thank.delay(1)
    assert committed() == ["ship"]


@in_django
def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(workrow.TransactionError, match="cannot enqueue on the sqlite database 'file'"):
        ship.enqueue(connections["file"], 1)
    with pytest.raises(workrow.ConfigurationError, match=r"DATABASES\['file'\] is sqlite"):
        App("file").database_url  # noqa: B018
    with pytest.raises(workrow.ConfigurationError, match=r"settings\.DATABASES has no 'nope'"):
        App("nope").database_url  # noqa: B018
    with pytest.raises(workrow.ConfigurationError, match="the database is Django's"):
        App(url="postgresql://")


@in_django
def test_a_worker_runs_them_with_djangos_models() -> None:
    pk, slow, aside = order("tea"), order("milk"), order("salt")
    jobs = ship.delay(pk), ship_slowly.delay(slow), ship_aside.delay(aside)
    work()
    results = [job.result_sync(timeout=5) for job in jobs]
    assert results[:2] == ["tea", "milk"]
    assert results[2][1] == "salt"
    assert results[2][0] != os.getpid()
    assert Order.objects.filter(sent=True).count() == 3


@in_django
def test_tasks_enqueue_on_the_connection_of_their_thread() -> None:
    job, several = ship_again.delay(order()), ship_all.delay([order(), order()])
    work()
    ids = [job.result_sync(timeout=5), *several.result_sync(timeout=5)]
    assert set(Job.objects.filter(pk__in=ids).values_list("status", flat=True)) == {"succeeded"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
        djangos = [name for (name,) in cursor.fetchall() if not name.startswith("workrow")]
    assert djangos == [""]  # this thread's; those of tasks are closed


@in_django
def test_schedules_are_read_as_they_are_written() -> None:
    """Django reads jsonb as text, and times in its own zone."""
    with transaction.atomic():
        app.schedules.create("often", ship, on=connection, every=timedelta(hours=1), args={"order": 3})
        (inside,) = app.schedules.list(on=connection)
        assert app.schedules.list() == []
    (schedule,) = app.schedules.list()
    assert inside.args == schedule.args == {"order": 3}
    assert inside == schedule


@in_django
def test_inline_runs_them_here() -> None:
    from workrow.testing.inline import inline

    pk = order()
    with inline():
        assert ship.delay(pk).status_sync() == "succeeded"
    assert (Order.objects.get(pk=pk).sent, committed()) == (True, [])
