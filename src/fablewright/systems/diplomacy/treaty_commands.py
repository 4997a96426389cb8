"""What may be asked about treaties, and by whom.

Members act as a character (`character_id`) whose role in its faction may do it; game masters may leave it out.
"""

from typing import Annotated, Any, Final, Literal, Self, get_args
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal
from fablewright.systems.diplomacy.clauses import (
    CLAUSE_STRANGERS,
    CLAUSE_UNKNOWN,
    CLAUSE_WITH_ITSELF,
    CLAUSES_CONTRADICT,
    MOST_CLAUSES,
    Clause,
)
from fablewright.systems.diplomacy.rules import SAME_FACTION
from fablewright.systems.factions.rules import (
    FACTION_DISSOLVED,
    FACTION_NOT_FOUND,
    NAME_WHO_ACTS,
    NOT_A_MEMBER,
    ROLE_MAY_NOT,
)

TREATY_NOT_FOUND = Refusal(
    "treaty_not_found", NOT_FOUND, "There is no such treaty that you may know of. Look it up in the list."
)
TREATY_EXISTS = Refusal(
    "treaty_exists", CONFLICT, "A treaty with this id is there already. Send another id, or none."
)
TREATY_WITH_ONESELF = Refusal(
    "treaty_with_oneself",
    INVALID,
    "A treaty needs two parties or more, each named once. Name another faction.",
)
PARTY_DISSOLVED = Refusal(
    "party_dissolved",
    CONFLICT,
    "A party of the treaty was dissolved, so that it cannot come into force any more.",
)
TREATY_NOT_OPEN = Refusal(
    "treaty_not_open", CONFLICT, "The treaty is not in a state in which this can be done. See its `state`."
)
NOT_A_PARTY = Refusal(
    "not_a_party", CONFLICT, "The faction is no party of this treaty. Name one of its parties."
)
ALREADY_SIGNED = Refusal(
    "already_signed", CONFLICT, "The faction has signed this treaty already; nothing is left for it to do."
)
AMOUNT_NOT_COVERED = Refusal(
    "amount_not_covered",
    CONFLICT,
    "A sum that is due at once is not covered. Fill the treasury first, or ask for less.",
)
DATES_WRONG = Refusal(
    "dates_wrong", INVALID, "A treaty starts before it ends, and a new one not before now. Change the dates."
)
DRAFT_CHANGED = Refusal(
    "draft_changed",
    CONFLICT,
    "The draft was changed since you read it. Read what it says now, then sign that.",
)
TOO_MANY_DRAFTS = Refusal(
    "too_many_drafts",
    CONFLICT,
    "The faction has proposed as many treaties as may wait for signatures. Take one back, or wait.",
)
CLAUSE_NAMES_NOBODY = Refusal(
    "clause_names_nobody",
    NOT_FOUND,
    "A clause names a region, a character or a faction that is not there. Look it up in its list.",
)
BREACH_KNOWN = Refusal(
    "breach_known", CONFLICT, "That this event breaks the clause is known already. Name another event."
)
CLAUSE_NOT_FOUND = Refusal(
    "clause_not_found", NOT_FOUND, "The treaty has no clause with this number. See its clauses."
)
SPIES_ON_ITSELF = Refusal(
    "spies_on_itself", INVALID, "A faction knows its own treaties. Name another one to spy on."
)
SPY_STILL_OUT = Refusal(
    "spy_still_out", CONFLICT, "The last attempt on this faction is not over yet. Wait until `from_ms`."
)

MOST_PARTIES: Final = 20
LONGEST_DAYS: Final = 36_500
MOST_DRAFTS: Final = 100
"""Treaties that members of a faction have proposed and that not all have signed yet."""

TreatyKind = Literal[
    "peace", "ceasefire", "non_aggression", "alliance", "defence_pact", "trade", "tribute", "vassalage", "border",
    "military_access", "custom",
]  # fmt: skip
KINDS: Final[tuple[str, ...]] = get_args(TreatyKind)
OnBreach = Literal["note", "suspend", "break"]
Outcome = Literal["expired", "terminated", "withdrawn", "broken"]

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
]
Words = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]
Why = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00]*$")]
WorldMs = Annotated[int, Field(gt=-(2**52), lt=2**52)]
As = Annotated[
    UUID | None, Field(description="As which character you act. Only game masters may leave it out.")
]


def _distinct(parties: list[UUID]) -> list[UUID]:
    if len(set(parties)) < max(2, len(parties)):
        raise TREATY_WITH_ONESELF()
    return parties


Parties = Annotated[list[UUID], Field(min_length=1, max_length=MOST_PARTIES), AfterValidator(_distinct)]

ASH: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
ELM: Final = "01890a5d-ac96-774b-bcce-b302099a8058"
TERMS_EXAMPLE: Final[dict[str, Any]] = {
    "name": "Treaty of Ash", "kind": "tribute", "parties": [ASH, ELM],
    "clauses": [{"type": "pay", "from_id": ASH, "to_id": ELM, "amount": 30, "every_days": 30}],
    "duration_days": 3600,
}  # fmt: skip


class TreatyFields(BaseModel):
    """What a treaty says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: TreatyKind = "custom"
    text: Words = ""
    parties: Parties = Field(description="The factions, two or more.")
    clauses: list[Clause] = Field([], max_length=MOST_CLAUSES)
    starts_at: WorldMs | None = Field(None, description="World ms; left out: when all have signed.")
    duration_days: int | None = Field(
        None, ge=1, le=LONGEST_DAYS, description="World days; left out: for good."
    )
    renews: bool = Field(False, description="Whether it goes on by itself when its time is over.")
    notice_days: int = Field(
        30, ge=0, le=LONGEST_DAYS, description="World days between withdrawing and leaving."
    )
    grace_days: int = Field(
        10, ge=0, le=LONGEST_DAYS, description="World days in which a breach can be mended."
    )
    secret: bool = Field(False, description="Whether only the parties know of it.")
    on_breach: OnBreach = Field("note", description="What a confirmed breach does to the treaty.")


_OF_FACTION: Final = (FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ROLE_MAY_NOT, NAME_WHO_ACTS)
_OF_TERMS: Final = (
    TREATY_WITH_ONESELF, CLAUSE_UNKNOWN, CLAUSES_CONTRADICT, CLAUSE_STRANGERS, CLAUSE_WITH_ITSELF,
    CLAUSE_NAMES_NOBODY, DATES_WRONG, PARTY_DISSOLVED,
)  # fmt: skip
_OF_PARTY: Final = (TREATY_NOT_FOUND, TREATY_NOT_OPEN, NOT_A_PARTY, *_OF_FACTION)


class ProposeTreaty(TreatyFields, Command):
    """Draft a treaty for others to sign. The faction that proposes is one of its parties."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**TERMS_EXAMPLE, "faction_id": ASH}]})
    message_type = "diplomacy.propose_treaty"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (*_OF_TERMS, NOT_A_PARTY, TREATY_EXISTS, TOO_MANY_DRAFTS, *_OF_FACTION)

    id: UUID | None = None
    faction_id: UUID
    character_id: As = None


class ImportTreaty(TreatyFields, Command):
    """Bring in a treaty with its history, also one that is over: it counts as signed by all."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**TERMS_EXAMPLE, "starts_at": -86_400_000}]})
    message_type = "diplomacy.import_treaty"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (*_OF_TERMS, TREATY_EXISTS, FACTION_NOT_FOUND)

    id: UUID | None = None
    ends_at: WorldMs | None = Field(
        None, description="World ms; left out: after its duration. With a duration, that of a renewal."
    )
    closed_at: WorldMs | None = Field(None, description="When it ended, if not by its time; world ms.")
    outcome: Outcome = Field("terminated", description="How it ended at `closed_at`.")
    reason: Why = Field("", description="Why it ended.")
    suspended: bool = Field(False, description="Whether it rests now.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        ends = [end for end in (self.ends_at, self.closed_at) if end is not None]
        if self.starts_at is not None and any(end < self.starts_at for end in ends):
            raise DATES_WRONG("It ends before it starts.")
        if self.closed_at is not None and self.starts_at is None:
            raise DATES_WRONG("A treaty that has ended says when it started, too.")
        return self


class _OfParty(Command):
    treaty_id: UUID
    faction_id: UUID = Field(description="For which party.")
    character_id: As = None


_EXAMPLE: Final[dict[str, Any]] = {"treaty_id": "01890a5d-ac96-774b-bcce-b302099a8059", "faction_id": ASH}
_PARTY: Final = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


class ChangeDraft(TreatyFields, Command):
    """Say anew what a draft says. Signatures given so far are void."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**TERMS_EXAMPLE, **_EXAMPLE}]})
    message_type = "diplomacy.change_draft"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (*_OF_TERMS, *_OF_PARTY)

    treaty_id: UUID
    faction_id: UUID
    character_id: As = None


class SignTreaty(_OfParty):
    """Sign for a party. With the last signature the treaty comes into force."""

    model_config = _PARTY
    message_type = "diplomacy.sign_treaty"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (ALREADY_SIGNED, DRAFT_CHANGED, PARTY_DISSOLVED, AMOUNT_NOT_COVERED, *_OF_PARTY)

    draft: int | None = Field(
        None,
        ge=1,
        description="The number of the draft you have read; it is refused if that was changed since.",
    )


class RejectTreaty(_OfParty):
    """Refuse to sign, or take back a draft: it is closed."""

    model_config = _PARTY
    message_type = "diplomacy.reject_treaty"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = _OF_PARTY

    reason: Why = ""


class WithdrawFromTreaty(_OfParty):
    """Leave a treaty, when its notice is over."""

    model_config = _PARTY
    message_type = "diplomacy.withdraw_from_treaty"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = _OF_PARTY


class SuspendTreaty(_OfParty):
    """Agree to let the treaty rest, or (`resume`) go on; it does when all parties agree."""

    model_config = _PARTY
    message_type = "diplomacy.suspend_treaty"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = _OF_PARTY

    resume: bool = False


class TerminateTreaty(_OfParty):
    """Agree to end the treaty; it ends when all parties agree."""

    model_config = _PARTY
    message_type = "diplomacy.terminate_treaty"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = _OF_PARTY


class RenewTreaty(_OfParty):
    """Agree to let the treaty run for its duration once more; it does when all parties agree."""

    model_config = _PARTY
    message_type = "diplomacy.renew_treaty"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = _OF_PARTY


class AccuseOfBreach(_OfParty):
    """Accuse another party of breaking a clause. An accusation without evidence costs reputation."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_EXAMPLE, "accused_id": ELM, "clause": 1}]})
    message_type = "diplomacy.accuse_of_breach"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (CLAUSE_NOT_FOUND, SAME_FACTION, BREACH_KNOWN, *_OF_PARTY)

    accused_id: UUID
    clause: int = Field(ge=1, le=MOST_CLAUSES, description="Number of the clause, from 1.")
    event_id: UUID | None = Field(None, description="The event that shows it, if there is one.")


class RevealTreaty(Command):
    """Let all know of a secret treaty."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"treaty_id": _EXAMPLE["treaty_id"]}]})
    message_type = "diplomacy.reveal_treaty"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (TREATY_NOT_FOUND, TREATY_NOT_OPEN)

    treaty_id: UUID
    how: Why = "it came to light"


class SpyOnFaction(Command):
    """Look for what a faction has agreed on in secret. What is found comes to light; who is caught is an incident."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"faction_id": ASH, "target_id": ELM}]})
    message_type = "diplomacy.spy_on_faction"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (SPIES_ON_ITSELF, SPY_STILL_OUT, *_OF_FACTION)

    faction_id: UUID
    character_id: As = None
    target_id: UUID
