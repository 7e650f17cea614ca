"""How alembic reaches the database."""

from logging.config import fileConfig

import sqlalchemy as sa
import workrow.schema
from alembic import context

import $package.greetings.models  # noqa: F401 - each import adds a domain's tables to the metadata
from $package.database import Base
from $package.settings import database_url

options = {
    "target_metadata": Base.metadata,
    "include_object": workrow.schema.include_object,  # the engine's tables are not ours to compare
    "transaction_per_migration": True,
}
if context.config.config_file_name and hasattr(context.config.cmd_opts, "cmd"):
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)
if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()
else:
    url = context.config.attributes.get("url") or database_url()
    engine = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: workrow.schema.connect(url), poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        # who waits for a lock makes everybody wait who comes later
        connection.execute(sa.text("SET lock_timeout = '5s'"))
        connection.commit()
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()
