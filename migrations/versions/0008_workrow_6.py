"""The engine's schema, version 6: workers that say that they stop.

Revision ID: 0008
"""

from alembic import op

import workrow.schema

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    workrow.schema.upgrade(op, to=6)


def downgrade() -> None:
    workrow.schema.downgrade(op, to=5)
