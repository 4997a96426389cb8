"""What is stored of progress."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


def _measure() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["world_id", "measure_id"], ["measures.world_id", "measures.id"], ondelete="CASCADE"
    )


class Measure(Base):
    """What is counted of each subject. Its id is derived from `spec`, so that equal measures are one.

    While it catches up with the past, `caught_up_to` says how far in the log it has come, and what happens
    meanwhile waits for it there. While it settles, it counts already, and those who use it are told how far each
    subject has come, up to the subject `settled_to`. `whole` says that it has counted the log from its beginning.
    Events up to `since_seq` are counted already, or from before it was there: it does not count them again.
    """

    __tablename__ = "measures"
    __table_args__ = (
        CheckConstraint("state IN ('catching_up', 'settling', 'live')", name="state_known"),
        CheckConstraint("(state = 'catching_up') = (caught_up_to IS NOT NULL)", name="position_while_behind"),
        Index("ix_measures_behind", "world_id", "id", postgresql_where=text("state <> 'live'")),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    spec: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default="live")
    caught_up_to: Mapped[int | None]
    settled_to: Mapped[UUID | None]
    whole: Mapped[bool] = mapped_column(server_default=text("false"))
    since_seq: Mapped[int] = mapped_column(server_default=text("0"))


class MeasureUse(Base):
    """Who uses a measure: a system and the id of its definition. A measure that nobody uses is removed."""

    __tablename__ = "measure_uses"
    __table_args__ = (_measure(),)

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    measure_id: Mapped[UUID] = mapped_column(primary_key=True)
    system: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)


class MeasureValue(Base):
    """How far a subject has come in a measure. A streak keeps in `day` the last world day that counted.

    It has no foreign key: it is written with every event that counts. Pages have room, so that updates stay on
    their page.
    """

    __tablename__ = "measure_values"
    __table_args__ = (
        Index("ix_measure_values_measure", "world_id", "measure_id", "subject_id"),
        {"postgresql_with": {"fillfactor": "60"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    measure_id: Mapped[UUID] = mapped_column(primary_key=True)
    value: Mapped[float]
    day: Mapped[int | None]


class MeasureItem(Base):
    """One of the distinct values that a measure has seen of a subject."""

    __tablename__ = "measure_items"
    __table_args__ = (_measure(),)

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    measure_id: Mapped[UUID] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(primary_key=True)
