"""The engine's schema, version 8: workflows, steps and batches.

Revision ID: 0010
"""

from alembic import op

import workrow.schema

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    workrow.schema.upgrade(op, to=8)


def downgrade() -> None:
    workrow.schema.downgrade(op, to=7)
