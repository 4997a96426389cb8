"""What happens to ties, and who may know. All members may.

What an interaction does to ties is told by `dialogue.interacted`.
"""

from uuid import UUID

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.relationships.commands import TieValue


class TieSet(Event):
    """A game master said how one character feels about another."""

    message_type = "relationships.tie_set"
    subjects = ("source_id", "target_id")

    source_id: UUID
    target_id: UUID
    strength: float
    trust: float

    def audience(self) -> Audience:
        return MEMBERS


class TiesSet(Event):
    """A game master or an import said how many characters feel about each other."""

    message_type = "relationships.ties_set"

    ties: list[TieValue]

    def audience(self) -> Audience:
        return MEMBERS

    def about(self) -> list[UUID]:
        """All characters of these ties, each once, in the order in which they appear."""
        return list(dict.fromkeys(i for tie in self.ties for i in (tie.source_id, tie.target_id)))
