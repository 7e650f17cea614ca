"""The log of events: who did what to whom."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, Sequence, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database import Base

# PostgreSQL before 17 knows no identity columns in partitioned tables
event_ids = Sequence("audit_events_id_seq", metadata=Base.metadata)


class AuditEvent(Base):
    """Something that happened. The database refuses to change or delete one; old ones go with their partition.

    A partition holds a month (UTC); ``audit.events_default`` takes what fits none. They are in a schema of their own,
    where autogenerate does not look for them.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        CheckConstraint("octet_length(details::text) <= 16384", name="details_are_small"),
        Index(None, "subject", "id"),
        Index(None, "actor", "id"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, server_default=event_ids.next_value(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), primary_key=True)
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
