"""What happens to quests, and who may know.

What everybody may take, everybody may read of. Of a secret quest know who takes it, who gives it, and whom it names.
"""

from uuid import UUID

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.quests.rules import (
    LeanChange,
    OpinionChange,
    QuestDefinition,
    TensionChange,
    TrustChange,
)


class _OfQuest(Event):
    key: str
    name: str
    secret: bool = False
    concerned: list[UUID] = []

    def audience(self) -> Audience:
        """All members, or those concerned."""
        return Audience(frozenset(self.concerned)) if self.secret else MEMBERS


class Defined(_OfQuest):
    """There is a new quest, or a new version of one. A generated one names its template and what it comes from."""

    message_type = "quests.defined"

    quest_id: UUID
    definition: QuestDefinition
    template: str | None = None
    origin_id: UUID | None = None


class Removed(_OfQuest):
    """There is a quest less."""

    message_type = "quests.removed"


class _OfTaking(_OfQuest):
    subjects = ("taker_id",)

    taker_id: UUID
    taking_id: UUID

    def audience(self) -> Audience:
        """Of a secret quest, who takes it, and those concerned."""
        return Audience(frozenset({self.taker_id, *self.concerned})) if self.secret else MEMBERS


class Offered(_OfTaking):
    """A quest was offered to somebody."""

    message_type = "quests.offered"

    due_at: int | None


class Declined(_OfTaking):
    """Somebody said no to a quest."""

    message_type = "quests.declined"

    character_id: UUID


class Accepted(_OfTaking):
    """Somebody took a quest on. It is over for them at `due_at` (world ms), if that is not null."""

    message_type = "quests.accepted"

    character_id: UUID
    due_at: int | None
    open: list[str]


class ObjectiveReached(_OfTaking):
    """Somebody reached an objective, which opened and ruled out others."""

    message_type = "quests.objective_reached"

    objective: str
    objective_name: str
    opened: list[str]
    closed: list[str]


class _Ended(_OfTaking):
    """How a quest ended for somebody. The changes are those that came about, with their factions by id."""

    outcome: str
    outcome_name: str | None
    points: int
    currency: str
    title: str | None
    reward_refused: str | None = None
    opinions: list[OpinionChange] = []
    trust: list[TrustChange] = []
    tension: list[TensionChange] = []
    talks: list[LeanChange] = []
    reason: str | None = None


class Finished(_Ended):
    """Somebody finished a quest."""

    message_type = "quests.finished"


class Failed(_Ended):
    """Somebody failed a quest."""

    message_type = "quests.failed"


class Abandoned(_Ended):
    """Somebody gave a quest up."""

    message_type = "quests.abandoned"


class Expired(_Ended):
    """The time for a quest, or for its offer, was over."""

    message_type = "quests.expired"
