"""The engine's schema, version 2: tuned tables, and history.

Revision ID: 0004
"""

from alembic import op

import workrow.schema

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    workrow.schema.upgrade(op, to=2)


def downgrade() -> None:
    workrow.schema.downgrade(op, to=1)
