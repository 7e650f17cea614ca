"""Unsubscribing, preferences, notifications, messages to everybody, and what became of e-mails."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select, text

from jobs.api.requests import Form, PathId, Transaction, problems, public
from jobs.emails import bulks, notifications
from jobs.emails.models import EmailDelivery, EmailFailure, EmailSuppression
from jobs.emails.service import UnknownUser
from jobs.users import service as users

routes = APIRouter(tags=["emails"])
REFUSALS: dict[type[Exception], int] = {UnknownUser: 404, bulks.NoSuchBulk: 404}
Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")]
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]
REASON = ("reason", "words", "since")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>E-mails</title>
<body style="font: 16px/1.5 sans-serif; max-width: 32rem; margin: 3rem auto">{body}</body></html>"""
ASK = '<form method="post"><p>Get no more e-mails from us?</p><button>Get no more</button></form>'
DONE = "<p>You get no more e-mails from us.</p>"


class Preferences(BaseModel):
    """Whether the user is mailed; if not, since when and why."""

    mailed: bool
    reason: Literal["unsubscribed", "bounced"] | None = None
    words: str | None = None
    since: datetime | None = None


class PreferencesForm(Form):
    """``mailed``: false unsubscribes; true lifts that, and says of an address that bounced that it works again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"mailed": False}]})

    mailed: bool


class NotificationForm(Form):
    """What to tell the user in the next digest."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Grace answered you"}]})

    text: Text


class Enqueued(BaseModel):
    """The job that will do it."""

    job_id: int = Field(description="see /jobs/{id}")


class BulkForm(Form):
    """What to tell everybody."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"subject": "We move", "text": "From Monday on …"}]})

    subject: Line
    text: Text


class BulkView(BaseModel):
    """A message to everybody. ``size`` and ``done`` count its jobs; ``sent`` and ``unsent`` are there at its end."""

    id: int
    workflow_id: int
    state: str
    size: int
    done: int
    progress: float
    sent: int | None
    unsent: int | None


class Send(BaseModel):
    """An e-mail that was sent, or why not."""

    at: datetime
    cause: str
    kind: str
    verdict: str
    words: str | None
    job_id: int | None


@routes.get("/unsubscribe/{token}", responses=problems(400), response_class=HTMLResponse)
@public
async def ask_unsubscribe(token: str, session: Transaction) -> HTMLResponse:
    """Where the link in e-mails leads: a page that asks. Programs that look into mails follow links, too."""
    await users.check_unsubscribe(session, token)
    return HTMLResponse(PAGE.format(body=ASK))


@routes.post("/unsubscribe/{token}", responses=problems(400), response_class=HTMLResponse)
@public
async def unsubscribe(token: str, session: Transaction) -> HTMLResponse:
    """Never mail this user again: that page's button, and the one click of RFC 8058."""
    await users.unsubscribe(session, token)
    return HTMLResponse(PAGE.format(body=DONE))


@routes.get("/users/{id}/preferences", responses=problems(404))
async def read_preferences(id: PathId, session: Transaction) -> Preferences:
    """Whether the user is mailed."""
    return _preferences(await users.suppression(session, id))


@routes.put("/users/{id}/preferences", responses=problems(404))
async def change_preferences(id: PathId, form: PreferencesForm, session: Transaction) -> Preferences:
    """Mail the user, or do not."""
    await users.choose(session, id, mailed=form.mailed)
    return _preferences(await users.suppression(session, id))


def _preferences(found: EmailSuppression | None) -> Preferences:
    if found is None:
        return Preferences(mailed=True)
    return Preferences.model_validate(
        {"mailed": False, "reason": found.reason, "words": found.words, "since": found.since}
    )


@routes.post("/users/{id}/notifications", status_code=202, responses=problems(404))
async def notify(id: PathId, form: NotificationForm, session: Transaction) -> Enqueued:
    """Tell the user, together with what else comes within the next minutes."""
    return Enqueued(job_id=(await notifications.notify(session, id, form.text)).id)


@routes.post("/emails/bulk", status_code=202)
async def tell_everybody(form: BulkForm, session: Transaction) -> BulkView:
    """Send a message to all active users who may be mailed."""
    bulk = await notifications.tell_everybody(session, form.subject, form.text)
    return await read_bulk(bulk.id, session)


@routes.get("/emails/bulk/{id}", responses=problems(404))
async def read_bulk(id: PathId, session: Transaction) -> BulkView:
    """How far a message to everybody has come."""
    bulk = await bulks.find(session, id)
    query = text("SELECT state, size, done, progress FROM workrow.workflows WHERE id = :id")
    row = (await session.execute(query, {"id": bulk.workflow_id})).one_or_none()
    progress = row._asdict() if row else {"state": "forgotten", "size": 0, "done": 0, "progress": 1.0}
    counts = {"sent": bulk.sent, "unsent": bulk.unsent}
    return BulkView.model_validate({"id": bulk.id, "workflow_id": bulk.workflow_id} | progress | counts)


@routes.get("/emails/sends")
async def sends(
    address: Annotated[str, AfterValidator(users.normalised_email)],
    session: Transaction,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[Send]:
    """The latest e-mails to an address, with what became of each attempt."""
    sent = select(EmailDelivery).where(EmailDelivery.recipient == address)
    failed = select(EmailFailure).where(EmailFailure.recipient == address)
    found = [_sent(each) for each in await session.scalars(sent.order_by(EmailDelivery.sent_at.desc()).limit(limit))]
    newest_failed = failed.order_by(EmailFailure.failed_at.desc()).limit(limit)
    found += [_failed(each) for each in await session.scalars(newest_failed)]
    return sorted(found, key=lambda each: each.at, reverse=True)[:limit]


def _sent(row: EmailDelivery) -> Send:
    return Send(at=row.sent_at, cause=row.cause, kind=row.kind, verdict="sent", words=None, job_id=row.job_id)


def _failed(row: EmailFailure) -> Send:
    return Send(
        at=row.failed_at, cause=row.cause, kind=row.kind, verdict=row.verdict, words=row.words, job_id=row.job_id
    )
