"""What tests do in the process of Django."""

import asyncio
from typing import Any

from tests.django.process import IN_DJANGO

if IN_DJANGO:
    from tests.django.shop.models import Order
    from workrow.django import app
    from workrow.django.models import Job


def order(item: str = "tea") -> int:
    """A new order."""
    return Order.objects.create(item=item).pk


def waiting() -> list[tuple[str, Any]]:
    """The jobs that wait, as Django's connection sees them."""
    return list(Job.objects.filter(status="todo").order_by("id").values_list("task", "args"))


def work(**options: Any) -> None:
    """Run what is ready."""

    async def run() -> None:
        try:
            await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False, **options)
        finally:
            await app.close_async()

    asyncio.run(run())


def committed() -> list[str]:
    """The tasks of the jobs that everybody sees, whatever transaction this thread is in."""
    import psycopg

    with psycopg.connect(app.database_url) as connection:
        rows = connection.execute("SELECT task FROM workrow.jobs ORDER BY id").fetchall()
    return [row[0] for row in rows]
