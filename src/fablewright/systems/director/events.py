"""What happens to the director and what it decides, and who may know. All members may."""

from uuid import UUID

from pydantic import BaseModel, Field

from fablewright.core.messages import MEMBERS, Audience, Event


class _DirectorEvent(Event):
    def audience(self) -> Audience:
        return MEMBERS


class Configured(_DirectorEvent):
    """The director of the world was set, started or stopped."""

    message_type = "director.configured"

    enabled: bool
    beats_per_minute: float
    acts_per_beat: int


class Weighed(BaseModel):
    """Something a character could have done, and how much it was inclined to it: the sum of the parts, or 0."""

    act: str
    type: str | None = Field(None, description="The type of interaction.")
    with_id: UUID | None = None
    to_id: UUID | None = None
    memory_id: UUID | None = None
    weight: float
    parts: dict[str, float] = Field(
        description="By name: need, tie, mood, novelty, goal, place, arc, hour; those of 0 are left out."
    )


class Chose(_DirectorEvent):
    """The director let a character choose what to do. What it then did has this event as its cause."""

    message_type = "director.chose"
    subjects = ("actor_id", "with_id")

    actor_id: UUID
    act: str
    type: str | None = None
    with_id: UUID | None = None
    to_id: UUID | None = None
    chosen: int = Field(description="Which of the options, counted from 0.")
    options: list[Weighed] = Field(description="The chosen one and the heaviest others, heaviest first.")
    weighed: int = Field(description="How many options there were.")
    because: str
    arc_id: UUID | None = None


class _ArcEvent(_DirectorEvent):
    arc_id: UUID
    kind: str
    title: str = Field(description="A sentence.")
    first_id: UUID
    second_id: UUID
    others: list[UUID]
    tension: float

    def about(self) -> list[UUID]:
        """Everybody in it."""
        return [self.first_id, self.second_id, *self.others]


class ArcStarted(_ArcEvent):
    """A small story between two characters began: a quarrel, a courtship, a feud or a friendship."""

    message_type = "director.arc_started"


class ArcRose(_ArcEvent):
    """A small story came to a head, or drew somebody in (`joined_id`)."""

    message_type = "director.arc_rose"

    joined_id: UUID | None = None


class ArcResolved(_ArcEvent):
    """A small story ended; `outcome` says how."""

    message_type = "director.arc_resolved"

    outcome: str
