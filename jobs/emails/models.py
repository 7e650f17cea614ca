"""The ledger of e-mails."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database import Base


class EmailDelivery(Base):
    """An e-mail that the mail server took. Its key makes sure that the same cause never sends a second one."""

    __tablename__ = "email_deliveries"

    cause: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str] = mapped_column(Text)
    message_id: Mapped[str] = mapped_column(Text)
    job_id: Mapped[int | None] = mapped_column(BigInteger)  # no foreign key: the ledger outlives the jobs
    sent_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
