"""What may be asked about incidents, sanctions, ultimatums and wars, and by whom.

Players act for a faction through one of its members (`character_id`) whose role may do this; game masters may leave
the character out.
"""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal
from fablewright.systems.diplomacy import battle, clauses, ladder, threats
from fablewright.systems.diplomacy.battle import Cause
from fablewright.systems.diplomacy.clauses import Clause
from fablewright.systems.diplomacy.ladder import Answer, IncidentKind
from fablewright.systems.diplomacy.rules import STATUS_MOVE_ILLEGAL, TRUCE_HOLDS
from fablewright.systems.diplomacy.treaty_commands import AMOUNT_NOT_COVERED, PARTY_DISSOLVED
from fablewright.systems.factions.rules import (
    FACTION_DISSOLVED,
    FACTION_NOT_FOUND,
    NAME_WHO_ACTS,
    NOT_A_MEMBER,
    ROLE_MAY_NOT,
)
from fablewright.systems.ledger.rules import INSUFFICIENT_FUNDS
from fablewright.systems.markets.rules import GOOD_NOT_FOUND, TOO_MANY_RESTRICTIONS
from fablewright.systems.regions.rules import REGION_NOT_FOUND, TOO_MANY_BANS

Text = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00]*$")]
Words = Annotated[Text, Field(min_length=1, max_length=200)]
Long = Annotated[Text, Field(max_length=2000)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
WorldMs = Annotated[int, Field(gt=-(2**52), lt=2**52)]
Money = Annotated[int, Field(ge=0, le=2**53)]
Good = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]

ACTING: Final = (FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ROLE_MAY_NOT, NAME_WHO_ACTS)
TOO_MUCH_FORBIDDEN: Final = (TOO_MANY_RESTRICTIONS, TOO_MANY_BANS)
BY_MEMBER: Final = at_least(Role.PLAYER, acts_as=("character_id",))
ANOTHER_REASON: Final = "01890a5d-ac96-774b-bcce-b302099a8090"
ONE: Final = "01890a5d-ac96-774b-bcce-b302099a8091"
TWO: Final = "01890a5d-ac96-774b-bcce-b302099a8092"
SANCTION_NOT_FOUND = Refusal(
    "sanction_not_found", NOT_FOUND, "There is no such sanction in this world. Look it up in the list."
)
SANCTION_LIFTED = Refusal("sanction_lifted", CONFLICT, "The sanction was lifted already. Impose a new one.")
SANCTION_SHAPE = Refusal(
    "sanction_shape",
    INVALID,
    "A tariff has a rate above 0, only tariffs and embargoes are of a good, and no tension falls below 0.",
)
SANCTION_ON_ONESELF = Refusal(
    "sanction_on_oneself", INVALID, "A faction does not sanction itself. Name another target."
)
NOT_IN_SANCTION = Refusal(
    "not_in_sanction", CONFLICT, "The faction takes no part in this sanction. Name one that does, or join it."
)
ALREADY_SANCTIONING = Refusal(
    "already_sanctioning",
    CONFLICT,
    "The faction takes part in such a sanction of this target already. Leave that first, or let it stand.",
)
DEADLINE_IN_THE_PAST = Refusal(
    "deadline_in_the_past", INVALID, "The time named is over. Choose one that is still to come."
)
EVENT_NOT_FOUND = Refusal(
    "evidence_not_found",
    NOT_FOUND,
    "There is no such event in this world's log. Leave the evidence out, or mend it.",
)


class Acting(Command):
    """Something done in a faction's name by one of its members."""

    character_id: UUID | None = Field(
        None, description="Which member acts; only game masters may leave it out."
    )


# -- incidents -------------------------------------------------------------------------------------------------


class ReportIncident(Acting):
    """Hold a faction responsible for something done to another. It raises the tension of the two at once.

    `evidence` says how plain it is: 0 is a mere suspicion, 1 beyond doubt. A member's word without an event about the
    accused that shows it is hearsay, worth 0.4 at most.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "spying", "injured_id": ONE, "accused_id": TWO, "severity": 0.6, "evidence": 0.8,
                 "description": "A scribe was found with copies of our harbour plans."}
            ]
        }
    )  # fmt: skip
    message_type = "diplomacy.report_incident"
    allowed = BY_MEMBER
    refusals = (*ACTING, ladder.INCIDENT_WITH_ONESELF, EVENT_NOT_FOUND, REGION_NOT_FOUND)

    kind: IncidentKind
    injured_id: UUID
    accused_id: UUID
    severity: Share
    evidence: Share = 1.0
    description: Long = ""
    region_id: UUID | None = None
    event_id: UUID | None = Field(None, description="The event of this world's log that shows it.")


class OfIncident(Acting):
    """Something done about an incident."""

    incident_id: UUID


class AnswerIncident(OfIncident):
    """The accused apologises, pays, denies or strikes back. Reparation that suffices settles it by itself."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"incident_id": ONE, "answer": "reparation", "amount": 250}]}
    )
    message_type = "diplomacy.answer_incident"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, ladder.INCIDENT_NOT_FOUND, ladder.INCIDENT_CLOSED, ladder.ANSWER_ILLEGAL,
        ladder.REPARATION_TOO_SMALL, ladder.REPARATION_MISPLACED, INSUFFICIENT_FUNDS,
    )  # fmt: skip

    answer: Answer
    amount: Money = Field(0, description="What is paid with `reparation`, in the currency of the injured.")


class SettleIncident(OfIncident):
    """The injured takes an apology, or forgives without one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"incident_id": ONE, "forgive": True}]})
    message_type = "diplomacy.settle_incident"
    allowed = BY_MEMBER
    refusals = (*ACTING, ladder.INCIDENT_NOT_FOUND, ladder.INCIDENT_CLOSED, ladder.SETTLEMENT_ILLEGAL)

    forgive: bool = False


class EscalateIncident(OfIncident):
    """The injured goes a rung up the ladder."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"incident_id": ONE}]})
    message_type = "diplomacy.escalate_incident"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, ladder.INCIDENT_NOT_FOUND, ladder.INCIDENT_CLOSED, ladder.LADDER_AT_TOP,
        ladder.TOO_EARLY_TO_ESCALATE,
    )  # fmt: skip


# -- wars ------------------------------------------------------------------------------------------------------


class DeclareWar(Acting):
    """Go to war. The cause says how just it seems to others; a war without one frightens the neighbours.

    `cause_id` names the incident, ultimatum, coalition, broken treaty, lost region or war that the cause is; left out,
    it is looked for, but for an incident. `conquest` and `ideology` have none.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"attacker_id": ONE, "defender_id": TWO, "cause": "conquest",
                 "reason": "The river is ours by right."}
            ]
        }
    )  # fmt: skip
    message_type = "diplomacy.declare_war"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, battle.WAR_WITH_ONESELF, battle.ALREADY_AT_WAR, battle.CAUSE_UNFOUNDED, STATUS_MOVE_ILLEGAL,
        TRUCE_HOLDS,
    )  # fmt: skip

    attacker_id: UUID
    defender_id: UUID
    cause: Cause = "conquest"
    cause_id: UUID | None = None
    reason: Long = ""
    name: Annotated[Text, Field(max_length=200)] = ""


class OfWar(Acting):
    """Something a faction does in a war."""

    war_id: UUID
    faction_id: UUID = Field(description="Which party acts.")


class CallToArms(OfWar):
    """A party asks a faction to fight on its side."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"war_id": ONE, "faction_id": TWO, "ally_id": ANOTHER_REASON}]}
    )
    message_type = "diplomacy.call_to_arms"
    allowed = BY_MEMBER
    refusals = (*ACTING, battle.WAR_NOT_FOUND, battle.WAR_OVER, battle.NOT_AT_WAR, battle.ALREADY_AT_WAR)

    ally_id: UUID


class AnswerCall(OfWar):
    """A faction that was called comes, or refuses, which its friend will not forget."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"war_id": ONE, "faction_id": TWO, "come": True}]}
    )
    message_type = "diplomacy.answer_call"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, battle.WAR_NOT_FOUND, battle.WAR_OVER, battle.NO_CALL, STATUS_MOVE_ILLEGAL, TRUCE_HOLDS,
    )  # fmt: skip

    come: bool


class FightBattle(OfWar):
    """A party seeks battle with an enemy, who meets it with all it has; chance is the world's.

    With a region, it is fought there, on its ground.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"war_id": ONE, "faction_id": TWO, "enemy_id": ANOTHER_REASON, "troops": 800}]
        }
    )
    message_type = "diplomacy.fight_battle"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, battle.WAR_NOT_FOUND, battle.WAR_OVER, battle.NOT_AT_WAR, battle.SAME_SIDE, battle.NO_TROOPS,
        battle.NOT_OF_THE_ENEMY, battle.NOT_ENEMIES, TOO_MANY_BANS,
    )  # fmt: skip

    enemy_id: UUID
    region_id: UUID | None = Field(
        None, description="Where; one that the enemy holds. Who wins there takes it."
    )
    troops: float | None = Field(None, gt=0, le=1e9, allow_inf_nan=False, description="Left out: all it has.")


class MakePeace(OfWar):
    """Both leaders of a war end it. Regions named change hands, others go back to who held them before.

    Both must want it: the enemy's leader says so with `agreed_by`. Whoever asks acts for both, as a game master does or
    who controls both characters; two players make peace by a treaty.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"war_id": ONE, "faction_id": TWO}]})
    message_type = "diplomacy.make_peace"
    allowed = at_least(Role.PLAYER, acts_as=("character_id", "agreed_by"))
    refusals = (
        *ACTING, battle.WAR_NOT_FOUND, battle.WAR_OVER, battle.NOT_A_LEADER, battle.NOT_OF_THE_ENEMY, TOO_MANY_BANS,
    )  # fmt: skip

    agreed_by: UUID | None = Field(None, description="The member of the other leader that agrees.")
    keep: list[UUID] = Field(
        [], max_length=200, description="Occupied regions that stay with their occupiers."
    )


# -- sanctions -------------------------------------------------------------------------------------------------


class LiftCondition(BaseModel):
    """When a sanction ends by itself: all of its conditions hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["incident_settled", "tension_below", "opinion_above", "peace"]
    value: float = Field(0.0, ge=-100, le=100, allow_inf_nan=False, description="For tension and opinion.")


class ImposeSanction(Acting):
    """Sanction a faction, alone or as a bloc's first. It binds markets, ledger and travel at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"faction_id": ONE, "target_id": TWO, "kind": "embargo", "reason": "Until the border is quiet.",
                 "lift_when": [{"kind": "tension_below", "value": 20}]}
            ]
        }
    )  # fmt: skip
    message_type = "diplomacy.impose_sanction"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, SANCTION_ON_ONESELF, SANCTION_SHAPE, DEADLINE_IN_THE_PAST, ladder.INCIDENT_NOT_FOUND,
        threats.NOT_IN_COALITION, threats.NOT_ITS_INCIDENT, ALREADY_SANCTIONING, GOOD_NOT_FOUND, *TOO_MUCH_FORBIDDEN,
    )  # fmt: skip

    faction_id: UUID
    target_id: UUID
    kind: Literal["embargo", "tariff", "asset_freeze", "travel_ban"]
    good: Good | None = Field(None, description="Only this good; left out, all of them.")
    rate: Share = Field(0.0, description="Of a tariff.")
    reason: Annotated[Text, Field(min_length=1, max_length=500)]
    incident_id: UUID | None = None
    until_at: WorldMs | None = Field(None, description="World time in ms; left out: until it is lifted.")
    lift_when: list[LiftCondition] = Field([], max_length=4)
    for_coalition: bool = Field(
        False, description="Whether all members of its coalition against the target take part, now and later."
    )


class OfSanction(Acting):
    """Something a faction does about a sanction."""

    sanction_id: UUID
    faction_id: UUID


class JoinSanction(OfSanction):
    """Take part in a sanction of others."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sanction_id": ONE, "faction_id": TWO}]})
    message_type = "diplomacy.join_sanction"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, SANCTION_NOT_FOUND, SANCTION_LIFTED, ALREADY_SANCTIONING, SANCTION_ON_ONESELF, GOOD_NOT_FOUND,
        *TOO_MUCH_FORBIDDEN,
    )  # fmt: skip


class LeaveSanction(OfSanction):
    """Take part no more. When the last member leaves, the sanction is lifted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sanction_id": ONE, "faction_id": TWO}]})
    message_type = "diplomacy.leave_sanction"
    allowed = BY_MEMBER
    refusals = (*ACTING, SANCTION_NOT_FOUND, SANCTION_LIFTED, NOT_IN_SANCTION)


# -- ultimatums ------------------------------------------------------------------------------------------------


class Consequence(BaseModel):
    """What comes by itself if the demands are not met. `sanction`, `good` and `rate` are of a sanction."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: threats.Threat
    sanction: Literal["embargo", "tariff", "asset_freeze", "travel_ban"] = "embargo"
    good: Good | None = None
    rate: Share = 0.0
    incident: IncidentKind = Field("insult", description="As what the target's defiance is reported.")
    severity: Share = Field(0.5, description="Of such an incident.")


class IssueUltimatum(Acting):
    """Demand something until a deadline, and promise what comes otherwise. Accepted demands become a treaty in force.

    With an incident, that goes to the rung `ultimatum`, and is settled if the demands are met. Some days after a no, or
    silence, the consequence comes by itself; until then the issuer can back down, which costs face.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"faction_id": ONE, "target_id": TWO, "text": "Tear the toll gate down, or we shall.",
                 "demands": [{"type": "custom", "text": "The toll gate at the ford is torn down."}],
                 "consequence": {"kind": "war"}}
            ]
        }
    )  # fmt: skip
    message_type = "diplomacy.issue_ultimatum"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, threats.ULTIMATUM_TO_ONESELF, threats.ULTIMATUM_STANDS, threats.DEMANDS_NOTHING,
        threats.NOT_ITS_INCIDENT, SANCTION_SHAPE, DEADLINE_IN_THE_PAST, ladder.INCIDENT_NOT_FOUND,
        ladder.INCIDENT_CLOSED, battle.ALREADY_AT_WAR, STATUS_MOVE_ILLEGAL, TRUCE_HOLDS, clauses.CLAUSE_UNKNOWN,
        clauses.CLAUSE_STRANGERS, clauses.CLAUSE_WITH_ITSELF, clauses.CLAUSES_CONTRADICT,
    )  # fmt: skip

    faction_id: UUID
    target_id: UUID
    demands: list[Clause] = Field(min_length=1, max_length=10, description="Clauses of the two factions.")
    consequence: Consequence
    text: Long = ""
    deadline: WorldMs | None = Field(
        None, description=f"World time in ms; left out: {threats.ANSWER_DAYS} world days from now."
    )
    duration_days: int | None = Field(
        None, ge=1, le=36_500, description="For how long the demands bind; left out: for good."
    )
    incident_id: UUID | None = Field(None, description="The incident that it is about.")


class AnswerUltimatum(Acting):
    """The target gives in, which makes a treaty of the demands that is in force at once, or says no."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ultimatum_id": ONE, "accept": False}]})
    message_type = "diplomacy.answer_ultimatum"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, threats.ULTIMATUM_NOT_FOUND, threats.ULTIMATUM_CLOSED, PARTY_DISSOLVED, AMOUNT_NOT_COVERED,
        TOO_MANY_RESTRICTIONS,
    )  # fmt: skip

    ultimatum_id: UUID
    accept: bool


class WithdrawUltimatum(Acting):
    """The issuer backs down, before the answer or before the consequence comes. It costs face."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ultimatum_id": ONE}]})
    message_type = "diplomacy.withdraw_ultimatum"
    allowed = BY_MEMBER
    refusals = (*ACTING, threats.ULTIMATUM_NOT_FOUND, threats.ULTIMATUM_CLOSED)

    ultimatum_id: UUID


# -- coalitions ------------------------------------------------------------------------------------------------


class FormCoalition(Acting):
    """Stand against a faction whose aggression frightens its neighbours. Who forms it fears it, and so do others."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"faction_id": ONE, "target_id": TWO}]})
    message_type = "diplomacy.form_coalition"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, threats.COALITION_AGAINST_ONESELF, threats.COALITION_STANDS, threats.TOO_LITTLE_FEAR,
        threats.ALLIED_TO_THE_TARGET,
    )  # fmt: skip

    faction_id: UUID
    target_id: UUID


class OfCoalition(Acting):
    """Something a faction does about a coalition."""

    coalition_id: UUID
    faction_id: UUID


class JoinCoalition(OfCoalition):
    """Stand with those who fear the same: members take part in its sanctions, and are called when one is attacked."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"coalition_id": ONE, "faction_id": TWO}]})
    message_type = "diplomacy.join_coalition"
    allowed = BY_MEMBER
    refusals = (
        *ACTING, threats.COALITION_NOT_FOUND, threats.COALITION_OVER, threats.COALITION_AGAINST_ONESELF,
        threats.IN_COALITION, threats.TOO_LITTLE_FEAR, threats.ALLIED_TO_THE_TARGET, GOOD_NOT_FOUND,
        *TOO_MUCH_FORBIDDEN,
    )  # fmt: skip


class LeaveCoalition(OfCoalition):
    """Stand with them no more. With fewer than two members a coalition is over."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"coalition_id": ONE, "faction_id": TWO}]})
    message_type = "diplomacy.leave_coalition"
    allowed = BY_MEMBER
    refusals = (*ACTING, threats.COALITION_NOT_FOUND, threats.COALITION_OVER, threats.NOT_IN_COALITION)
