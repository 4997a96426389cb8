"""What happens to types of events, and the events from outside themselves; who may know."""

from typing import Any, ClassVar
from uuid import UUID

from fablewright.core.messages import GAME_MASTERS, MEMBERS, Audience, Event
from fablewright.systems.custom_events.commands import SeenBy


class TypeRegistered(Event):
    """Events of a type may be sent from now on, with data that fits the schema that the command brought."""

    message_type = "custom_events.type_registered"

    type: str
    description: str
    seen_by: SeenBy

    def audience(self) -> Audience:
        return MEMBERS


class TypeRemoved(Event):
    """Events of a type are not taken any more."""

    message_type = "custom_events.type_removed"

    type: str

    def audience(self) -> Audience:
        return MEMBERS


class CustomEvent(Event):
    """Something that an outside program told. The log has it under its own type, such as `game.quest_finished`."""

    message_type = "custom_events.recorded"
    families: ClassVar[tuple[str, ...]] = ("game.", "narrative.", "user.", "admin.")
    subjects = ("subject_id",)

    type: str
    subject_id: UUID | None = None
    seen_by: SeenBy = "game_masters"
    data: dict[str, Any]

    @property
    def type_name(self) -> str:
        """Its own type."""
        return self.type

    def audience(self) -> Audience:
        """As its type says; without a subject, game masters stand in for it."""
        if self.seen_by == "members":
            return MEMBERS
        if self.seen_by == "subject" and self.subject_id is not None:
            return Audience.of(self.subject_id)
        return GAME_MASTERS
