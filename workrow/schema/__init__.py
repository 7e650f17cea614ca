"""The database's schema: procrastinate's own, from the installed package, and ours in the schema ``workrow``.

In an alembic revision::

    def upgrade() -> None:
        workrow.schema.upgrade(op, to=6)

    def downgrade() -> None:
        workrow.schema.downgrade(op, to=0)
"""

from workrow.schema.autogenerate import include_object
from workrow.schema.migrate import SchemaStatus, check, downgrade, status, upgrade
from workrow.schema.roles import grant, revoke
from workrow.schema.targets import connect
from workrow.schema.versions import LATEST

__all__ = [
    "LATEST",
    "SchemaStatus",
    "check",
    "connect",
    "downgrade",
    "grant",
    "include_object",
    "revoke",
    "status",
    "upgrade",
]
