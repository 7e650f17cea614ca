"""The tables of chats, their messages and drafts.

What is acknowledged and not yet at its place is in a small table of its own, ``unsaved_…``: logged, unlike the cache.
"""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, Text, UniqueConstraint, Uuid, func, text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from jobs.database import Base


class Chat(Base):
    """A conversation, and the lock of everything that changes in it: each change locks this row first."""

    __tablename__ = "chats"
    __table_args__ = (
        Index("ix_chats_user_id", "user_id", postgresql_where=text("deleted_at IS NULL")),
        Index("ix_chats_last_message_at", "last_message_at", postgresql_where=text("deleted_at IS NULL")),
        Index("ix_chats_deleted_at", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_message_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class MessageColumns:
    """What a message is, wherever it is. Of one chat, ids are in the order in which messages were acknowledged."""

    sender_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    client_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    text: Mapped[str] = mapped_column(Text)
    posted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Message(MessageColumns, Base):
    """A message at its place."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("chat_id", "client_id"),
        Index("ix_messages_chat_id_id", "chat_id", "id"),
        Index("ix_messages_deleted_at", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id"))
    saved_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class UnsavedMessage(MessageColumns, Base):
    """A message that was acknowledged, and that a job will bring to its place."""

    __tablename__ = "unsaved_messages"
    __table_args__ = (
        UniqueConstraint("chat_id", "client_id"),
        Index("ix_unsaved_messages_chat_id_id", "chat_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"))


class DraftColumns:
    """What somebody has typed in a chat and not posted. The client counts the versions; the highest wins."""

    @declared_attr
    def chat_id(cls) -> Mapped[int]:  # noqa: N805 - a class attribute of each table
        """The chat."""
        return mapped_column(ForeignKey("chats.id", ondelete="CASCADE"), primary_key=True)

    @declared_attr
    def user_id(cls) -> Mapped[int]:  # noqa: N805
        """Who types."""
        return mapped_column(ForeignKey("users.id"), primary_key=True)

    version: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str] = mapped_column(Text)
    typed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Draft(DraftColumns, Base):
    """A draft at its place."""

    __tablename__ = "drafts"


class UnsavedDraft(DraftColumns, Base):
    """The latest version that was acknowledged, until a job brings it to its place."""

    __tablename__ = "unsaved_drafts"
