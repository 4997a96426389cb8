"""What is stored of the people of diplomacy: what is said of them."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import Base


class Reputation(Base):
    """What the world says of a character (`id`) for its diplomatic acts: a list of `bearing.Said`, oldest first.

    The reputation is their sum at the time of reading, and stored nowhere.
    """

    __tablename__ = "reputations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "id"], ["characters.world_id", "characters.id"], name="fk_reputations_character",
            ondelete="CASCADE",
        ),
        CheckConstraint("jsonb_array_length(said) BETWEEN 1 AND 13", name="said_number"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    said: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
