"""The engine's schema, version 7: roles of their own for producers, workers, operators and viewers.

Revision ID: 0009
"""

from alembic import op

import workrow.schema

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    workrow.schema.upgrade(op, to=7)


def downgrade() -> None:
    workrow.schema.downgrade(op, to=6)
