"""Leads: files are uploaded and watched, leads are found, changed, tagged and scored anew."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, BaseModel, Field

from jobs.api.requests import LARGEST, Form, PathId, Transaction, View, problems
from jobs.leads import imports, phones, service, tasks, uploads, values
from jobs.leads.files import ENCODINGS, UnusableFile
from jobs.leads.models import LeadImport
from jobs.settings import get_settings

routes = APIRouter(tags=["leads"])
REFUSALS: dict[type[Exception], int] = {
    uploads.FileTooLarge: 413,
    UnusableFile: 422,
    imports.UnknownImport: 404,
    service.UnknownLead: 404,
    service.AddressTaken: 409,
    service.Unreachable: 422,
    values.BadValue: 422,
    phones.BadPhone: 422,
}
"""The answer to each error of the domain."""
After = Annotated[int, Query(ge=0, le=LARGEST, description="the id that the answer begins after")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Status = Literal["new", "qualified", "unqualified", "contacted", "won", "lost"]


def cleaned(read: Callable[[str], str]) -> AfterValidator:
    """Read what is given; nothing in it is null."""
    return AfterValidator(lambda text: (text and read(text)) or None)


Text = Annotated[str | None, cleaned(values.text_of)]
CSV: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file as it is: commas, semicolons, tabs or bars; UTF-8, UTF-16 or Windows-1252.",
        "content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class ImportView(BaseModel):
    """A file and how far its import has come. ``rows`` are those that are done: imported + merged + refused."""

    id: int
    name: str
    state: str
    encoding: str
    delimiter: str
    columns: dict[str, str]
    ignored_columns: list[str]
    size: int
    position: int
    rows: int
    imported: int
    merged: int
    refused: int
    errors: int
    job_id: int | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, found: LeadImport) -> "ImportView":
        """The view of an import."""
        layout = found.layout
        plain = {name: getattr(found, name) for name in cls.model_fields.keys() & LeadImport.__table__.columns.keys()}
        return cls(
            **plain,
            encoding=ENCODINGS[layout["encoding"]],
            delimiter=layout["delimiter"],
            columns={field: layout["header"][index] for field, index in layout["fields"].items()},
            ignored_columns=layout["ignored"],
            rows=found.imported + found.merged + found.refused,
        )


class RowError(View):
    """What is wrong with a row of a file (1 is the header's), and what would be right."""

    number: int
    row: int
    column: str | None
    value: str
    problem: str
    fix: str


class LeadView(View):
    """A lead, with its score and the rules that made it."""

    id: int
    email: str | None
    phone: str | None
    name: str | None
    company: str | None
    country: str | None
    time_zone: str | None
    source: str | None
    status: str
    score: int
    reasons: list[dict[str, Any]]
    rules_version: int
    tags: list[str]
    import_id: int | None
    created_at: datetime
    updated_at: datetime


class LeadChange(Form):
    """What is to be another way; what is not named stays, and null takes a value away."""

    email: Annotated[str | None, cleaned(values.email_of)] = None
    phone: Text = Field(None, description="with a country's code, or as dialled in the lead's country")
    name: Text = None
    company: Text = None
    country: Annotated[str | None, cleaned(values.country_of)] = None
    time_zone: Annotated[str | None, cleaned(values.time_zone_named)] = None
    source: Text = None
    status: Status = "new"


class TagChange(Form):
    """Tags to add and to remove."""

    add: list[str] = Field([])
    remove: list[str] = Field([])


class Rescoring(BaseModel):
    """The job that scores leads anew: /jobs/{job_id} shows how it does."""

    job_id: int


@routes.post(
    "/leads/imports",
    status_code=202,
    openapi_extra=CSV,
    responses={200: {"model": ImportView}, **problems(413, 422)},
)
async def upload(
    request: Request,
    session: Transaction,
    response: Response,
    name: Annotated[str, Query(max_length=200), AfterValidator(values.text_of)] = "leads.csv",
    source: Annotated[str | None, Query(max_length=200), cleaned(values.text_of)] = None,
) -> ImportView:
    """Take a file and enqueue its import. 202: it is new; 200: it was sent before, and is the import that it was."""
    with uploads.Upload(get_settings().lead_import_max_bytes) as file:
        async for data in request.stream():
            file.write(data)
        started, new = await imports.start(session, file, tasks.import_file.enqueue, name=name, source=source)
    response.status_code = 202 if new else 200
    response.headers["Location"] = f"/leads/imports/{started.id}"
    return ImportView.of(started)


@routes.get("/leads/imports")
async def latest_imports(session: Transaction, limit: Limit = 50) -> list[ImportView]:
    """The newest imports."""
    return [ImportView.of(each) for each in await imports.latest(session, limit)]


@routes.get("/leads/imports/{id}", responses=problems(404))
async def show_import(id: PathId, session: Transaction) -> ImportView:
    """How an import is doing."""
    return ImportView.of(await imports.get(session, id))


@routes.get("/leads/imports/{id}/errors", responses=problems(404))
async def import_errors(id: PathId, session: Transaction, after: After = 0, limit: Limit = 100) -> list[RowError]:
    """What was wrong with its rows: the first 1,000 are kept, as long as the file is; ``errors`` counts all."""
    await imports.get(session, id)
    return [RowError.model_validate(each) for each in await imports.errors(session, id, after=after, limit=limit)]


@routes.get("/leads")
async def leads(
    session: Transaction,
    after: After = 0,
    limit: Limit = 100,
    status: Status | None = None,
    tag: Annotated[str | None, Query(max_length=50), cleaned(values.text_of)] = None,
    min_score: Annotated[int | None, Query(ge=-1000, le=1000)] = None,
) -> list[LeadView]:
    """Leads in the order of their ids; the next page begins after the last one's."""
    found = await service.page(session, after=after, limit=limit, status=status, tag=tag, min_score=min_score)
    return [LeadView.model_validate(each) for each in found]


@routes.get("/leads/{id}", responses=problems(404))
async def show(id: PathId, session: Transaction) -> LeadView:
    """A lead."""
    return LeadView.model_validate(await service.get(session, id))


@routes.patch("/leads/{id}", responses=problems(404, 409))
async def change(id: PathId, form: LeadChange, session: Transaction) -> LeadView:
    """Change a lead; its score follows."""
    return LeadView.model_validate(await service.change(session, id, form.model_dump(exclude_unset=True)))


@routes.post("/leads/{id}/tags", responses=problems(404))
async def tag(id: PathId, form: TagChange, session: Transaction) -> LeadView:
    """Add and remove tags."""
    return LeadView.model_validate(await service.tag(session, id, add=form.add, remove=form.remove))


@routes.post("/leads/rescore", status_code=202)
async def rescore(session: Transaction) -> Rescoring:
    """Score all leads that were scored by earlier rules. Asked twice while it waits or runs, it is one job."""
    return Rescoring(job_id=(await tasks.rescore.enqueue(session)).id)
