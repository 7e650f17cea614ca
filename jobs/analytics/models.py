"""What is kept of jobs, a row a day, and the reports that are made of it."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, DateTime, Identity, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database import Base


class TaskDay(Base):
    """How the jobs of one task in one queue went that ended on a day of the account's zone."""

    __tablename__ = "analytics_task_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    queue: Mapped[str] = mapped_column(Text, primary_key=True)
    task: Mapped[str] = mapped_column(Text, primary_key=True)
    finished: Mapped[int] = mapped_column(BigInteger)
    succeeded: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    cancelled: Mapped[int] = mapped_column(BigInteger)
    retries: Mapped[int] = mapped_column(BigInteger)  # attempts after the first
    attempts: Mapped[int] = mapped_column(BigInteger)  # with those that a crash ended
    errors: Mapped[int] = mapped_column(BigInteger)  # of the attempts, those that failed or crashed
    processing_p50_seconds: Mapped[float | None]
    processing_p95_seconds: Mapped[float | None]

    @property
    def success_rate(self) -> float | None:
        """Of the jobs that came to an end of their own, those that succeeded, 0 to 1."""
        return _share(self.succeeded, self.succeeded + self.failed)

    @property
    def error_rate(self) -> float | None:
        """Of all attempts, those that failed, 0 to 1: a job that a retry saved is an error and a success."""
        return _share(self.errors, self.attempts)


class QueueSample(Base):
    """How many jobs waited in a queue at one moment."""

    __tablename__ = "analytics_queue_samples"

    sampled_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    queue: Mapped[str] = mapped_column(Text, primary_key=True)
    length: Mapped[int] = mapped_column(BigInteger)


class QueueDay(Base):
    """The length of a queue over a day, from its samples."""

    __tablename__ = "analytics_queue_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    queue: Mapped[str] = mapped_column(Text, primary_key=True)
    samples: Mapped[int] = mapped_column(BigInteger)
    mean_length: Mapped[float]
    max_length: Mapped[int] = mapped_column(BigInteger)


class Report(Base):
    """A report on some days. Its cause is unique: a week has one, however often its schedule fires."""

    __tablename__ = "analytics_reports"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    cause: Mapped[str] = mapped_column(Text, unique=True)
    first_day: Mapped[date] = mapped_column(Date)
    last_day: Mapped[date] = mapped_column(Date)
    requested_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    rendered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    html: Mapped[str | None] = mapped_column(Text, deferred=True)
    csv: Mapped[str | None] = mapped_column(Text, deferred=True)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
