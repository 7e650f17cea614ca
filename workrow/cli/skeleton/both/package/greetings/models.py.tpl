"""The tables of this domain."""

from datetime import datetime

from sqlalchemy import DateTime, func
from sqlalchemy.orm import Mapped, mapped_column

from $package.database import Base


class Greeting(Base):
    """Somebody who is to be greeted, and when that was done."""

    __tablename__ = "greetings"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    greeted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
