"""The tables of calls."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.calls.states import LIVE, State
from jobs.database import Base
from jobs.leads.models import Lead


def _any_of(column: str, states: tuple[State, ...]) -> str:
    return f"{column} IN ({', '.join(repr(str(state)) for state in states)})"


class Call(Base):
    """A call, from its order to its end. Its state changes only in `jobs.calls.service.move`."""

    __tablename__ = "calls"
    __table_args__ = (
        CheckConstraint(_any_of("state", tuple(State)), name="state_is_known"),
        CheckConstraint(r"phone ~ '^\+[1-9][0-9]{6,14}$'", name="phone_is_e164"),
        # what the reconciler reads
        Index("ix_calls_live", "changed_at", postgresql_where=text(_any_of("state", LIVE))),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[UUID] = mapped_column(unique=True, server_default=func.gen_random_uuid())
    """What the provider knows it by, and by which it tells a repeated order: for one key nobody is called twice."""
    phone: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    lead_id: Mapped[int | None] = mapped_column(ForeignKey(Lead.id, ondelete="SET NULL"), index=True)
    state: Mapped[str] = mapped_column(Text, server_default=State.SCHEDULED)
    version: Mapped[int] = mapped_column(server_default="1")
    scheduled_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    cancel_asked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    job_id: Mapped[int | None] = mapped_column(BigInteger)  # who dials; no foreign key: calls outlive jobs
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class CallChange(Base):
    """A transition: the version that it made, and why."""

    __tablename__ = "call_changes"

    call_id: Mapped[int] = mapped_column(ForeignKey(Call.id, ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    from_state: Mapped[str] = mapped_column(Text)
    to_state: Mapped[str] = mapped_column(Text)
    cause: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class CallEvent(Base):
    """An event of the provider, under its own id: what is delivered twice is found here."""

    __tablename__ = "call_events"
    __table_args__ = (Index(None, "received_at"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    call_id: Mapped[int] = mapped_column(ForeignKey(Call.id, ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(Text)
    applied: Mapped[bool]
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class CallRecording(Base):
    """What the provider has recorded of a call; ``file`` is its name on disk once it is there."""

    __tablename__ = "call_recordings"
    __table_args__ = (Index(None, "stored_at", postgresql_where=text("file IS NOT NULL")),)

    call_id: Mapped[int] = mapped_column(ForeignKey(Call.id, ondelete="CASCADE"), primary_key=True)
    recording_id: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    file: Mapped[str | None] = mapped_column(Text)
    size: Mapped[int | None] = mapped_column(BigInteger)
    refused: Mapped[str | None] = mapped_column(Text)
    stored_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
