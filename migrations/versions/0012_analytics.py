"""Daily metrics of jobs, and reports.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    counts = ("finished", "succeeded", "failed", "cancelled", "retries", "attempts", "errors")
    op.create_table(
        "analytics_task_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in counts),
        sa.Column("processing_p50_seconds", sa.Float(), nullable=True),
        sa.Column("processing_p95_seconds", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("day", "queue", "task", name=op.f("pk_analytics_task_days")),
    )
    op.create_table(
        "analytics_queue_samples",
        sa.Column("sampled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sampled_at", "queue", name=op.f("pk_analytics_queue_samples")),
    )
    op.create_table(
        "analytics_queue_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("mean_length", sa.Float(), nullable=False),
        sa.Column("max_length", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "queue", name=op.f("pk_analytics_queue_days")),
    )
    op.create_table(
        "analytics_reports",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("rendered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("csv", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_reports")),
        sa.UniqueConstraint("cause", name=op.f("uq_analytics_reports_cause")),
    )


def downgrade() -> None:
    for table in ("analytics_reports", "analytics_queue_days", "analytics_queue_samples", "analytics_task_days"):
        op.drop_table(table)
