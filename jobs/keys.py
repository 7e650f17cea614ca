"""Keys of the service: ``python -m jobs.keys create NAME`` prints one, once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import database
from jobs.access import service
from jobs.api.access import scopes as known_scopes
from jobs.api.service import ROUTERS
from workrow.errors import WorkrowError

T = TypeVar("T")


@click.group()
def main() -> None:
    """Who may call the service."""


@main.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, help="What it may do, such as leads:read; several times; else all.")
def create(name: str, scopes: tuple[str, ...]) -> None:
    """Make a key and print it: it is not kept, and cannot be printed again."""
    known = known_scopes(ROUTERS)
    for scope in scopes:
        if scope not in known:
            raise click.BadParameter(f"{scope!r} is no scope. Known are {', '.join(sorted(known))}.")
    click.echo(_run(lambda session: service.create(session, name, scopes or (service.EVERYTHING,))))


@main.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Let nobody in any more with this key."""
    _run(lambda session: service.revoke(session, name))
    click.echo(f"{name} is revoked")


@main.command("list")
def list_keys() -> None:
    """Show all keys, without their secrets."""
    for key in _run(service.keys):
        used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else used
        click.echo(f"{key.name}  wrk_{key.prefix}_…  {', '.join(key.scopes)}  {state}")


def _run(work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    async def run() -> T:
        try:
            async with database.session() as session, session.begin():
                return await work(session)
        finally:
            await database.engine().dispose()

    try:
        return asyncio.run(run())
    except (service.BadName, WorkrowError) as error:
        raise click.ClickException(str(error)) from error
    except exc.DBAPIError as error:
        raise click.ClickException(f"the database says: {' '.join(str(error.orig).split())}") from error


if __name__ == "__main__":
    main(prog_name="python -m jobs.keys")
