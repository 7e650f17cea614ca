"""The engine's schema, version 5: jobs that come back wait their turn; what objects were made from.

Revision ID: 0007
"""

from alembic import op

import workrow.schema

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    workrow.schema.upgrade(op, to=5)


def downgrade() -> None:
    workrow.schema.downgrade(op, to=4)
