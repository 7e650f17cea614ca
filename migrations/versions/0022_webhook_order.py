"""The line of an ordered subscription: which deliveries are in it, and when its head is tried again.

What runs already may go on: it reads none of the columns, and a delivery that it writes without them counts as in line.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLE = "webhook_deliveries"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("ordered", sa.Boolean(), nullable=True))
    op.add_column(TABLE, sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column(TABLE, sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for column in ("next_attempt_at", "failures", "ordered"):
        op.drop_column(TABLE, column)
