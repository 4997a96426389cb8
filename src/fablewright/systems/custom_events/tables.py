"""What is stored of outside programs' events: their types. The events themselves stand in the log."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class CustomEventType(Base):
    """A type of event that outside programs may send, and the JSON Schema of its data."""

    __tablename__ = "custom_event_types"
    __table_args__ = (
        CheckConstraint(
            "type ~ '^(game|narrative|user|admin)\\.[a-z][a-z0-9_]{0,59}$'", name="type_form"
        ),
        CheckConstraint("audience IN ('members', 'subject', 'game_masters')", name="audience_known"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str] = mapped_column(server_default="")
    schema: Mapped[dict[str, Any]]
    audience: Mapped[str]
