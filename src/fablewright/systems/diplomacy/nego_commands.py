"""What may be asked of negotiations, and by whom.

A member whose role may negotiate acts for its faction (`character_id`); game masters may leave the character out.
"""

from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.core.refusal import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, Refusal
from fablewright.systems.diplomacy import clauses
from fablewright.systems.diplomacy.clauses import MOST_CLAUSES, MOST_DAYS, Clause
from fablewright.systems.diplomacy.treaty_commands import (
    AMOUNT_NOT_COVERED,
    CLAUSE_NAMES_NOBODY,
    PARTY_DISSOLVED,
    TreatyKind,
)
from fablewright.systems.factions.rules import (
    FACTION_DISSOLVED,
    FACTION_NOT_FOUND,
    NAME_WHO_ACTS,
    NOT_A_MEMBER,
    ROLE_MAY_NOT,
)

Approach = Literal["reason", "charm", "bargain", "intimidate"]
"""How a negotiator tries to move the other side; `persuasion.APPROACHES` says which skills count."""
MOST_PARTIES: Final = 10
MOST_OFFERS: Final = 60
"""Offers of one negotiation."""
MOST_TALKS: Final = 10
"""Open negotiations at which the same two factions sit."""

NEGOTIATION_NOT_FOUND = Refusal(
    "negotiation_not_found",
    NOT_FOUND,
    "There is no such negotiation that you may see. Look it up in the list.",
)
NEGOTIATION_OVER = Refusal(
    "negotiation_over", CONFLICT, "The negotiation has ended. Open a new one if there is more to talk about."
)
NOT_AT_THE_TABLE = Refusal(
    "not_at_the_table", CONFLICT, "The faction takes no part in this negotiation. Name one that does."
)
OFFERS_ARE_PRIVATE = Refusal(
    "offers_are_private",
    FORBIDDEN,
    "What a faction makes of an offer only its members and game masters may read.",
)
NEGOTIATES_WITH_ITSELF = Refusal(
    "negotiates_with_itself", INVALID, "A faction does not negotiate with itself. Name others."
)
TOO_MANY_TALKS = Refusal(
    "too_many_talks",
    CONFLICT,
    "The two hold so many talks already. Come to an end in some of them first.",
)
NO_OFFER_STANDS = Refusal(
    "no_offer_stands",
    CONFLICT,
    "No offer stands, or another one than you answer. Read the negotiation again.",
)
OWN_OFFER = Refusal(
    "own_offer", CONFLICT, "The offer is the faction's own, or it agreed already. The others must answer."
)
OFFER_REPEATED = Refusal(
    "offer_repeated",
    CONFLICT,
    "This very offer stands already. Answer it, or change something.",
)
TOO_MANY_OFFERS = Refusal(
    "too_many_offers",
    CONFLICT,
    "So many offers were made that the talks lead nowhere. Accept one, or walk out.",
)
APPROACH_SPENT = Refusal(
    "approach_spent",
    CONFLICT,
    "That was tried since the last offer. Try something else, or make an offer first.",
)

Text = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00]*$")]
ACTING: Final = (FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ROLE_MAY_NOT, NAME_WHO_ACTS)
AT_TABLE: Final = (*ACTING, NEGOTIATION_NOT_FOUND, NEGOTIATION_OVER, NOT_AT_THE_TABLE)
OFFERING: Final = (
    clauses.CLAUSE_UNKNOWN, clauses.CLAUSE_WITH_ITSELF, clauses.CLAUSE_STRANGERS, clauses.CLAUSES_CONTRADICT,
    CLAUSE_NAMES_NOBODY,
)  # fmt: skip
OF_SIGNING: Final = (AMOUNT_NOT_COVERED, PARTY_DISSOLVED, CLAUSE_NAMES_NOBODY)
"""Why what was agreed cannot become a treaty."""
BY_MEMBER: Final = at_least(Role.PLAYER, acts_as=("character_id",))
ONE: Final = "01890a5d-ac96-774b-bcce-b302099a8091"
TWO: Final = "01890a5d-ac96-774b-bcce-b302099a8092"
TALKS: Final = "01890a5d-ac96-774b-bcce-b302099a8095"
CLAUSES_EXAMPLE: Final[list[Any]] = [{"type": "custom", "text": "The two hold a fair together each spring."}]


class _Acting(Command):
    character_id: UUID | None = Field(
        None, description="Which member of the faction acts; only game masters may leave it out."
    )
    faction_id: UUID = Field(description="In whose name.")


class OpenNegotiation(_Acting):
    """Invite other factions to talks about a treaty. They end at the deadline, if not before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"faction_id": ONE, "with_ids": [TWO], "kind": "trade", "topic": "Salt for timber",
                 "deadline_days": 30}
            ]
        }
    )  # fmt: skip
    message_type = "diplomacy.open_negotiation"
    allowed = BY_MEMBER
    refusals = (*ACTING, NEGOTIATES_WITH_ITSELF, TOO_MANY_TALKS)

    with_ids: list[UUID] = Field(min_length=1, max_length=MOST_PARTIES - 1)
    kind: TreatyKind
    topic: Annotated[Text, Field(max_length=200)] = ""
    deadline_days: int = Field(30, ge=1, le=MOST_DAYS, description="World days after which the talks end.")
    in_secret: bool = Field(False, description="Only the parties learn of it.")
    about_id: UUID | None = Field(None, description="What it is about, such as a war or an incident.")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.with_ids)) < len(self.with_ids):
            raise ValueError("name each faction once")
        return self


class _AtTable(_Acting):
    negotiation_id: UUID


class MakeOffer(_AtTable):
    """Put an offer on the table, in the place of the one that stands: that is then countered, or withdrawn."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"negotiation_id": TALKS, "faction_id": ONE, "clauses": CLAUSES_EXAMPLE, "days": 360}
            ]
        }
    )
    message_type = "diplomacy.make_offer"
    allowed = BY_MEMBER
    refusals = (*AT_TABLE, *OFFERING, OFFER_REPEATED, TOO_MANY_OFFERS)

    clauses: list[Clause] = Field(min_length=1, max_length=MOST_CLAUSES)
    days: int | None = Field(
        None, ge=1, le=MOST_DAYS, description="How long the treaty shall hold; null: without an end."
    )


class AnswerOffer(_AtTable):
    """Accept or refuse the offer that stands. When all have accepted it, it becomes a treaty."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"negotiation_id": TALKS, "faction_id": TWO, "number": 1, "accept": True}]
        }
    )
    message_type = "diplomacy.answer_offer"
    allowed = BY_MEMBER
    refusals = (*AT_TABLE, NO_OFFER_STANDS, OWN_OFFER, *OF_SIGNING)

    number: int = Field(ge=1, description="The number of the offer that is meant.")
    accept: bool


class Deliberate(_AtTable):
    """Let a faction decide by itself about the offer that stands: accept it, counter it, or refuse it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"negotiation_id": TALKS, "faction_id": TWO}]})
    message_type = "diplomacy.deliberate"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (*AT_TABLE, NO_OFFER_STANDS, OWN_OFFER, *OF_SIGNING)


class Persuade(_AtTable):
    """Try to move another party by skill, dice and ties. What it brings counts in that party's next answers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"negotiation_id": TALKS, "faction_id": ONE, "other_faction_id": TWO, "approach": "reason"}
            ]
        }
    )
    message_type = "diplomacy.persuade"
    allowed = BY_MEMBER
    refusals = (*AT_TABLE, NEGOTIATES_WITH_ITSELF, APPROACH_SPENT)

    other_faction_id: UUID = Field(description="Which party shall be moved.")
    approach: Approach


class WalkOut(_AtTable):
    """Leave the table: the negotiation ends for all."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"negotiation_id": TALKS, "faction_id": ONE, "reason": "They mock us."}
            ]
        }
    )  # fmt: skip
    message_type = "diplomacy.walk_out"
    allowed = BY_MEMBER
    refusals = AT_TABLE

    reason: Annotated[Text, Field(max_length=500)] = ""
