"""The engine's schema, version 3: leases, crashes and quarantine.

Revision ID: 0005
"""

from alembic import op

import workrow.schema

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    workrow.schema.upgrade(op, to=3)


def downgrade() -> None:
    workrow.schema.downgrade(op, to=2)
