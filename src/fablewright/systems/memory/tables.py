"""What is stored of what characters remember."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import Base

CHARACTER = ["characters.world_id", "characters.id"]


class Memory(Base):
    """What a character (`character_id`) saw, did, was told, knows or concluded.

    - `fact_id` says which piece of knowledge it is: what several remember of one deed, and all retellings of
      it, share it. A character has each fact once; hearing it again makes it surer.
    - `tellers` is the chain by which it came, first teller first, and empty for what one saw, did or was given
      at the beginning. It is kept here whole, so that a teller may forget without the chain breaking.
    - `heard_from` holds all from whom the fact was ever heard, over all chains: only a chain that shares nobody
      with them is another witness (see `rules.merged`).
    - `claim` is what is claimed to have happened, in a form that can be retold, exaggerated and compared;
      `truth` is what really happened, if the memory is wrong, and null if it is right.
    - `certainty` and `importance` are 0..1, `valence` (how well it speaks of whom it is about; 0 for what is
      nobody's doing) -1..1.
    - `evidence` holds the memories that a reflection was drawn from.
    """

    __tablename__ = "memories"
    __table_args__ = (
        # The fact first: what several remember of one deed is written at once, and to the same page.
        UniqueConstraint("world_id", "fact_id", "character_id"),
        ForeignKeyConstraint(
            ["world_id", "character_id"], CHARACTER, name="fk_memories_character", ondelete="CASCADE"
        ),
        CheckConstraint("kind IN ('did', 'saw', 'told', 'knows', 'reflection')", name="kind_known"),
        CheckConstraint("(kind = 'told') = (cardinality(tellers) > 0)", name="told_by_someone"),
        CheckConstraint("char_length(text) BETWEEN 1 AND 2000", name="text_length"),
        CheckConstraint("importance BETWEEN 0 AND 1", name="importance_range"),
        CheckConstraint("certainty BETWEEN 0 AND 1", name="certainty_range"),
        CheckConstraint("valence BETWEEN -1 AND 1", name="valence_range"),
        Index("ix_memories_latest", "world_id", "character_id", "at", "id"),
        Index("ix_memories_weightiest", "world_id", "character_id", "importance", "id"),
        Index("ix_memories_subject", "world_id", "character_id", "subject_id", "at"),
        # Without a list of pending entries, which every search would have to read and some insert to clear.
        Index("ix_memories_search", "search", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    character_id: Mapped[UUID]
    fact_id: Mapped[UUID]
    kind: Mapped[str]
    text: Mapped[str]
    subject_id: Mapped[UUID | None]
    """Whom it is about first of all."""
    about: Mapped[list[UUID]]
    place_id: Mapped[UUID | None]
    at: Mapped[int]
    """When it happened or was learned (world ms)."""
    importance: Mapped[float]
    certainty: Mapped[float]
    valence: Mapped[float]
    secret: Mapped[bool]
    tellers: Mapped[list[UUID]]
    heard_from: Mapped[list[UUID]]
    claim: Mapped[dict[str, Any] | None]
    truth: Mapped[str | None]
    event_id: Mapped[UUID | None]
    """The event that it is of, or by which it was learned."""
    evidence: Mapped[list[UUID]]
    search: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed(
            "to_tsvector('english'::regconfig, text) || "
            "array_to_tsvector(ARRAY['owner:' || world_id::text || character_id::text])",
            persisted=True,
        ),
    )


class Mind(Base):
    """How full a character's memory is (`memories`), and what has not been thought over yet (`unreflected`, the
    importance of what came since it last concluded something). The id is the character's."""

    __tablename__ = "minds"
    __table_args__ = (
        ForeignKeyConstraint(["world_id", "id"], CHARACTER, name="fk_minds_character", ondelete="CASCADE"),
        CheckConstraint("unreflected >= 0", name="unreflected_positive"),
        CheckConstraint("memories >= 0", name="memories_positive"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    memories: Mapped[int] = mapped_column(server_default=text("0"))
    unreflected: Mapped[float] = mapped_column(server_default=text("0"))
    reflected_at: Mapped[int | None]
