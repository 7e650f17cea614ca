"""Events of calls by their time, for those who forget them.

Revision ID: 0021
Revises: 0020
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_call_events_received_at"), "call_events", ["received_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_call_events_received_at"), "call_events")
