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
    council_days: float | None = None


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


class CouncilsMet(_DirectorEvent):
    """Factions that run themselves held council: once in `council_days`, or because something waited for an answer."""

    message_type = "director.councils_met"
    subjects = ("faction_ids",)

    faction_ids: list[UUID] = Field(
        description="Those that decided something that all may know; the first 100 of them."
    )
    factions: int = Field(description="How many did.")
    summoned: bool = Field(description="Whether something waited for an answer.")


class WeighedAct(BaseModel):
    """Something a faction could have done, and how much spoke for it: the sum of the parts, in points."""

    act: str
    target_id: UUID | None = None
    about_id: UUID | None = Field(
        None, description="The incident, war, treaty, sanction, … that it is about."
    )
    kind: str = Field("", description="Of the treaty, sanction or cause of war.")
    weight: float
    parts: dict[str, float] = Field(
        description="By name, such as cause, odds, tie, temper, fear, honour, wear."
    )


class _OfChoice(_DirectorEvent):
    faction_id: UUID
    chosen: int = Field(description="Which of the options, counted from 0.")
    options: list[WeighedAct] = Field(description="The chosen one and the heaviest others, heaviest first.")
    weighed: int = Field(description="How many options there were.")
    because: str


class FactionDecided(_OfChoice):
    """A faction that runs itself decided what to do. What it then did has this event as its cause.

    Unless it is secret, it tells what the options weigh by what all can see: what only some know is no part of them.
    """

    message_type = "director.faction_decided"
    subjects = ("faction_id", "target_id", "about_id")

    matter: str = Field(description="policy, or an answer: incident, call, treaty, ultimatum, war.")
    act: str
    target_id: UUID | None = None
    about_id: UUID | None = None
    kind: str = ""
    refused: str | None = Field(
        None, description="The code of the refusal, if it could not be done any more."
    )
    secret: bool = Field(False, description="Whether only those who stand for the faction are told.")

    def audience(self) -> Audience:
        return Audience.of(self.faction_id) if self.secret else MEMBERS


class FactionWeighed(_OfChoice):
    """What a faction really weighed for the decision that is this event's cause, treasury and secrets counted.

    Only there if it differs from what all are told.
    """

    message_type = "director.faction_weighed"
    subjects = ("faction_id",)

    def audience(self) -> Audience:
        return Audience.of(self.faction_id)


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
