"""The cache, in tables that a crash empties.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cache_entries",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_cache_entries")),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_cache_entries_tags", "cache_entries", ["tags"], postgresql_using="gin")
    op.create_index(
        "ix_cache_entries_expires_at", "cache_entries", ["expires_at"], postgresql_where="expires_at IS NOT NULL"
    )
    op.create_index(op.f("ix_cache_entries_used_at"), "cache_entries", ["used_at"])
    op.create_table(
        "cache_drops",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("transaction", sa.BigInteger(), nullable=False),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cache_drops")),
        prefixes=["UNLOGGED"],
    )
    op.create_index(op.f("ix_cache_drops_dropped_at"), "cache_drops", ["dropped_at"])
    op.create_table(
        "cache_counts",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("misses", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cache_counts")),
        prefixes=["UNLOGGED"],
    )
    op.create_index(op.f("ix_cache_counts_counted_at"), "cache_counts", ["counted_at"])
    op.execute(
        """CREATE VIEW cache_hit_rate AS
           SELECT
               date_trunc('hour', counted_at) AS hour,
               sum(hits) AS hits,
               sum(misses) AS misses,
               round(sum(hits) / nullif(sum(hits) + sum(misses), 0), 4) AS hit_rate
           FROM cache_counts
           GROUP BY date_trunc('hour', counted_at)"""
    )


def downgrade() -> None:
    op.execute("DROP VIEW cache_hit_rate")
    for table in ("cache_counts", "cache_drops", "cache_entries"):
        op.drop_table(table)
