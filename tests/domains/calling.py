"""What the tests of calls do and look at."""

from typing import Any

from sqlalchemy import select

import workrow
from jobs import database
from jobs.bootstrap import database_url
from jobs.calls import http_provider, orders, service
from jobs.calls.models import Call, CallChange
from jobs.calls.provider import Provider, Report
from jobs.calls.recording_tasks import recordings
from jobs.calls.states import State
from jobs.calls.tasks import calls

PHONE = "+4930123456"


def small_app() -> workrow.App:
    """Only this domain: the schedules of the others would run for minutes, too."""
    app = workrow.App(database_url, sessions=database.session).include(calls, recordings)
    app.provide(Provider, http_provider.connect)
    return app


async def order(phone: str = PHONE, zone: str = "Europe/Berlin", **more: Any) -> int:
    async with database.session() as session, session.begin():
        return (await orders.schedule(session, phone=phone, time_zone=zone, **more)).call.id


async def read(call_id: int) -> Call:
    async with database.session() as session:
        return await service.find(session, call_id)


async def causes(call_id: int) -> list[tuple[str, str]]:
    """Its transitions: to which state, and why."""
    async with database.session() as session:
        found = select(CallChange).where(CallChange.call_id == call_id).order_by(CallChange.version)
        changes = (await session.scalars(found)).all()
    states = ["scheduled", *(change.to_state for change in changes)]
    assert [change.from_state for change in changes] == states[:-1]
    assert [change.version for change in changes] == list(range(2, len(changes) + 2))
    return [(change.to_state, change.cause) for change in changes]


async def report(call_id: int, status: str, cause: str = "said") -> service.Move:
    async with database.session() as session, session.begin():
        return await service.apply(session, call_id, Report(status=State(status)), cause=cause)
