"""Register, verify an address, ask for a new password."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel

from jobs.api.requests import Form, PathId, Transaction, View, problems, public
from jobs.users import links
from jobs.users import service as users

routes = APIRouter(tags=["users"])
REFUSALS: dict[type[Exception], int] = {users.EmailTaken: 409, links.BadLink: 400, links.ExpiredLink: 410}
"""The answer to each error of the domain."""


class RegistrationForm(Form):
    """Who registers. ``validate_only``: do everything, then roll it back."""

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


class PasswordResetForm(Form):
    """Whose password is to be reset."""

    email: Annotated[str, AfterValidator(users.normalised_email)]


class Accepted(BaseModel):
    """The same words whether the address is known or not."""

    detail: str = "if the address is registered, an e-mail is on its way"


class LinkOf(View):
    """The user whom a link in an e-mail was made for."""

    id: int
    email: str
    verified_at: datetime | None


@routes.post("/register", status_code=201, responses={200: {"model": Valid}, **problems(409)})
@public
async def register(form: RegistrationForm, session: Transaction, response: Response) -> Registered | Valid:
    """Add a user; two e-mails go out if, and only if, this commits."""
    registration = await users.register(session, name=form.name, email=form.email)
    if form.validate_only:
        await session.rollback()
        response.status_code = 200
        return Valid()
    jobs = RegistrationJobs(welcome=registration.welcome.id, verification=registration.verification.id)
    return Registered(id=registration.user.id, jobs=jobs)


@routes.get("/verify/{token}", responses=problems(400, 410))
@public
async def verify(token: str, session: Transaction) -> LinkOf:
    """Where the link in the verification e-mail leads: the address is confirmed."""
    return LinkOf.model_validate(await users.verify(session, token))


@routes.post("/password-reset", status_code=202)
@public
async def request_password_reset(form: PasswordResetForm, session: Transaction) -> Accepted:
    """Send a link to the user, if there is one; the answer does not tell."""
    await users.request_password_reset(session, form.email)
    return Accepted()


@routes.get("/password-reset/{token}", responses=problems(400, 410))
@public
async def check_password_reset(token: str, session: Transaction) -> LinkOf:
    """Where the link in that e-mail leads: it is valid. An application with passwords would ask for a new one here."""
    return LinkOf.model_validate(await users.check_password_reset(session, token))


@routes.post("/users/{id}/seen", status_code=204, responses=problems(404))
async def seen(id: PathId, session: Transaction) -> None:
    """Note that the user is here now."""
    await users.seen(session, id)


@routes.get("/users/{id}/metrics", responses=problems(404))
async def metrics(id: PathId, session: Transaction) -> users.UserMetrics:
    """The figures of one user."""
    return await users.measure(session, id)
