"""What is stored of dialogue: a world's own interaction types and texts, and who has heard what."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class InteractionType(Base):
    """A type of interaction that a world has beside, or instead of, a built-in one of the same name."""

    __tablename__ = "interaction_types"
    __table_args__ = (
        UniqueConstraint("world_id", "name"),
        CheckConstraint("name ~ '^[a-z][a-z0-9_]{0,49}$'", name="name_form"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    definition: Mapped[dict[str, Any]]


class Grammar(Base):
    """Texts that a world adds to the built-in ones, checked when they were added."""

    __tablename__ = "grammars"
    __table_args__ = (
        UniqueConstraint("world_id", "name"),
        CheckConstraint("name ~ '^[a-z][a-z0-9_]{0,49}$'", name="name_form"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    content: Mapped[dict[str, Any]]


class DialogueContent(Base):
    """The version of a world's own types and texts; it grows with each change. There is one row at most."""

    __tablename__ = "dialogue_contents"

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    version: Mapped[int]


class Listener(Base):
    """The last lines that a character has heard, oldest first, as numbers made of their text. The id is the
    character's."""

    __tablename__ = "listeners"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "id"],
            ["characters.world_id", "characters.id"],
            name="fk_listeners_character",
            ondelete="CASCADE",
        ),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    heard: Mapped[list[int]]


class Conversation(Base):
    """What two characters have been talking about: each pair once, the lower id first.

    `topic` (a key of the texts, or free) is held for `turns` turns so far; `state` keeps what the next turn
    needs, such as a question that waits for its answer.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("world_id", "low_id", "high_id"),
        ForeignKeyConstraint(
            ["world_id", "low_id"],
            ["characters.world_id", "characters.id"],
            name="fk_conversations_low",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["world_id", "high_id"],
            ["characters.world_id", "characters.id"],
            name="fk_conversations_high",
            ondelete="CASCADE",
        ),
        CheckConstraint("low_id < high_id", name="low_first"),
        CheckConstraint("turns >= 0", name="turns_positive"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    low_id: Mapped[UUID]
    high_id: Mapped[UUID]
    topic: Mapped[str | None]
    turns: Mapped[int]
    last_at: Mapped[int]
    state: Mapped[dict[str, Any]]
