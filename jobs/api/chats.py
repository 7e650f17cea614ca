"""Chats, their messages and drafts."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from jobs.api.requests import LARGEST, Form, Id, PathId, QueryId, Transaction, problems
from jobs.chats import lookup, writing
from jobs.chats.lookup import ChatValue, DraftValue, MessageValue

routes = APIRouter(tags=["chats"])
REFUSALS: dict[type[Exception], int] = {
    lookup.UnknownChat: 404,
    lookup.NoDraft: 404,
    writing.UnknownUser: 404,
    writing.UnknownMessage: 404,
    writing.OtherMessage: 409,
    writing.OutdatedDraft: 409,
}


class ChatForm(Form):
    """Whose chat, and what it is about."""

    model_config = ConfigDict(json_schema_extra={"example": {"user_id": 1, "title": "Where is my parcel?"}})

    user_id: Id
    title: Annotated[str, AfterValidator(writing.checked_title)]


class MessageForm(Form):
    """Who says what. ``client_id`` is the client's own id of the message: posting it again makes no second one."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"client_id": "6f1c1c2e-8a55-4a8e-9d2b-0d3c5c1d7b11", "sender_id": 1, "text": "Hello?"}
        },
    )

    client_id: uuid.UUID
    sender_id: Id
    text: Annotated[str, AfterValidator(writing.checked_message)]


class DraftForm(Form):
    """What somebody has typed. Each change has a higher ``version``."""

    model_config = ConfigDict(json_schema_extra={"example": {"version": 3, "text": "Hello, is an"}})

    version: Annotated[int, Field(ge=0, le=LARGEST)]
    text: Annotated[str, AfterValidator(writing.checked_draft)]


class MessagePage(BaseModel):
    """Messages, newest first. ``before`` is the parameter of the next page; null: this was the last one."""

    messages: list[MessageValue]
    before: int | None


@routes.post("/chats", status_code=201, responses=problems(404))
async def create_chat(form: ChatForm, session: Transaction) -> ChatValue:
    """Open a chat."""
    return ChatValue.model_validate(await writing.create_chat(session, user_id=form.user_id, title=form.title))


@routes.get("/chats")
async def recent_chats(user_id: QueryId, session: Transaction) -> list[ChatValue]:
    """A user's chats, that with the newest message first."""
    return await lookup.recent_chats(session, user_id)


@routes.delete("/chats/{chat_id}", status_code=204, responses=problems(404))
async def delete_chat(chat_id: PathId, session: Transaction) -> None:
    """Delete a chat with all that is in it."""
    await writing.delete_chat(session, chat_id)


@routes.post(
    "/chats/{chat_id}/messages", status_code=201, responses={200: {"model": MessageValue}, **problems(404, 409)}
)
async def post_message(chat_id: PathId, form: MessageForm, session: Transaction, response: Response) -> MessageValue:
    """Say something: 201, or 200 if this message was posted before."""
    posted = await writing.post_message(
        session, chat_id, client_id=form.client_id, sender_id=form.sender_id, text=form.text
    )
    if not posted.new:
        response.status_code = 200
    return posted.message


@routes.get("/chats/{chat_id}/messages", responses=problems(404))
async def list_messages(
    chat_id: PathId,
    session: Transaction,
    before: QueryId | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> MessagePage:
    """What was said, newest first."""
    found = await lookup.messages(session, chat_id, before=before, limit=limit)
    return MessagePage(messages=found, before=found[-1].id if len(found) == limit else None)


@routes.delete("/chats/{chat_id}/messages/{message_id}", status_code=204, responses=problems(404))
async def delete_message(chat_id: PathId, message_id: PathId, session: Transaction) -> None:
    """Delete a message."""
    await writing.delete_message(session, chat_id, message_id)


@routes.put("/chats/{chat_id}/drafts/{user_id}", responses=problems(404, 409))
async def put_draft(chat_id: PathId, user_id: PathId, form: DraftForm, session: Transaction) -> DraftValue:
    """Keep what a user has typed. An older version than the stored one is refused with 409."""
    return await writing.put_draft(session, chat_id, user_id, version=form.version, text=form.text)


@routes.get("/chats/{chat_id}/drafts/{user_id}", responses=problems(404))
async def get_draft(chat_id: PathId, user_id: PathId, session: Transaction) -> DraftValue:
    """What a user has typed and not posted."""
    return await lookup.draft(session, chat_id, user_id)
