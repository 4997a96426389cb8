"""What diplomatic acts do to the people who do them, and who may know: all members, or of secret acts the parties."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.messages import MEMBERS, Audience, Event


class TieMoved(BaseModel):
    """How one character feels about another now, and by how much that has changed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source_id: UUID
    target_id: UUID
    strength: float
    by_strength: float
    trust: float
    by_trust: float


class PersonsMoved(Event):
    """A diplomatic act has changed what people feel about who did it, and what the world thinks of that one.

    `reputation` is null where it was secret, or changed nothing. It follows from the event that caused it.
    """

    message_type = "diplomacy.persons_moved"
    subjects = ("character_id",)

    character_id: UUID = Field(description="Who did it.")
    kind: str
    words: str = Field(description="What is said of it, such as `broke the Treaty of Ash`.")
    ties: list[TieMoved]
    reputation_before: float | None = None
    reputation: float | None = Field(None, description="-100 to 100.")
    secret_of: list[UUID] = Field([], description="The factions that alone know, if it was secret.")

    def audience(self) -> Audience:
        return Audience.of(*self.secret_of) if self.secret_of else MEMBERS

    def about(self) -> list[UUID]:
        """Who did it, and those who feel otherwise now."""
        return list(dict.fromkeys([self.character_id, *(tie.source_id for tie in self.ties)]))


EVENTS = (PersonsMoved,)
