"""What is stored of the director."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class Director(Base):
    """The director of a world. There is one at most, so the world's id alone is its key.

    Each configuration has a new `version`; a beat scheduled for an older one does nothing.
    """

    __tablename__ = "directors"
    __table_args__ = (
        CheckConstraint("beats_per_minute BETWEEN 0.01 AND 600", name="beats_range"),
        CheckConstraint("acts_per_beat BETWEEN 1 AND 1000", name="acts_range"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    enabled: Mapped[bool]
    beats_per_minute: Mapped[float]
    acts_per_beat: Mapped[int]
    version: Mapped[int] = mapped_column(server_default=text("1"))
