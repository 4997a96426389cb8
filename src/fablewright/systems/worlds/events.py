"""What happens to worlds, and who may know."""

from typing import ClassVar
from uuid import UUID

from fablewright.core.messages import GAME_MASTERS, MEMBERS, Audience, Event


class WorldEvent(Event):
    """Every member may know."""

    def audience(self) -> Audience:
        return MEMBERS


class GameMasterEvent(Event):
    """Only game masters may know."""

    def audience(self) -> Audience:
        return GAME_MASTERS


class WorldCreated(WorldEvent):
    """A world was made; always the first event of its log."""

    message_type = "worlds.world_created"

    name: str
    rate: float
    paused: bool


class WorldUpdated(WorldEvent):
    """Name, description or settings are others now; `changed` names which."""

    message_type = "worlds.world_updated"

    changed: list[str]


class WorldDeleted(WorldEvent):
    """Stands in the audit log, since the world's own log is gone."""

    message_type = "worlds.world_deleted"
    subjects: ClassVar[tuple[str, ...]] = ("world_id",)

    world_id: UUID


class ClockSet(WorldEvent):
    """Time goes on from here at another rate, or stands."""

    message_type = "worlds.clock_set"

    rate: float
    paused: bool


class AdvanceStarted(WorldEvent):
    """A fast-forward began."""

    message_type = "worlds.advance_started"

    advance_id: UUID
    from_ms: int
    to_ms: int


class Advanced(WorldEvent):
    """The world has arrived."""

    message_type = "worlds.advanced"

    advance_id: UUID
    from_ms: int
    to_ms: int
    timers_fired: int


class AdvanceStopped(WorldEvent):
    """A fast-forward was stopped where it was."""

    message_type = "worlds.advance_stopped"

    advance_id: UUID
    at_ms: int


class MemberEvent(WorldEvent):
    """Something about one member."""

    subjects: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: UUID


class MemberSet(MemberEvent):
    """Someone became a member, or has another role now."""

    message_type = "worlds.member_set"

    role: str


class MemberRemoved(MemberEvent):
    """Someone was taken out of the world."""

    message_type = "worlds.member_removed"


class MemberLeft(MemberEvent):
    """Someone left the world."""

    message_type = "worlds.member_left"


class DeadLetterReplayed(GameMasterEvent):
    """What had failed was done after all."""

    message_type = "worlds.dead_letter_replayed"

    dead_letter_id: UUID


class DeadLetterDropped(GameMasterEvent):
    """What had failed was given up."""

    message_type = "worlds.dead_letter_dropped"

    dead_letter_id: UUID
