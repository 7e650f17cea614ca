"""Who wants to hear of what, what was to be told, and how each attempt to tell it went."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database import Base

PENDING, DELIVERED, FAILED, SKIPPED = "pending", "delivered", "failed", "skipped"
"""Of a delivery: on its way; answered with 2xx; given up; not tried, for its subscription was disabled."""


class WebhookSubscription(Base):
    """A URL that is told of events. It is active as long as ``disabled_at`` is null."""

    __tablename__ = "webhook_subscriptions"
    __table_args__ = (
        CheckConstraint("max_running BETWEEN 1 AND 100", name="max_running"),
        Index(None, "events", postgresql_using="gin"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    description: Mapped[str] = mapped_column(Text, server_default=text("''"))
    secret: Mapped[str] = mapped_column(Text)
    previous_secret: Mapped[str | None] = mapped_column(Text)
    previous_secret_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ordered: Mapped[bool] = mapped_column(server_default=text("false"))
    max_running: Mapped[int] = mapped_column(Integer)
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))  # attempts in a row
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class WebhookEvent(Base):
    """What happened, as the text that is signed and sent: the same bytes in every attempt and to every subscriber."""

    __tablename__ = "webhook_events"
    __table_args__ = (Index(None, "created_at"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    type: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class WebhookDelivery(Base):
    """An event on its way to a subscription."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "subscription_id"),
        CheckConstraint("status IN ('pending', 'delivered', 'failed', 'skipped')", name="status"),
        Index(None, "subscription_id", "id"),
        Index(
            "ix_webhook_deliveries_pending", "subscription_id", "id", postgresql_where=text("status = 'pending'")
        ),  # what an ordered subscription waits for
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[str] = mapped_column(ForeignKey(WebhookEvent.id, ondelete="CASCADE"))
    subscription_id: Mapped[int] = mapped_column(ForeignKey(WebhookSubscription.id, ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(Text, server_default=text("'pending'"))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    job_id: Mapped[int | None] = mapped_column(BigInteger)  # no foreign key: jobs go before deliveries do
    # in the line of its subscription, of which jobs serve the head: job_id is then the last that tried this one, and
    # the other two are of use; null, what an earlier version wrote: it may be
    ordered: Mapped[bool | None]
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))  # attempts, since it came into the line
    next_attempt_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class WebhookAttempt(Base):
    """One request: its answer, or why there was none."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[int] = mapped_column(ForeignKey(WebhookDelivery.id, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    duration_ms: Mapped[int] = mapped_column(Integer)
    status_code: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    snippet: Mapped[str | None] = mapped_column(Text)
