"""How jobs are doing, and whether the service can work."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from jobs.api.requests import Problem, Transaction
from workrow import schema

routes = APIRouter(tags=["jobs"])
REFUSALS: dict[type[Exception], int] = {}
JobId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class JobView(BaseModel):
    """A job as the view ``workrow.jobs`` shows it. ``error`` is that of the latest attempt that failed."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    task: str
    queue: str
    status: str
    attempts: int
    result: Any
    error: str | None
    error_type: str | None
    discarded: bool | None
    created_at: datetime | None
    scheduled_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


@routes.get("/jobs/{id}", responses={404: {"model": Problem}})
async def job(id: JobId, session: Transaction) -> JobView:
    """How a job is doing."""
    columns = ", ".join(JobView.model_fields)
    row = (await session.execute(text(f"SELECT {columns} FROM workrow.jobs WHERE id = :id"), {"id": id})).one_or_none()
    if row is None:
        raise HTTPException(404, f"there is no job {id}")
    return JobView.model_validate(row)


@routes.get("/healthz", responses={503: {"model": Problem}})
async def healthz(session: Transaction) -> dict[str, str | int]:
    """Whether the database answers and has the schema that this service works with."""
    connection = await session.connection()
    await connection.run_sync(schema.check)
    return {"database": "ok", "schema": (await connection.run_sync(schema.status)).installed}
