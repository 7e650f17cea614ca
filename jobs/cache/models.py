"""The tables of the cache. They are UNLOGGED: a crash empties them, and nothing in them is the only copy."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Identity, Index, Integer, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database import Base


class CacheEntry(Base):
    """A value that is kept for a while. ``json``, not ``jsonb``: what comes back is what was given."""

    __tablename__ = "cache_entries"
    __table_args__ = (
        Index("ix_cache_entries_tags", "tags", postgresql_using="gin"),
        Index("ix_cache_entries_expires_at", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
        {"prefixes": ["UNLOGGED"]},
    )

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[Any] = mapped_column(JSON, nullable=False)
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    size: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class CacheDrop(Base):
    """When a key or tag was last dropped or set: a value that was computed before that is not stored after it."""

    __tablename__ = "cache_drops"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    transaction: Mapped[int] = mapped_column(BigInteger)
    dropped_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class CacheCount(Base):
    """What one process counted in some seconds. Rows are only added, so that nobody waits for anybody."""

    __tablename__ = "cache_counts"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    hits: Mapped[int] = mapped_column(BigInteger)
    misses: Mapped[int] = mapped_column(BigInteger)
    counted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), index=True)
