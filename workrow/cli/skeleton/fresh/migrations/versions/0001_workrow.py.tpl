"""The tables of workrow.

Revision ID: 0001
"""

import workrow.schema
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    workrow.schema.upgrade(op, to=$version)


def downgrade() -> None:
    workrow.schema.downgrade(op, to=0)
