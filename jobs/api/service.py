"""The service: every domain's routes, and what a client is told when something fails."""

import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy import exc
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import workrow
from jobs import database
from jobs.api import (
    access,
    analytics,
    audit,
    cache,
    calls,
    campaigns,
    chats,
    emails,
    events,
    jobs,
    leads,
    users,
    webhooks,
)
from jobs.bootstrap import create_app
from workrow.errors import SchemaError, WorkrowError

logger = logging.getLogger(__name__)


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
        await events.WATCH.close()
    await database.engine().dispose()


api = FastAPI(title="workrow", version=workrow.__version__, lifespan=lifespan)
api.add_middleware(Startup)


def answer(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    """An answer with the error's own words."""

    async def handle(_: Request, error: Exception) -> Response:
        words = str(error).encode(errors="replace").decode()  # they may quote half a character, which no JSON can carry
        return JSONResponse({"detail": words}, status)

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
DOMAINS = (analytics, audit, cache, calls, campaigns, chats, emails, jobs, leads, users, webhooks)
ROUTERS = [domain.routes for domain in DOMAINS]
for domain in DOMAINS:
    api.include_router(domain.routes, dependencies=[Depends(access.allowed)])
    for refusal, status in domain.REFUSALS.items():
        api.add_exception_handler(refusal, answer(status))
api.openapi = partial(access.describe, api, ROUTERS)  # type: ignore[method-assign]
api.add_exception_handler(SchemaError, answer(503))
api.add_exception_handler(ClientDisconnect, answer(400))  # nobody reads it, and it is no error of ours
for away in (exc.OperationalError, exc.InterfaceError, exc.TimeoutError):
    api.add_exception_handler(away, database_is_down)
