"""How jobs are doing, and whether the service can work."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Path, Response
from fastapi.responses import StreamingResponse

from jobs.api import events
from jobs.api.requests import Problem, Transaction, public
from jobs.api.views import JobView
from workrow import schema

routes = APIRouter(tags=["jobs"])
REFUSALS: dict[type[Exception], int] = {events.TooManyListeners: 503}
JobId = Annotated[int, Path(ge=1, le=2**63 - 1)]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    204: {"description": "the job's end was told on the stream before: do not connect again"},
    404: {"model": Problem},
    503: {"model": Problem},
}


@routes.get("/jobs/{id}", responses={404: {"model": Problem}})
async def job(id: JobId) -> JobView:
    """How a job is doing."""
    view = (await events.read([id])).get(id)
    if view is None:
        raise HTTPException(404, f"there is no job {id}")
    return view


@routes.get("/jobs/{id}/events", responses=STREAM, response_class=StreamingResponse)
async def job_events(id: JobId, last_event_id: Annotated[str | None, Header()] = None) -> Response:
    """How a job is doing, told as it changes: server-sent events ``job``, and ``end`` or ``gone`` at last."""
    if last_event_id == events.LAST:
        return Response(status_code=204)  # what keeps a browser from connecting again
    first = await job(id)
    events.WATCH.make_room()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events.stream(first), media_type="text/event-stream", headers=headers)


@routes.get("/healthz", responses={503: {"model": Problem}})
@public
async def healthz(session: Transaction) -> dict[str, str | int]:
    """Whether the database answers and has the schema that this service works with."""
    connection = await session.connection()
    await connection.run_sync(schema.check)
    return {"database": "ok", "schema": (await connection.run_sync(schema.status)).installed}
