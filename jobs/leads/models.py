"""The tables of leads, and of the files that they come from."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database import Base


class Lead(Base):
    """Somebody who may become a customer.

    An e-mail address belongs to one lead; a phone number may be that of several (a switchboard), who have addresses.
    ``rules_version`` is that of the rules by which ``score`` and ``reasons`` were found; 0: not yet.
    """

    __tablename__ = "leads"
    __table_args__ = (
        CheckConstraint("email IS NOT NULL OR phone IS NOT NULL", name="can_be_reached"),
        CheckConstraint("email = lower(email)", name="email_is_lower"),
        Index(None, "phone", postgresql_where=text("phone IS NOT NULL")),
        Index(None, "tags", postgresql_using="gin"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str | None] = mapped_column(Text, unique=True)
    phone: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    company: Mapped[str | None] = mapped_column(Text)
    country: Mapped[str | None] = mapped_column(Text)
    time_zone: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default=text("'new'"))
    score: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    rules_version: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'::text[]"))
    import_id: Mapped[int | None] = mapped_column(BigInteger)  # no foreign key: a lead outlives the file it came with
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class LeadImport(Base):
    """A file of leads, and how far its import has come. Its hash is unique: the same file is the same import.

    ``position`` is the row up to which everything is done, the header being row 1 as in a spreadsheet;
    ``imported + merged + refused`` is the number of rows with something in them up to there.
    """

    __tablename__ = "lead_imports"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    sha256: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    layout: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(Text, server_default=text("'running'"))
    position: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    imported: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    merged: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    refused: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    errors: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    job_id: Mapped[int | None] = mapped_column(BigInteger)  # no foreign key: the import outlives its job
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class LeadImportChunk(Base):
    """A piece of the file, as it was uploaded: in the database, so that it commits with the job that reads it."""

    __tablename__ = "lead_import_chunks"

    import_id: Mapped[int] = mapped_column(ForeignKey("lead_imports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class LeadImportError(Base):
    """What was wrong with a row. All are counted in ``lead_imports.errors``, the first ones are kept here."""

    __tablename__ = "lead_import_errors"

    import_id: Mapped[int] = mapped_column(ForeignKey("lead_imports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    row: Mapped[int] = mapped_column(Integer)
    column: Mapped[str | None] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text)
    problem: Mapped[str] = mapped_column(Text)
    fix: Mapped[str] = mapped_column(Text)
