"""What the tests of e-mails share: a user, and something to tell them."""

from jobs import database
from jobs.emails import notifications
from jobs.users.models import User


async def a_user(email: str = "ada@example.com") -> int:
    async with database.session() as session, session.begin():
        user = User(name="Ada", email=email)
        session.add(user)
    return user.id


async def notify(user_id: int, *texts: str) -> None:
    for text in texts:
        async with database.session() as session, session.begin():
            await notifications.notify(session, user_id, text)
