"""The Celery door in a project of Django's."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.django.process import IN_DJANGO, PYTHON, ROOT, environment, in_django
from tests.django.work import committed

if IN_DJANGO:
    from django.db import connection, transaction

    from tests.django.shop.models import Order
    from tests.django.work import order
    from workrow.celery import Celery, chain
    from workrow.celery.bridge import shadow
    from workrow.celery.contrib.django.task import DjangoTask
    from workrow.celery.task import Task


def made(**options: Any) -> Any:
    app = Celery("shop", broker=os.environ["DATABASE_URL"], set_as_current=False, **options)

    @app.task(name="celery_add")
    def add(x: int, y: int) -> int:
        return x + y

    return add


@in_django
def test_on_commit_is_in_the_transaction() -> None:
    add = made()
    assert isinstance(add, DjangoTask)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        add.delay_on_commit(1, 2)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM procrastinate_jobs")
            assert cursor.fetchone() == (1,)
        1 / 0  # noqa: B018
    assert committed() == []
    with transaction.atomic():
        add.apply_async_on_commit((1, 2), queue="mail")
        assert committed() == []
    add.delay_on_commit(3, 4)
    assert committed() == ["celery_add", "celery_add"]
    add.app.close()


@in_django
def test_on_commit_of_another_database_is_sent_after_the_commit() -> None:
    add = made()
    add.app.store.__dict__["address"] = ("elsewhere", 5432, "jobs")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        add.delay_on_commit(1, 2)
        1 / 0  # noqa: B018
    with transaction.atomic():
        add.delay_on_commit(1, 2)
        assert committed() == []
    assert committed() == ["celery_add"]
    add.app.close()


@in_django
def test_a_unique_call_is_in_the_transaction() -> None:
    add = made()
    add.unique = ("x",)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        add.delay_on_commit(1, 2)
        1 / 0  # noqa: B018
    assert committed() == []
    with transaction.atomic():
        add.delay_on_commit(1, 2)
        add.delay_on_commit(1, 3)
        assert committed() == []
    assert committed() == ["celery_add"]
    add.app.close()


@in_django
def test_a_shadow_is_rolled_back() -> None:
    """Whatever the task does about transactions of its own, and whatever it calls."""
    app = Celery("shop", broker=os.environ["DATABASE_URL"], set_as_current=False)
    after: list[str] = []
    seen: list[int] = []

    @app.task(name="celery_shadowed", unique=("how",))
    def shadowed(how: str) -> int:
        order("outside")
        shadowed.delay(how)
        shadowed.delay_on_commit(how)
        chain(shadowed.si(how).set(unique=None), shadowed.si(how).set(unique=None)).apply_async()
        transaction.on_commit(lambda: after.append(how))
        with transaction.atomic():
            order("inside")
            transaction.on_commit(lambda: after.append(how))
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            order("rolled back by itself")
            1 / 0  # noqa: B018
        seen.append(Order.objects.count())
        if how == "raises":
            raise ValueError(how)
        if how == "breaks":
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        return seen[-1]

    there = order("before")
    for how, state in (("returns", "SUCCESS"), ("raises", "FAILURE"), ("breaks", "FAILURE")):
        told = {"id": how, "args": [how], "kwargs": {}}
        ours = shadow.rehearse(app, "celery_shadowed", told, "celery")
        assert ours.state == state, ours
        assert seen.pop() == 3, "it saw what it wrote"
        assert list(Order.objects.values_list("pk", flat=True)) == [there]
        assert (committed(), after, connection.in_atomic_block) == ([], [], False)
    app.close()


@in_django
def test_a_shadow_inside_of_a_transaction_leaves_the_rest_of_it() -> None:
    add = made()
    add.run = lambda x, y: order(f"{x}") and x + y
    with transaction.atomic():
        order("kept")
        told = {"id": "it", "args": [1, 2], "kwargs": {}}
        assert shadow.rehearse(add.app, "celery_add", told, "celery")[:2] == ("SUCCESS", 3)
        order("kept, too")
    assert list(Order.objects.order_by("pk").values_list("item", flat=True)) == ["kept", "kept, too"]
    add.app.close()


@in_django
def test_eager_calls_run_after_the_commit() -> None:
    add = made(changes={"task_always_eager": True})
    ran: list[int] = []
    add.run = lambda x, y: ran.append(x + y)
    with transaction.atomic():
        add.delay_on_commit(1, 2)
        assert ran == []
    assert (ran, committed()) == ([3], [])


@in_django
def test_a_class_of_ones_own_stays() -> None:
    class Own(Task):
        pass

    add = made(task_cls=Own)
    assert isinstance(add, Own)
    assert not isinstance(add, DjangoTask)


PROJECT = """
from workrow.celery import Celery
app = Celery("shop", broker="DATABASE")
app.autodiscover_tasks(related_name="celery_tasks")

@app.task(name="orders")
def orders():
    from django.db import connection
    from tests.django.shop.models import Order
    Order.objects.create(item="of a task")
    return [connection.connection.info.backend_pid, Order.objects.count()]
"""


def test_a_worker_of_a_project(django_url: str, tmp_path: Path) -> None:
    """It loads the project, and gives each run a connection that works."""
    (tmp_path / "shop_celery.py").write_text(PROJECT.replace("DATABASE", django_url))
    told = {**environment(django_url), "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    words = [PYTHON, "-m", "workrow.celery", "-A", "shop_celery"]
    worker = subprocess.Popen([*words, "worker", "-P", "solo"], cwd=ROOT, env=told)
    try:
        ids = [subprocess.check_output([*words, "call", "orders"], cwd=ROOT, env=told, text=True) for _ in range(2)]
        results = [
            subprocess.check_output([*words, "result", task_id.strip()], cwd=ROOT, env=told, text=True, timeout=60)
            for task_id in ids
        ]
    finally:
        worker.terminate()
        worker.wait(30)
    (first, count), (second, more) = map(eval, results)
    assert (count, more) == (1, 2)
    assert first != second, "CONN_MAX_AGE is 0: a connection ends with its run"
