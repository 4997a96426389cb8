"""What is stored of the weather. Keep it in step with `migrations/`."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class Weather(Base):
    """The sky over a world, until `until_ms` (world time). There is one at most: the world's id is its key."""

    __tablename__ = "weather"
    __table_args__ = (CheckConstraint("sky IN ('clear', 'cloudy', 'rain', 'storm')", name="sky_known"),)

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    sky: Mapped[str]
    until_ms: Mapped[int]
