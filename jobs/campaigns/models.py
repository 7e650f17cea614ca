"""The tables of campaigns."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database import Base
from jobs.leads.models import Lead


class Campaign(Base):
    """Calls to a list of people. How far it has come is known by its workflow, and not written down here."""

    __tablename__ = "campaigns"
    __table_args__ = (CheckConstraint("concurrency BETWEEN 1 AND 1000", name="concurrency_is_bounded"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    concurrency: Mapped[int]
    workflow_id: Mapped[int | None] = mapped_column(BigInteger)  # no foreign key: campaigns outlive workflows
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    cancelled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class CampaignTarget(Base):
    """Who is to be called; ``key`` is that of the call. ``skipped`` says why there is none."""

    __tablename__ = "campaign_targets"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey(Campaign.id, ondelete="CASCADE"), index=True)
    key: Mapped[UUID] = mapped_column(unique=True, server_default=func.gen_random_uuid())
    phone: Mapped[str | None] = mapped_column(Text)
    time_zone: Mapped[str | None] = mapped_column(Text)
    lead_id: Mapped[int | None] = mapped_column(ForeignKey(Lead.id, ondelete="SET NULL"))
    skipped: Mapped[str | None] = mapped_column(Text)


class CampaignReport(Base):
    """What has become of each target of a campaign that is over."""

    __tablename__ = "campaign_reports"
    __table_args__ = (
        CheckConstraint("targets = completed + failed + no_answer + busy + cancelled + skipped", name="balances"),
    )

    campaign_id: Mapped[int] = mapped_column(ForeignKey(Campaign.id, ondelete="CASCADE"), primary_key=True)
    targets: Mapped[int]
    completed: Mapped[int]
    failed: Mapped[int]
    no_answer: Mapped[int]
    busy: Mapped[int]
    cancelled: Mapped[int]
    skipped: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
