"""The engine's schema, version 4: what a job may declare, and limits.

Revision ID: 0006
"""

from alembic import op

import workrow.schema

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    workrow.schema.upgrade(op, to=4)


def downgrade() -> None:
    workrow.schema.downgrade(op, to=3)
