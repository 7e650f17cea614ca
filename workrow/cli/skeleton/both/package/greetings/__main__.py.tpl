"""`python -m $package.greetings NAME`: what a request handler would do."""

import asyncio
import sys

from $package import database
from $package.greetings import service, tasks


async def main(name: str) -> None:
    """The greeting and its job: both are there after this, or none of them is."""
    async with database.session() as session, session.begin():
        greeting = await service.ask(session, name)
        job = await tasks.greet.enqueue(session, greeting_id=greeting.id)
    print(f"greeting {greeting.id}, job {job.id}")
    await database.engine().dispose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
