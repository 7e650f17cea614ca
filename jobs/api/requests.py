"""What the routes of all domains share: a transaction for each request, who may call, and the words of a refusal."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import database


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
