"""The HTTP service: ``uvicorn jobs.api:api``.

A handler works in one transaction, and the jobs that it enqueues are part of it: they exist exactly if it commits.
"""

import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import workrow
from jobs import database
from jobs.bootstrap import create_app
from jobs.users import links
from jobs.users import service as users
from workrow import schema
from workrow.errors import SchemaError, WorkrowError

logger = logging.getLogger(__name__)


async def transaction() -> AsyncIterator[AsyncSession]:
    """The transaction of one request: committed when the handler returns, rolled back when it raises."""
    async with database.session() as session, session.begin():
        yield session


class Problem(BaseModel):
    """What is wrong."""

    detail: str


# scope="function" commits before the answer is sent; by default FastAPI would do so after it, and a client could be
# told of a user whom a failing commit had taken back
Transaction = Annotated[AsyncSession, Depends(transaction, scope="function")]
BAD_LINK: dict[int | str, dict[str, Any]] = {400: {"model": Problem}, 410: {"model": Problem}}
JobId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class RegistrationForm(BaseModel):
    """Who registers. ``validate_only``: do everything, then roll it back."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, AfterValidator(users.normalised_name)]
    email: Annotated[str, AfterValidator(users.normalised_email)]
    validate_only: bool = False


class RegistrationJobs(BaseModel):
    """The ids of the jobs that send the e-mails."""

    welcome: int
    verification: int


class Registered(BaseModel):
    """The new user."""

    id: int
    jobs: RegistrationJobs


class Valid(BaseModel):
    """The registration would have worked."""

    valid: bool = True


class PasswordResetForm(BaseModel):
    """Whose password is to be reset."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, AfterValidator(users.normalised_email)]


class Accepted(BaseModel):
    """The same words whether the address is known or not."""

    detail: str = "if the address is registered, an e-mail is on its way"


class LinkOf(BaseModel):
    """The user whom a link in an e-mail was made for."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    verified_at: datetime | None


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


class Startup:
    """Says in one line why the service cannot start, where Starlette would print a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def shorten(message: Message) -> None:
            error = sys.exc_info()[1]  # Starlette reports from its except clause
            if message["type"] == "lifespan.startup.failed" and isinstance(error, WorkrowError):
                message = {**message, "message": str(error)}
            await send(message)

        await self.app(scope, receive, shorten if scope["type"] == "lifespan" else send)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Starts only with right settings and a migrated database.

    Raises:
        WorkrowError: what is wrong.
    """
    app = create_app()
    async with app.open_async():
        await app.check_connection_async()
        yield
    await database.engine().dispose()


api = FastAPI(title="workrow", version=workrow.__version__, lifespan=lifespan)
api.add_middleware(Startup)


def answer(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    """An answer with the error's own words."""

    async def handle(_: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, status)

    return handle


async def database_is_down(request: Request, error: Exception) -> Response:
    """The answer while the database is away. What it said is for the log, not for the client."""
    reason = getattr(error, "orig", None) or error  # the driver's words, without SQLAlchemy's copy of the statement
    logger.error("%s %s: the database failed: %s", request.method, request.url.path, " ".join(str(reason).split()))
    return JSONResponse({"detail": "the database does not answer; try again"}, 503, headers={"Retry-After": "5"})


async def invalid(_: Request, error: Exception) -> Response:
    """FastAPI's answer without the echo of the input, which may be half a character that no JSON can carry."""
    assert isinstance(error, RequestValidationError)
    return JSONResponse(
        {"detail": [{key: each[key] for key in ("loc", "msg", "type")} for each in error.errors()]}, 422
    )


api.add_exception_handler(RequestValidationError, invalid)
api.add_exception_handler(users.EmailTaken, answer(409))
api.add_exception_handler(links.BadLink, answer(400))
api.add_exception_handler(links.ExpiredLink, answer(410))
api.add_exception_handler(SchemaError, answer(503))
for away in (exc.OperationalError, exc.InterfaceError, exc.TimeoutError):
    api.add_exception_handler(away, database_is_down)


@api.post("/register", status_code=201, responses={200: {"model": Valid}, 409: {"model": Problem}})
async def register(form: RegistrationForm, session: Transaction, response: Response) -> Registered | Valid:
    """Add a user; two e-mails go out if, and only if, this commits."""
    registration = await users.register(session, name=form.name, email=form.email)
    if form.validate_only:
        await session.rollback()
        response.status_code = 200
        return Valid()
    jobs = RegistrationJobs(welcome=registration.welcome.id, verification=registration.verification.id)
    return Registered(id=registration.user.id, jobs=jobs)


@api.get("/verify/{token}", responses=BAD_LINK)
async def verify(token: str, session: Transaction) -> LinkOf:
    """Where the link in the verification e-mail leads: the address is confirmed."""
    return LinkOf.model_validate(await users.verify(session, token))


@api.post("/password-reset", status_code=202)
async def request_password_reset(form: PasswordResetForm, session: Transaction) -> Accepted:
    """Send a link to the user, if there is one; the answer does not tell."""
    await users.request_password_reset(session, form.email)
    return Accepted()


@api.get("/password-reset/{token}", responses=BAD_LINK)
async def check_password_reset(token: str, session: Transaction) -> LinkOf:
    """Where the link in that e-mail leads: it is valid. An application with passwords would ask for a new one here."""
    return LinkOf.model_validate(await users.check_password_reset(session, token))


@api.get("/jobs/{id}", responses={404: {"model": Problem}})
async def job(id: JobId, session: Transaction) -> JobView:
    """How a job is doing."""
    columns = ", ".join(JobView.model_fields)
    row = (await session.execute(text(f"SELECT {columns} FROM workrow.jobs WHERE id = :id"), {"id": id})).one_or_none()
    if row is None:
        raise HTTPException(404, f"there is no job {id}")
    return JobView.model_validate(row)


@api.get("/healthz", responses={503: {"model": Problem}})
async def healthz(session: Transaction) -> dict[str, str | int]:
    """Whether the database answers and has the schema that this service works with."""
    connection = await session.connection()
    await connection.run_sync(schema.check)
    return {"database": "ok", "schema": (await connection.run_sync(schema.status)).installed}
