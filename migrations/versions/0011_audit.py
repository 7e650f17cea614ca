"""The log of events, a partition a month; it refuses changes.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

FIRST_MONTHS = """
    DO $$
    DECLARE month timestamp;
    BEGIN
        FOR ahead IN 0..2 LOOP
            month := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead);
            EXECUTE format(
                'CREATE TABLE audit.events_%s PARTITION OF audit_events FOR VALUES FROM (%L) TO (%L)',
                to_char(month, 'YYYY_MM'), month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
            );
        END LOOP;
    END $$
"""
REFUSE = """
    CREATE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE 'audit_events is append-only: % is refused; prune_logs drops what is old', TG_OP
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END $$
"""
# partitions have the one for rows as well; TRUNCATE of a partition is how the default one is pruned
REFUSE_CHANGES = """
    CREATE TRIGGER refuse_changes BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit.refuse()
"""
REFUSE_TRUNCATE = """
    CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse()
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA audit")
    op.execute(sa.schema.CreateSequence(sa.Sequence("audit_events_id_seq")))
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger(), server_default=sa.text("nextval('audit_events_id_seq')"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("octet_length(details::text) <= 16384", name=op.f("ck_audit_events_details_are_small")),
        sa.PrimaryKeyConstraint("id", "at", name=op.f("pk_audit_events")),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index(op.f("ix_audit_events_subject_id"), "audit_events", ["subject", "id"])
    op.create_index(op.f("ix_audit_events_actor_id"), "audit_events", ["actor", "id"])
    op.execute("CREATE TABLE audit.events_default PARTITION OF audit_events DEFAULT")
    op.execute(FIRST_MONTHS)
    op.execute(REFUSE)
    op.execute(REFUSE_CHANGES)
    op.execute(REFUSE_TRUNCATE)


def downgrade() -> None:
    op.drop_table("audit_events")
    op.execute(sa.schema.DropSequence(sa.Sequence("audit_events_id_seq")))
    op.execute("DROP FUNCTION audit.refuse()")
    op.execute("DROP SCHEMA audit")
