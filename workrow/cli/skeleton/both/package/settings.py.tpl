"""What the environment says: the only place that reads it."""

from functools import cache
from pathlib import Path

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """A field is a variable: `database_url` is DATABASE_URL."""

    database_url: str | None = None


@cache
def database_url() -> str:
    """Where the data and the jobs are; without DATABASE_URL, a PostgreSQL of this project's own, under .workrow/."""
    if url := Settings().database_url:
        return url
    from workrow import embedded  # pip install 'workrow[embedded]'

    return embedded.ensure(Path(__file__).parent.parent / ".workrow")
