"""E-mails that were not sent, who wants none, digests and bulk messages; users by when they were seen.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_email_deliveries_recipient", "email_deliveries", ["recipient"])
    active = sa.text("deactivated_at IS NULL")
    op.create_index("ix_users_active_last_seen_at", "users", ["last_seen_at"], postgresql_where=active)
    op.create_table(
        "email_failures",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("cause", "kind", "recipient", "verdict", "words")),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('refused', 'bounced', 'deferred', 'suppressed')",
            name=op.f("ck_email_failures_verdict_is_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_failures")),
    )
    op.create_index("ix_email_failures_recipient", "email_failures", ["recipient"])
    op.create_table(
        "email_suppressions",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("address", "reason", "words")),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("address = lower(address)", name=op.f("ck_email_suppressions_address_is_lower")),
        sa.CheckConstraint("reason IN ('unsubscribed', 'bounced')", name=op.f("ck_email_suppressions_reason_is_known")),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_email_suppressions")),
    )
    create_notifications()
    op.create_table(
        "email_bulks",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("workflow_id", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent", sa.BigInteger(), nullable=True),
        sa.Column("unsent", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_bulks")),
    )


def create_notifications() -> None:
    op.create_table(
        "email_notifications",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_email_notifications_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_notifications")),
    )
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_email_notifications_open", "email_notifications", ["user_id", "id"], postgresql_where=still_open
    )


def downgrade() -> None:
    for table in ("email_bulks", "email_notifications", "email_suppressions", "email_failures"):
        op.drop_table(table)
    op.drop_index("ix_users_active_last_seen_at", "users")
    op.drop_index("ix_email_deliveries_recipient", "email_deliveries")
