"""How jobs are doing, and whether the service can work."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Response
from fastapi.responses import StreamingResponse

from jobs.api import events
from jobs.api.requests import PathId, Transaction, problems, public
from jobs.api.views import JobView
from workrow import schema

routes = APIRouter(tags=["jobs"])
REFUSALS: dict[type[Exception], int] = {events.TooManyListeners: 503}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    204: {"description": "the job's end was told on the stream before: do not connect again"},
    **problems(404, 503),
}


@routes.get("/jobs/{id}", responses=problems(404))
async def job(id: PathId) -> JobView:
    """How a job is doing."""
    view = (await events.read([id])).get(id)
    if view is None:
        raise HTTPException(404, f"there is no job {id}")
    return view


@routes.get("/jobs/{id}/events", responses=STREAM, response_class=StreamingResponse)
async def job_events(id: PathId, last_event_id: Annotated[str | None, Header()] = None) -> Response:
    """How a job is doing, told as it changes: server-sent events ``job``, and ``end`` or ``gone`` at last."""
    if last_event_id == events.LAST:
        return Response(status_code=204)  # what keeps a browser from connecting again
    first = await job(id)
    events.WATCH.make_room()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events.stream(first), media_type="text/event-stream", headers=headers)


@routes.get("/healthz", responses=problems(503))
@public
async def healthz(session: Transaction) -> dict[str, str | int]:
    """Whether the database answers and has the schema that this service works with."""
    connection = await session.connection()
    await connection.run_sync(schema.check)
    return {"database": "ok", "schema": (await connection.run_sync(schema.status)).installed}
