"""The application's own tables: their metadata, and sessions to work with them."""

from functools import cache

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from $package.settings import database_url


class Base(DeclarativeBase):
    """What every model derives from."""

    # without names of their own, alembic could not drop or change constraints
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


@cache
def engine() -> AsyncEngine:
    """The engine of this process, made at the first call."""
    url = database_url()
    return create_async_engine(
        "postgresql+psycopg" + url[url.index("://") :],
        pool_pre_ping=True,
        # behind PgBouncer others have prepared statements of the same names
        connect_args={"prepare_threshold": None},
    )


def session() -> AsyncSession:
    """A new session: `async with session() as s, s.begin(): …` is one transaction."""
    return AsyncSession(engine(), expire_on_commit=False)
