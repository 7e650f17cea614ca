"""E-mails that went out or did not, who wants none, and what waits to be told."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, Text, func
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database import Base


class EmailDelivery(Base):
    """An e-mail that the mail server took. Its key makes sure that the same cause never sends a second one."""

    __tablename__ = "email_deliveries"

    cause: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str] = mapped_column(Text, index=True)
    message_id: Mapped[str] = mapped_column(Text)
    job_id: Mapped[int | None] = mapped_column(BigInteger)  # no foreign key: the ledger outlives the jobs
    sent_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class EmailFailure(Base):
    """A time that an e-mail was not sent: the server said no or later, or the address is not to be mailed."""

    __tablename__ = "email_failures"
    __table_args__ = (
        CheckConstraint("verdict IN ('refused', 'bounced', 'deferred', 'suppressed')", name="verdict_is_known"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    cause: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str] = mapped_column(Text, index=True)
    verdict: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)  # the server's, or the reason of ours
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    failed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class EmailSuppression(Base):
    """An address that is never mailed."""

    __tablename__ = "email_suppressions"
    __table_args__ = (
        CheckConstraint("address = lower(address)", name="address_is_lower"),
        CheckConstraint("reason IN ('unsubscribed', 'bounced')", name="reason_is_known"),
    )

    address: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class EmailNotification(Base):
    """Something that a user is told in their next digest. `digest` is that digest's cause, once it has one."""

    __tablename__ = "email_notifications"
    __table_args__ = (Index("ix_email_notifications_open", "user_id", "id", postgresql_where=sql("closed_at IS NULL")),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    digest: Mapped[str | None] = mapped_column(Text)
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))  # sent, or never to be


class EmailBulk(Base):
    """A message to all active users. The counts are there at its end."""

    __tablename__ = "email_bulks"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subject: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    workflow_id: Mapped[int | None] = mapped_column(BigInteger)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    sent: Mapped[int | None] = mapped_column(BigInteger)
    unsent: Mapped[int | None] = mapped_column(BigInteger)
