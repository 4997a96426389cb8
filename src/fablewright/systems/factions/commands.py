"""What may be asked about factions, and by whom.

Commands that members may give too carry `character_id`: as whom they act. Game masters may leave it out.
"""

from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.factions.rules import (
    ALREADY_A_MEMBER,
    CHARACTER_NOT_FOUND,
    DEFAULT_RANKS,
    FACTION_DISSOLVED,
    FACTION_EXISTS,
    FACTION_NAME_TAKEN,
    FACTION_NOT_FOUND,
    HEIR_IS_ITSELF,
    MOST_TROOPS,
    NAME_WHO_ACTS,
    NOT_A_MEMBER,
    ONLY_THE_LEADER,
    PAYEE_NOT_FOUND,
    RANK_IN_USE,
    RANK_TOO_LOW,
    RANK_UNKNOWN,
    REGION_NOT_FOUND,
    ROLE_IS_THE_LEADERS,
    ROLE_MAY_NOT,
    ROLE_UNKNOWN,
    TOO_MANY_FACTIONS,
    TOO_MANY_TROOPS,
    Act,
)
from fablewright.systems.ledger.rules import (
    BALANCE_LIMIT,
    CURRENCY_NOT_FOUND,
    INSUFFICIENT_FUNDS,
    MOST_AMOUNT,
    REFERENCE_REUSED,
    SAME_ACCOUNT,
)

MOST_FACTIONS: Final = 1_000
"""Factions of a world that are not dissolved."""
MOST_MEMBERS: Final = 200
"""Members that one command names, so that its event stays small."""
MOST_AXES: Final = 8
MOST_ROLES: Final = 20
MOST_RANKS: Final = 20

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
]
Word = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=r"^[^\x00-\x1f]*$")
]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
Description = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00]*$")]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Color = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Stand = Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]
Troops = Annotated[float, Field(ge=0.0, le=MOST_TROOPS, allow_inf_nan=False)]
Standing = Annotated[float, Field(ge=-100.0, le=100.0, allow_inf_nan=False)]
Amount = Annotated[int, Field(ge=1, le=MOST_AMOUNT)]
WorldMs = Annotated[int, Field(gt=-(2**52), lt=2**52)]


def _each_once(items: list[Any]) -> list[Any]:
    if len(set(items)) < len(items):
        raise ValueError("name each once")
    return items


Ideology = Annotated[dict[Key, Stand], Field(max_length=MOST_AXES)]
Acts = Annotated[list[Act], Field(max_length=50), AfterValidator(_each_once)]
Roles = Annotated[dict[Key, Acts], Field(max_length=MOST_ROLES)]
Ranks = Annotated[list[Word], Field(min_length=1, max_length=MOST_RANKS), AfterValidator(_each_once)]
As = Annotated[
    UUID | None, Field(description="As which character you act. Only game masters may leave it out.")
]


class TraitsValue(BaseModel):
    """How a faction tends to act, each 0..1 with 0.5 for the average."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    aggressive: Share = 0.5
    honourable: Share = 0.5
    mercantile: Share = 0.5
    isolationist: Share = 0.5


class MemberValue(BaseModel):
    """Who shall belong to a faction, as what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    character_id: UUID
    rank: Word | None = Field(None, description="Left out: the lowest; for the leader the highest.")
    role: Key | None = Field(None, description="Such as ambassador. The leader is the ruler without it.")


class FactionFields(BaseModel):
    """What a faction is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: Word = Field("realm", description="Any word, such as realm, guild, cult, tribe.")
    description: Description = ""
    color: Color = Field("#808080", description="On maps and in graphs.")
    ideology: Ideology = Field({}, description="Stands on axes of the world's own choosing, each -1 to 1.")
    traits: TraitsValue = TraitsValue()
    currency: Key = Field("points", description="In which currency its treasury is kept.")
    roles: Roles | None = Field(
        None,
        description="For each diplomatic role, what it may do; left out: ruler, ambassador, general, spymaster. "
        "The ruler (the leader) may do everything unless it is listed.",
    )
    ranks: Ranks = Field(list(DEFAULT_RANKS), description="Highest first.")
    capital_id: UUID | None = Field(None, description="The region in which it has its seat.")
    self_run: bool = Field(False, description="Whether it acts by itself, driven by the director.")


EXAMPLE: Final[dict[str, Any]] = {
    "name": "House Ash",
    "kind": "realm",
    "color": "#8a3b12",
    "ideology": {"crown": 0.8, "old_gods": -0.3},
    "traits": {"aggressive": 0.7, "honourable": 0.4, "mercantile": 0.3, "isolationist": 0.2},
    "ranks": ["lord", "knight", "squire"],
    "strength": 1200,
}


class FoundFaction(FactionFields, Command):
    """Bring a faction into the world, with its first members."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})
    message_type = "factions.found_faction"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        FACTION_EXISTS, FACTION_NAME_TAKEN, TOO_MANY_FACTIONS, REGION_NOT_FOUND, CURRENCY_NOT_FOUND,
        CHARACTER_NOT_FOUND, ALREADY_A_MEMBER, RANK_UNKNOWN, ROLE_UNKNOWN, ROLE_IS_THE_LEADERS, BALANCE_LIMIT,
    )  # fmt: skip

    id: UUID | None = None
    leader_id: UUID | None = Field(None, description="Its leader, who belongs to it.")
    members: list[MemberValue] = Field([], max_length=MOST_MEMBERS)
    treasury: int = Field(0, ge=0, le=MOST_AMOUNT, description="What it begins with; it comes from the mint.")
    reputation: Standing = 0.0
    strength: Troops = Field(0.0, description="Its troops.")
    founded_at: WorldMs | None = Field(None, description="World ms, not later than now; left out: now.")

    @model_validator(mode="after")
    def _each_member_once(self) -> Self:
        _each_once([member.character_id for member in self.members])
        return self


class ChangeFaction(Command):
    """Change what a faction is; what is left out or null stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"faction_id": "01890a5d-ac96-774b-bcce-b302099a9001", "self_run": True}]
        }
    )
    message_type = "factions.change_faction"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        FACTION_NOT_FOUND, FACTION_DISSOLVED, FACTION_NAME_TAKEN, REGION_NOT_FOUND, CURRENCY_NOT_FOUND, RANK_IN_USE,
    )  # fmt: skip

    faction_id: UUID
    name: Name | None = None
    kind: Word | None = None
    description: Description | None = None
    color: Color | None = None
    ideology: Ideology | None = None
    traits: TraitsValue | None = None
    currency: Key | None = Field(
        None, description="What is in the old currency stays, and is spent by naming it."
    )
    roles: Roles | None = None
    ranks: Ranks | None = None
    capital_id: UUID | None = None
    remove_capital: bool = False
    self_run: bool | None = None


class DissolveFaction(Command):
    """End a faction. Its members are free, its past stays; what it owns and its regions go to the heir.

    Without an heir its money, of all currencies, goes to the sink, its goods are gone, and nobody holds the regions.
    A game master may, or its leader.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"faction_id": "01890a5d-ac96-774b-bcce-b302099a9001", "reason": "The line died out."}
            ]
        }
    )
    message_type = "factions.dissolve_faction"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ONLY_THE_LEADER, NAME_WHO_ACTS, HEIR_IS_ITSELF,
        BALANCE_LIMIT,
    )  # fmt: skip

    faction_id: UUID
    heir_id: UUID | None = Field(None, description="Another faction.")
    reason: Reason = ""
    character_id: As = None


class AddMember(Command):
    """Let a character join a faction. A game master may, or a member who may manage members: then below its rank."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "faction_id": "01890a5d-ac96-774b-bcce-b302099a9001",
                    "member_id": "01890a5d-ac96-774b-bcce-b302099a8058",
                    "rank": "member",
                    "role": "ambassador",
                }
            ]
        }
    )
    message_type = "factions.add_member"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        FACTION_NOT_FOUND, FACTION_DISSOLVED, CHARACTER_NOT_FOUND, ALREADY_A_MEMBER, RANK_UNKNOWN, ROLE_UNKNOWN,
        ROLE_IS_THE_LEADERS, NOT_A_MEMBER, ROLE_MAY_NOT, RANK_TOO_LOW, NAME_WHO_ACTS,
    )  # fmt: skip

    faction_id: UUID
    member_id: UUID
    rank: Word | None = Field(None, description="Left out: the lowest.")
    role: Key | None = None
    character_id: As = None


class RemoveMember(Command):
    """Send a member away. A game master may, or a member of a higher rank who may manage members."""

    message_type = "factions.remove_member"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ROLE_MAY_NOT, RANK_TOO_LOW, NAME_WHO_ACTS,
    )  # fmt: skip

    faction_id: UUID
    member_id: UUID
    reason: Reason = ""
    character_id: As = None


class SetRank(Command):
    """Give a member another rank or role. A game master may, or a member above both ranks who may manage members."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "faction_id": "01890a5d-ac96-774b-bcce-b302099a9001",
                    "member_id": "01890a5d-ac96-774b-bcce-b302099a8058",
                    "role": "spymaster",
                }
            ]
        }
    )
    message_type = "factions.set_rank"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, RANK_UNKNOWN, ROLE_UNKNOWN, ROLE_IS_THE_LEADERS,
        ROLE_MAY_NOT, RANK_TOO_LOW, NAME_WHO_ACTS,
    )  # fmt: skip

    faction_id: UUID
    member_id: UUID
    rank: Word | None = Field(None, description="Left out or null: it keeps its rank.")
    role: Key | None = Field(None, description="Left out or null: it keeps its role.")
    remove_role: bool = Field(False, description="It has no role any more.")
    character_id: As = None


class Leave(Command):
    """Let a character leave its faction. If it led it, the member of the highest rank follows."""

    message_type = "factions.leave"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (NOT_A_MEMBER, FACTION_NOT_FOUND)

    character_id: UUID
    reason: Reason = ""


class SetLeader(Command):
    """Let another member lead a faction. A game master may, or who leads it now."""

    message_type = "factions.set_leader"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ONLY_THE_LEADER, NAME_WHO_ACTS)

    faction_id: UUID
    member_id: UUID | None = Field(description="Null: nobody leads it. Only game masters may say that.")
    character_id: As = None


class GrantTreasury(Command):
    """Let a sum come into a treasury from the mint."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "faction_id": "01890a5d-ac96-774b-bcce-b302099a9001",
                    "amount": 500,
                    "reason": "The harvest tithe.",
                }
            ]
        }
    )
    message_type = "factions.grant_treasury"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (FACTION_NOT_FOUND, FACTION_DISSOLVED, BALANCE_LIMIT, REFERENCE_REUSED, CURRENCY_NOT_FOUND)

    faction_id: UUID
    amount: Amount
    currency: Key | None = Field(None, description="Left out: that of its treasury.")
    reason: Reason = ""
    reference: Reference | None = Field(None, description="The same again is not granted twice.")


class SpendTreasury(Command):
    """Spend from a treasury: to another faction, a character, or (`to_id` null) for good, to the sink."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "faction_id": "01890a5d-ac96-774b-bcce-b302099a9001",
                    "amount": 40,
                    "reason": "A new roof for the hall.",
                }
            ]
        }
    )
    message_type = "factions.spend_treasury"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ROLE_MAY_NOT, NAME_WHO_ACTS, PAYEE_NOT_FOUND,
        INSUFFICIENT_FUNDS, BALANCE_LIMIT, SAME_ACCOUNT, REFERENCE_REUSED, CURRENCY_NOT_FOUND,
    )  # fmt: skip

    faction_id: UUID
    to_id: UUID | None = None
    amount: Amount
    currency: Key | None = Field(
        None, description="Left out: that of its treasury. What others paid in theirs is spent by naming it."
    )
    reason: Reason = ""
    reference: Reference | None = Field(
        None, description="The same again is not paid twice. Other factions may use the same word."
    )
    character_id: As = None


class SetStrength(Command):
    """Say how many troops a faction has."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "faction_id": "01890a5d-ac96-774b-bcce-b302099a9001",
                    "strength": 900,
                    "reason": "A hard winter.",
                }
            ]
        }
    )
    message_type = "factions.set_strength"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (FACTION_NOT_FOUND, FACTION_DISSOLVED)

    faction_id: UUID
    strength: Troops
    reason: Reason = ""


class Muster(Command):
    """Raise troops and pay for them from the treasury: one unit of the faction's currency for each."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "faction_id": "01890a5d-ac96-774b-bcce-b302099a9001",
                    "troops": 60,
                    "reason": "The border is thinly held.",
                }
            ]
        }
    )
    message_type = "factions.muster"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ROLE_MAY_NOT, NAME_WHO_ACTS, INSUFFICIENT_FUNDS,
        TOO_MANY_TROOPS,
    )  # fmt: skip

    faction_id: UUID
    troops: int = Field(ge=1, le=MOST_TROOPS, description="How many more.")
    reason: Reason = ""
    character_id: As = None


MemberCause = Literal["left", "removed", "died", "dissolved"]
