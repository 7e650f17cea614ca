"""The tables of the application: what the models say is what the revisions make."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import workrow.schema
from jobs.bootstrap import create_app
from jobs.database import Base


@pytest.fixture
def connection(migrated_database_url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: workrow.schema.connect(migrated_database_url))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_autogenerate_finds_no_difference(connection: sa.Connection) -> None:
    create_app()  # imports every domain
    options = {
        "include_object": workrow.schema.include_object,
        "compare_type": True,
        "compare_server_default": True,
    }
    assert len(Base.metadata.tables) > 2
    assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []
