"""The engine's schema, version 1.

Revision ID: 0001
"""

from alembic import op

import workrow.schema

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    workrow.schema.upgrade(op, to=1)


def downgrade() -> None:
    workrow.schema.downgrade(op, to=0)
