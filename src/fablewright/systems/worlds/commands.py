"""What may be asked about worlds, and by whom."""

from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from fablewright.core.actors import SIGNED_IN, Allowed, Role, at_least
from fablewright.core.messages import Command, Message, check_free_json
from fablewright.core.refusal import (
    DEAD_LETTER_NOT_FOUND,
    DELIVERY_CANNOT_BE_REPLAYED,
    REPLAY_FAILED,
    REPLAY_IMPOSSIBLE,
    Refusal,
)  # fmt: skip
from fablewright.systems.worlds import rules

RoleLabel = Literal["observer", "player", "game_master", "owner"]


class CalendarSettings(Message):
    """How world time reads as a date (see `core.clock.Calendar`)."""

    months: tuple[str, ...] = Field(min_length=1, max_length=40, description="Names of the months, in order.")
    days_per_month: int = Field(30, ge=1, le=400)
    hours_per_day: int = Field(24, ge=1, le=100)
    start_year: int = Field(1, ge=-1_000_000, le=1_000_000)
    start_hour: int = Field(6, ge=0, le=99, description="The hour of the day at world time 0.")


def _small(settings: dict[str, Any]) -> dict[str, Any]:
    check_free_json(settings, 16_384)
    return settings


FreeSettings = Annotated[
    dict[str, Any],
    AfterValidator(_small),
    Field(description="Free values of the game; at most 16 KiB as JSON."),
]


class CreateWorld(Command):
    """Make a world; whoever makes it owns it."""

    message_type = "worlds.create_world"
    allowed: ClassVar[Allowed] = SIGNED_IN
    refusals: ClassVar[tuple[Refusal, ...]] = (rules.WORLD_ID_TAKEN,)
    founds_world: ClassVar[bool] = True
    unlogged: ClassVar[frozenset[str]] = frozenset({"seed"})

    id: UUID | None = Field(None, description="Leave it out, unless you copy a world.")
    name: str = Field(min_length=1, max_length=200, examples=["The Vale of Ash"])
    description: str = Field("", max_length=4_000)
    seed: int | None = Field(
        None, ge=0, lt=2**63, description="Secret seed of its chance; random if left out."
    )
    rate: float = Field(1.0, gt=0, le=100_000, description="World milliseconds per real millisecond.")
    paused: bool = False
    begins_at: int = Field(0, gt=-(2**52), lt=2**52, description="World time (ms) at which its clock starts.")
    calendar: CalendarSettings | None = None
    settings: FreeSettings = {}


class UpdateWorld(Command):
    """Change what is given; the rest stays."""

    message_type = "worlds.update_world"
    allowed: ClassVar[Allowed] = at_least(Role.GAME_MASTER, while_advancing=True)

    name: str | None = Field(None, min_length=1, max_length=200)
    description: str | None = Field(None, max_length=4_000)
    settings: FreeSettings | None = None


class DeleteWorld(Command):
    """Delete a world and all that is in it, its log too. It cannot be undone."""

    message_type = "worlds.delete_world"
    allowed: ClassVar[Allowed] = at_least(Role.OWNER, while_advancing=True)


class SetClock(Command):
    """Change how fast the world's time runs, or stop it, or let it run on. Time does not jump."""

    message_type = "worlds.set_clock"
    allowed: ClassVar[Allowed] = at_least(Role.GAME_MASTER)

    rate: float | None = Field(None, gt=0, le=100_000, description="World milliseconds per real millisecond.")
    paused: bool | None = None


class AdvanceWorld(Command):
    """Fast-forward the world, as a job: what falls due on the way happens at its time, in order."""

    message_type = "worlds.advance_world"
    allowed: ClassVar[Allowed] = at_least(Role.GAME_MASTER)
    refusals: ClassVar[tuple[Refusal, ...]] = (rules.ADVANCE_BACKWARDS, rules.ADVANCE_TOO_FAR)

    by_ms: int | None = Field(
        None, gt=0, lt=2**52, description="By how much world time.", examples=[3_600_000]
    )
    to_ms: int | None = Field(None, gt=-(2**52), lt=2**52, description="To which world time.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.by_ms is None) == (self.to_ms is None):
            raise ValueError("give exactly one of by_ms and to_ms")
        return self


class StopAdvance(Command):
    """Stop an advance where it is."""

    message_type = "worlds.stop_advance"
    allowed: ClassVar[Allowed] = at_least(Role.GAME_MASTER, while_advancing=True)
    refusals: ClassVar[tuple[Refusal, ...]] = (rules.NOT_ADVANCING,)


class SetMember(Command):
    """Make an account a member of the world, or give it another role."""

    message_type = "worlds.set_member"
    allowed: ClassVar[Allowed] = at_least(Role.GAME_MASTER, while_advancing=True)
    refusals: ClassVar[tuple[Refusal, ...]] = (rules.USER_NOT_FOUND, rules.ROLE_ABOVE_YOURS, rules.LAST_OWNER)

    user_id: UUID
    role: RoleLabel


class RemoveMember(Command):
    """Take an account out of the world."""

    message_type = "worlds.remove_member"
    allowed: ClassVar[Allowed] = at_least(Role.GAME_MASTER, while_advancing=True)
    refusals: ClassVar[tuple[Refusal, ...]] = (
        rules.MEMBER_NOT_FOUND,
        rules.ROLE_ABOVE_YOURS,
        rules.LAST_OWNER,
    )

    user_id: UUID


class LeaveWorld(Command):
    """Leave the world oneself."""

    message_type = "worlds.leave_world"
    allowed: ClassVar[Allowed] = at_least(Role.OBSERVER, while_advancing=True)
    refusals: ClassVar[tuple[Refusal, ...]] = (rules.LAST_OWNER,)


class ReplayDeadLetter(Command):
    """Do now what failed then."""

    message_type = "worlds.replay_dead_letter"
    allowed: ClassVar[Allowed] = at_least(Role.GAME_MASTER)
    refusals: ClassVar[tuple[Refusal, ...]] = (
        DEAD_LETTER_NOT_FOUND, REPLAY_FAILED, REPLAY_IMPOSSIBLE, DELIVERY_CANNOT_BE_REPLAYED,
    )  # fmt: skip

    dead_letter_id: UUID


class DropDeadLetter(Command):
    """Give up what failed; the letter stays as a record."""

    message_type = "worlds.drop_dead_letter"
    allowed: ClassVar[Allowed] = at_least(Role.GAME_MASTER)
    refusals: ClassVar[tuple[Refusal, ...]] = (DEAD_LETTER_NOT_FOUND,)

    dead_letter_id: UUID
