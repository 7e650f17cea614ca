"""What the routes of all domains share: a transaction for each request, who may call, ids, pages and refusals."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import database

Row = TypeVar("Row", bound=Any)
LARGEST = 2**63 - 1
"""The largest id that PostgreSQL knows."""
Id = Annotated[int, Field(ge=1, le=LARGEST)]
PathId = Annotated[int, Path(ge=1, le=LARGEST)]
QueryId = Annotated[int, Query(ge=1, le=LARGEST)]


async def transaction() -> AsyncIterator[AsyncSession]:
    """The transaction of one request: committed when the handler returns, rolled back when it raises."""
    async with database.session() as session, session.begin():
        yield session


class Form(BaseModel):
    """What a client sends: a name that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class View(BaseModel):
    """What a client is shown of a row, or of anything with attributes."""

    model_config = ConfigDict(from_attributes=True)


class Problem(BaseModel):
    """What is wrong."""

    detail: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer so, with a `Problem`."""
    return {status: {"model": Problem} for status in statuses}


def page_of(found: Sequence[Row], limit: int) -> tuple[Sequence[Row], int | None]:
    """The page out of what may be one row more than it has, and the id of its last one; None: there is no more."""
    return found[:limit], found[limit - 1].id if len(found) > limit else None


# scope="function" commits before the answer is sent; by default FastAPI would do so after it, and a client could be
# told of a user whom a failing commit had taken back
Transaction = Annotated[AsyncSession, Depends(transaction, scope="function")]


def actor(request: Request) -> str:
    """Who calls, for the log of events: ``key:crm``; ``api`` where no key is needed."""
    return getattr(request.state, "actor", "api")


Actor = Annotated[str, Depends(actor)]

Handler = TypeVar("Handler", bound=Callable[..., Any])


def public(handler: Handler) -> Handler:
    """Below ``@routes…``: this route needs no key."""
    handler.__dict__["public"] = True
    return handler


def is_public(handler: Callable[..., Any]) -> bool:
    """Whether it said so."""
    return bool(handler.__dict__.get("public"))
