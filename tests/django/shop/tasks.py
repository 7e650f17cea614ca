"""What the shop does later."""

import os
from typing import Any

import workrow
from tests.django.shop.models import Order
from workrow.django import app

try:
    from django.tasks import task
except ImportError:
    from django_tasks import task

letters = workrow.Blueprint("letters", queue="mail")


@app.task(name="ship")
def ship(order: int) -> str:
    """Of the app itself."""
    Order.objects.filter(pk=order).update(sent=True)
    return Order.objects.get(pk=order).item


@app.task(name="ship_slowly")
async def ship_slowly(order: int) -> str:
    """The same in a coroutine."""
    await Order.objects.filter(pk=order).aupdate(sent=True)
    return (await Order.objects.aget(pk=order)).item


@app.task(name="ship_aside", run_in="process")
def ship_aside(order: int) -> list[Any]:
    """The same in a process of its own."""
    Order.objects.filter(pk=order).update(sent=True)
    return [os.getpid(), Order.objects.get(pk=order).item]


@app.task(name="ship_once", unique=("order",))
def ship_once(order: int) -> None:
    """Of a rule."""


@app.task(name="ship_again")
def ship_again(order: int) -> int:
    """Enqueues another."""
    return ship.delay(order).id


@app.task(name="ship_all")
async def ship_all(orders: list[int]) -> list[int]:
    """Enqueues others, on the event loop."""
    return [(await ship.enqueue(None, order)).id for order in orders]


@letters.task
def thank(order: int) -> None:
    """Of a blueprint that nobody includes."""


@task
def add(a: int, b: int) -> int:
    """One of django.tasks."""
    return a + b


@task(priority=7, queue_name="sums", takes_context=True)
async def add_slowly(context: Any, *numbers: int, **more: int) -> list[Any]:
    """The same with everything."""
    return [sum(numbers) + sum(more.values()), context.attempt, context.task_result.id]


@task
def fail(text: str) -> None:
    """One that does not succeed."""
    raise LookupError(text)


@task
def unsayable() -> object:
    """One whose result is no JSON."""
    return object()
