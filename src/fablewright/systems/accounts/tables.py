"""What is stored of accounts: users, their sessions with rotating refresh tokens, and API keys.

Rows are locked in this order: users, sessions, refresh_tokens, api_keys. A session or key that has ended is
deleted, so nothing can use it by mistake; the audit log keeps that it was.
"""

from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, Table, text
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import REAL_NOW, WORLD, Base, World, WorldMember

USER = "users.id"


class User(Base):
    """An account. `failed_logins` counts wrong passwords in a row."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("login ~ '^[A-Za-z0-9_.@+-]{3,64}$'", name="login_form"),
        CheckConstraint("char_length(display_name) BETWEEN 1 AND 64", name="display_name_length"),
        CheckConstraint("failed_logins >= 0", name="failed_logins_range"),
        Index("uq_users_lower_login", text("lower(login)"), unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    login: Mapped[str]
    display_name: Mapped[str]
    password_hash: Mapped[str]
    administrator: Mapped[bool] = mapped_column(server_default=text("false"))
    failed_logins: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=REAL_NOW)


class Session(Base):
    """One sign-in, and the family of refresh tokens from it. It lives as long as the newest of them."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(USER, ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=REAL_NOW)
    expires_at: Mapped[datetime]


class RefreshToken(Base):
    """A refresh token, as the SHA-256 of its 256 random bits. Used ones are kept to recognise their reuse.

    The partial unique index lets PostgreSQL itself see to it that a session has one usable token at most,
    even when two refreshes come at once.
    """

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        CheckConstraint("octet_length(hash) = 32", name="hash_length"),
        Index("ix_refresh_tokens_session_id", "session_id"),
        Index(
            "uq_refresh_tokens_usable", "session_id", unique=True, postgresql_where=text("used_at IS NULL")
        ),
    )

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]


class ApiKey(Base):
    """A key for a program, as the SHA-256 of its text. `prefix` is what its owner recognises it by."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("octet_length(hash) = 32", name="hash_length"),
        CheckConstraint(
            "cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'play', 'manage']", name="scopes_known"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(USER, ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    world_id: Mapped[UUID | None] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=REAL_NOW)


# The core stores user ids but knows no users, so the constraints that join them are brought by the system
# that does. Who leaves takes the memberships along; a world must not lose its owner unseen.
cast(Table, WorldMember.__table__).append_constraint(
    ForeignKeyConstraint(["user_id"], [USER], ondelete="CASCADE")
)
cast(Table, World.__table__).append_constraint(
    ForeignKeyConstraint(["owner_id"], [USER], ondelete="RESTRICT")
)
