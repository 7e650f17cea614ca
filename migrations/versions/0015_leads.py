"""Leads, and the files that they come from.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_leads()
    create_imports()


def create_leads() -> None:
    op.create_table(
        "leads",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default=sa.text("'new'"), nullable=False),
        sa.Column("score", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reasons", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("rules_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("email IS NOT NULL OR phone IS NOT NULL", name=op.f("ck_leads_can_be_reached")),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_leads_email_is_lower")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leads")),
        sa.UniqueConstraint("email", name=op.f("uq_leads_email")),
    )
    op.create_index(op.f("ix_leads_phone"), "leads", ["phone"], postgresql_where=sa.text("phone IS NOT NULL"))
    op.create_index(op.f("ix_leads_tags"), "leads", ["tags"], postgresql_using="gin")
    # room for the score, which comes soon after the row and changes no index
    op.execute("ALTER TABLE leads SET (fillfactor = 60)")


def create_imports() -> None:
    op.create_table(
        "lead_imports",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("layout", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'running'"), nullable=False),
        *(
            sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)
            for name in ("position", "imported", "merged", "refused", "errors")
        ),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_imports")),
        sa.UniqueConstraint("sha256", name=op.f("uq_lead_imports_sha256")),
    )
    for table, columns in (
        ("chunk", [sa.Column("content", sa.LargeBinary(), nullable=False)]),
        (
            "error",
            [
                sa.Column("row", sa.Integer(), nullable=False),
                sa.Column("column", sa.Text(), nullable=True),
                *(sa.Column(name, sa.Text(), nullable=False) for name in ("value", "problem", "fix")),
            ],
        ),
    ):
        op.create_table(
            f"lead_import_{table}s",
            sa.Column("import_id", sa.BigInteger(), nullable=False),
            sa.Column("number", sa.Integer(), nullable=False),
            *columns,
            sa.ForeignKeyConstraint(
                ["import_id"],
                ["lead_imports.id"],
                name=op.f(f"fk_lead_import_{table}s_import_id_lead_imports"),
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint("import_id", "number", name=op.f(f"pk_lead_import_{table}s")),
        )
    # to compress the pieces would cost more than to write them: they are dropped after a while
    op.execute("ALTER TABLE lead_import_chunks ALTER COLUMN content SET STORAGE EXTERNAL")


def downgrade() -> None:
    for table in ("lead_import_errors", "lead_import_chunks", "lead_imports", "leads"):
        op.drop_table(table)
