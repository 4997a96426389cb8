"""What may be told of incidents, coalitions and sanctions as they stand, by imports and by game masters.

Beside `history_commands`, which has the wars. Pure.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.diplomacy import ladder, threats
from fablewright.systems.diplomacy.history_commands import (
    HISTORY_EXISTS,
    HISTORY_UNSOUND,
    Fault,
    Many,
    within,
)
from fablewright.systems.diplomacy.ladder import Answer, IncidentKind, IncidentStage, Rung
from fablewright.systems.diplomacy.war_commands import (
    ALREADY_SANCTIONING,
    ONE,
    TOO_MUCH_FORBIDDEN,
    TWO,
    Good,
    LiftCondition,
    Long,
    Money,
    Share,
    Text,
    WorldMs,
)
from fablewright.systems.factions.rules import FACTION_DISSOLVED, FACTION_NOT_FOUND
from fablewright.systems.ledger.rules import CURRENCY_NOT_FOUND, INSUFFICIENT_FUNDS
from fablewright.systems.markets.rules import GOOD_NOT_FOUND
from fablewright.systems.regions.rules import REGION_NOT_FOUND

MOST_MEMBERS: Final = 500
OF_HISTORY: Final = (HISTORY_UNSOUND, HISTORY_EXISTS, FACTION_NOT_FOUND, FACTION_DISSOLVED)

SanctionKind = Literal["embargo", "tariff", "asset_freeze", "travel_ban"]
Currency = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
Reason = Annotated[Text, Field(min_length=1, max_length=500)]
Fear = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class MemberValue(BaseModel):
    """A faction that takes part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faction_id: UUID
    since: WorldMs | None = Field(None, description="World ms; left out: from the beginning.")


class CoalitionMemberValue(MemberValue):
    """A faction that belongs to a coalition."""

    fear: Fear = Field(0.0, description="How much it feared the target when it joined.")


# -- incidents -------------------------------------------------------------------------------------------------


class ImportIncident(Command):
    """Bring in an incident as it stands, or one that is over. What the two think of each other is not touched."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "spying", "injured_id": ONE, "accused_id": TWO, "severity": 0.6, "rung": "sanctions",
                 "since": 0}
            ]
        }
    )  # fmt: skip
    message_type = "diplomacy.import_incident"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (*OF_HISTORY, REGION_NOT_FOUND)

    id: UUID | None = None
    kind: IncidentKind
    injured_id: UUID
    accused_id: UUID
    severity: Share
    evidence: Share = 1.0
    description: Long = ""
    region_id: UUID | None = None
    follows_id: UUID | None = Field(None, description="The incident that it answers.")
    state: IncidentStage = "open"
    rung: Rung | None = Field(None, description="How far it has gone; left out: no further than it began.")
    answer: Answer | None = Field(None, description="How the accused has answered last.")
    paid: Money = 0
    tried: Many = Field(0, description="How often a settlement was tried and turned down.")
    since: WorldMs | None = Field(None, description="World ms; left out: now.")
    changed_at: WorldMs | None = Field(
        None, description="When something happened in it last; left out: when it began."
    )
    answer_by: WorldMs | None = Field(None, description="World ms; left out: ten days after it began.")
    closed_at: WorldMs | None = Field(None, description="World ms; of one that is settled or faded.")

    def place(self) -> int:
        """Its place on the ladder."""
        if self.rung is not None:
            return ladder.LADDER.index(self.rung)
        return ladder.first_rung(self.kind, self.severity, self.evidence)


def faults_of_incident(told: ImportIncident, now: int) -> list[Fault]:
    """What of an incident, as it is told at world time `now` (ms), cannot have been."""
    return list(_of_incident(told, now))


def _of_incident(told: ImportIncident, now: int) -> Iterator[Fault]:
    if told.injured_id == told.accused_id:
        yield "accused_id", "nobody holds itself responsible: name another faction"
    if told.state == "answered" and told.answer is None:
        yield "state", "say in `answer` how it was answered"
    elif told.state == "open" and told.answer is not None:
        yield "state", "it has an answer: it is `answered`, or over"
    if (told.closed_at is not None) != (told.state in ("settled", "faded")):
        yield "closed_at", "what is settled or faded says since when, and nothing else"
    begun = now if told.since is None else told.since
    yield from within("since", told.since, None, now, now)
    yield from within("changed_at", told.changed_at, begun, told.closed_at, now)
    yield from within("closed_at", told.closed_at, begun, now, now)
    if told.follows_id is not None and told.follows_id == told.id:
        yield "follows_id", "it answers another incident, not itself"


# -- coalitions ------------------------------------------------------------------------------------------------


class ImportCoalition(Command):
    """Bring in a coalition that stands. What its members and its target think of each other is not touched."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"target_id": TWO, "members": [{"faction_id": ONE, "fear": 40}], "since": 0}]
        }
    )
    message_type = "diplomacy.import_coalition"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (*OF_HISTORY, threats.COALITION_STANDS)

    id: UUID | None = None
    target_id: UUID
    since: WorldMs | None = Field(None, description="World ms; left out: now.")
    members: list[CoalitionMemberValue] = Field(min_length=1, max_length=MOST_MEMBERS)


def faults_of_coalition(told: ImportCoalition, now: int) -> list[Fault]:
    """What of a coalition, as it is told at world time `now` (ms), cannot have been."""
    return [*within("since", told.since, None, now, now), *_of_members(told, told.members, now)]


# -- sanctions -------------------------------------------------------------------------------------------------


class ImportSanction(Command):
    """Bring in a sanction that is in force. It binds at once; what the two think of each other is not touched."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"target_id": TWO, "kind": "embargo", "reason": "Until the border is quiet.", "since": 0,
                 "members": [{"faction_id": ONE}], "lift_when": [{"kind": "tension_below", "value": 20}]}
            ]
        }
    )  # fmt: skip
    message_type = "diplomacy.import_sanction"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        *OF_HISTORY, ladder.INCIDENT_NOT_FOUND, threats.NOT_ITS_INCIDENT, threats.COALITION_NOT_FOUND,
        threats.COALITION_OVER, ALREADY_SANCTIONING, GOOD_NOT_FOUND, CURRENCY_NOT_FOUND, INSUFFICIENT_FUNDS,
        *TOO_MUCH_FORBIDDEN,
    )  # fmt: skip

    id: UUID | None = Field(
        None, description="Left out, it must differ from those in which a member takes part already."
    )
    target_id: UUID
    kind: SanctionKind
    good: Good | None = Field(None, description="Only this good; left out, all of them.")
    rate: Share = Field(0.0, description="Of a tariff.")
    reason: Reason
    incident_id: UUID | None = None
    coalition_id: UUID | None = Field(None, description="The coalition that imposed it.")
    frozen: Money | None = Field(
        None, description="What of the target's treasury a freeze holds; left out: all that it can spend now."
    )
    currency: Currency | None = Field(None, description="Of what is frozen; left out: that of its treasury.")
    lift_when: list[LiftCondition] = Field([], max_length=4)
    since: WorldMs | None = Field(None, description="World ms; left out: now.")
    until_at: WorldMs | None = Field(None, description="World ms; left out: until it is lifted.")
    members: list[MemberValue] = Field(min_length=1, max_length=MOST_MEMBERS)


def faults_of_sanction(told: ImportSanction, now: int) -> list[Fault]:
    """What of a sanction, as it is told at world time `now` (ms), cannot be."""
    return [*_of_shape(told, now), *_of_members(told, told.members, now)]


def _of_shape(told: ImportSanction, now: int) -> Iterator[Fault]:
    yield from within("since", told.since, None, now, now)
    if told.until_at is not None and told.until_at <= now:
        yield "until_at", f"it is over: it is {now}, so leave the sanction out"
    if (told.kind == "tariff") != (told.rate > 0):
        yield "rate", "a tariff has a rate above 0, and nothing else has one"
    if told.good is not None and told.kind not in ("embargo", "tariff"):
        yield "good", "only an embargo or a tariff is of a good"
    if told.frozen and told.kind != "asset_freeze":
        yield "frozen", "only a freeze of assets holds any"
    if told.currency is not None and not told.frozen:
        yield "currency", "it is that of what is frozen: say in `frozen` how much, or leave it out"
    for number, condition in enumerate(told.lift_when):
        if condition.kind == "incident_settled" and told.incident_id is None:
            yield f"lift_when.{number}", "name the incident that is to be settled"
        elif condition.kind == "tension_below" and condition.value <= 0:
            yield f"lift_when.{number}.value", "no tension is below 0: say below which it shall be"


# -- helpers -------------------------------------------------------------------------------------------------


def _of_members(told: Any, members: Sequence[MemberValue], now: int) -> Iterator[Fault]:
    """That each stands there once, is not the target, and has not joined before the beginning."""
    seen: set[UUID] = set()
    begun = now if told.since is None else told.since
    for number, member in enumerate(members):
        path = f"members.{number}"
        if member.faction_id in seen:
            yield f"{path}.faction_id", "it stands there already: name it once"
        seen.add(member.faction_id)
        if member.faction_id == told.target_id:
            yield f"{path}.faction_id", "it is the target: nobody stands against itself"
        yield from within(f"{path}.since", member.since, begun, now, now)
