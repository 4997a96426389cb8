"""What may be told of wars as they were before: by imports, and by game masters who bring a history in.

Apart from `war_commands`, with which wars are begun and fought in the game. Pure.
"""

from collections.abc import Iterator, Sequence
from math import fsum, isclose
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.core.refusal import CONFLICT, INVALID, Refusal
from fablewright.systems.diplomacy import battle
from fablewright.systems.diplomacy.battle import FAIR, Cause, Outcome
from fablewright.systems.diplomacy.war_commands import ONE, TWO, Long, Share, Text, WorldMs
from fablewright.systems.factions.rules import FACTION_DISSOLVED, FACTION_NOT_FOUND
from fablewright.systems.regions.rules import REGION_NOT_FOUND

HISTORY_EXISTS = Refusal(
    "history_exists", CONFLICT, "Something with this id is there already. Send another id, or none."
)
HISTORY_UNSOUND = Refusal(
    "history_unsound", INVALID, "It cannot have been as it is told. Change what `field` names."
)

MOST_PARTIES: Final = 500
MOST_OCCUPATIONS: Final = 2_000
MOST_PARTS: Final = 20
MOST_NUMBER: Final = 1e9
MOST_LOSSES: Final = 1e12
MOST_AGGRESSION: Final = 1e6

Name = Annotated[Text, Field(max_length=500)]
ToldCause = Cause | Literal["decree"]
Side = Literal["attacker", "defender"]
PartyState = Literal["called", "fighting", "refused", "out"]
Number = Annotated[float, Field(ge=-MOST_NUMBER, le=MOST_NUMBER, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Many = Annotated[int, Field(ge=0, le=1_000_000)]
Losses = Annotated[float, Field(ge=0, le=MOST_LOSSES, allow_inf_nan=False)]
Exhaustion = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Aggression = Annotated[float, Field(ge=0, le=MOST_AGGRESSION, allow_inf_nan=False)]


class PartValue(BaseModel):
    """One of the numbers that another is the sum of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: Annotated[Text, Field(min_length=1, max_length=100)]
    amount: Number


Parts = Annotated[list[PartValue], Field(max_length=MOST_PARTS)]


class PartyValue(BaseModel):
    """A faction in a war. The two who lead it need not stand here: they fight from its beginning to its end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faction_id: UUID
    side: Side | None = Field(None, description="Only the two leaders may leave it out.")
    state: PartyState = Field(
        "fighting",
        description="In a war that is over: fighting to its end. Who fights is at war with who leads the other side, "
        "unless a relation of the two says something else.",
    )
    called_by_id: UUID | None = Field(
        None,
        description="One that fights, or fought, on its side; left out: who leads that, if it is called.",
    )
    since: WorldMs | None = Field(None, description="World ms; left out: since the war began.")
    left_at: WorldMs | None = Field(None, description="When it left, if it is out; world ms.")
    regions: Many | None = Field(
        None,
        description="How many it held when it came; left out: as many as now but for what was taken in this war, "
        "and none in a war that is over.",
    )
    losses: Losses = 0.0


class OccupationValue(BaseModel):
    """A region that was taken in a war from who holds it by right. As long as this stands, its occupier controls it.

    Only what was let go since may be controlled by nobody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    region_id: UUID
    holder_id: UUID
    occupier_id: UUID
    since: WorldMs | None = Field(None, description="World ms; left out: since the war began.")
    until: WorldMs | None = Field(None, description="World ms; left out: it still stands.")


class ImportWar(Command):
    """Bring in a war as it stands, or one that is over. Its leaders are at war then, if they were not.

    What the others made of it is not touched: a history of their relations says that.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"attacker_id": ONE, "defender_id": TWO, "cause": "conquest", "reason": "The river is ours.",
                 "legitimacy": 0.05, "since": 0, "battle_score": 12.5}
            ]
        }
    )  # fmt: skip
    message_type = "diplomacy.import_war"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        HISTORY_UNSOUND, HISTORY_EXISTS, battle.ALREADY_AT_WAR, FACTION_NOT_FOUND, FACTION_DISSOLVED, REGION_NOT_FOUND,
    )  # fmt: skip

    id: UUID | None = None
    name: Name = Field("", description="Left out: after its leaders.")
    attacker_id: UUID
    defender_id: UUID
    cause: ToldCause = "decree"
    cause_id: UUID | None = Field(
        None,
        description="What gave the cause: the incident, ultimatum, coalition, broken treaty, region or war it names.",
    )
    reason: Long = ""
    legitimacy: Share = FAIR
    legitimacy_parts: Parts = Field([], description="They add up to it; left out: the cause alone.")
    since: WorldMs | None = Field(None, description="World ms; left out: now.")
    battle_score: Number = Field(0.0, description="What its battles were worth to the attacker so far.")
    parties: list[PartyValue] = Field([], max_length=MOST_PARTIES)
    occupations: list[OccupationValue] = Field([], max_length=MOST_OCCUPATIONS)
    ended_at: WorldMs | None = Field(None, description="World ms; left out: it is still fought.")
    outcome: Outcome | None = Field(None, description="Who won a war that is over; left out: nobody.")
    score: Score | None = Field(None, description="The war score with which it ended.")
    score_parts: Parts = Field([], description="They add up to the score; left out: it stands for itself.")
    treaty_id: UUID | None = Field(None, description="The treaty that ended it, unless that is secret.")

    def begun(self, now: int) -> int:
        """When it began (world ms)."""
        return now if self.since is None else self.since

    def told_parties(self) -> list[PartyValue]:
        """Its parties, each with its side, and who called it if it is to answer.

        The leaders come first where nothing else is said of them.
        """
        sides: dict[UUID, Side] = {self.attacker_id: "attacker", self.defender_id: "defender"}
        leaders = {side: id_ for id_, side in sides.items()}
        known = {party.faction_id for party in self.parties}
        told = [PartyValue(faction_id=id_, side=side) for id_, side in sides.items() if id_ not in known]
        for party in self.parties:
            side = sides.get(party.faction_id, party.side)
            caller = party.called_by_id
            if caller is None and party.state == "called" and side is not None:
                caller = leaders[side]
            told.append(party.model_copy(update={"side": side, "called_by_id": caller}))
        return told


class SetWarlike(Command):
    """Say how weary of war a faction is, and how much its aggression frightens others, from now on.

    What is left out stays as it is.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"faction_id": ONE, "exhaustion": 12.5, "aggression": 20}]}
    )
    message_type = "diplomacy.set_warlike"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (FACTION_NOT_FOUND, FACTION_DISSOLVED)

    faction_id: UUID
    exhaustion: Exhaustion | None = None
    aggression: Aggression | None = None


# -- what cannot have been -----------------------------------------------------------------------------------

Fault = tuple[str, str]
"""Where in the command, as `parties.0.side` (lists are counted from 0), and what is wrong there."""


def refuse_first(found: Sequence[Fault]) -> None:
    """Refuses `history_unsound` with the first fault, if there is one."""
    for field, message in found[:1]:
        raise HISTORY_UNSOUND(f"{field}: {message}.", field=field)


def faults(war: ImportWar, now: int) -> list[Fault]:
    """What of a war, as it is told at world time `now` (ms), cannot have been."""
    return [*_of_end(war, now), *_of_parties(war, now), *_of_occupations(war, now), *_of_parts(war)]


def _of_end(war: ImportWar, now: int) -> Iterator[Fault]:
    begun = war.begun(now)
    if war.attacker_id == war.defender_id:
        yield "defender_id", "it leads both sides: name another faction"
    yield from within("since", war.since, None, now, now)
    yield from within("ended_at", war.ended_at, begun, now, now)
    if war.ended_at is not None:
        return
    for field in ("outcome", "score", "score_parts", "treaty_id"):
        if getattr(war, field) not in (None, []):
            yield field, "the war is not over: say in `ended_at` when it ended"


def _of_parties(war: ImportWar, now: int) -> Iterator[Fault]:
    seen: set[UUID] = set()
    leads = {war.attacker_id: "attacker", war.defender_id: "defender"}
    begun, over = war.begun(now), war.ended_at
    fought = {p.faction_id: p.side for p in war.told_parties() if p.state in ("fighting", "out")}
    for number, party in enumerate(war.parties):
        path = f"parties.{number}"
        if party.faction_id in seen:
            yield f"{path}.faction_id", "it is in this war already: a faction fights on one side"
        seen.add(party.faction_id)
        side = leads.get(party.faction_id)
        if side is None and party.side is None:
            yield f"{path}.side", "say on which side it is"
        elif side is not None and party.side not in (None, side):
            yield f"{path}.side", f"it leads the {side}s: a faction fights on one side"
        if side is not None and party.state != "fighting":
            yield f"{path}.state", "who leads a side fights to the end"
        elif party.state == "called" and over is not None:
            yield f"{path}.state", "the war is over: nobody waits for an answer"
        caller = party.called_by_id
        if caller is not None and (caller == party.faction_id or fought.get(caller) != (side or party.side)):
            yield (
                f"{path}.called_by_id",
                "that does not fight on its side: name one that does, or leave it out",
            )
        if (party.left_at is not None) != (party.state == "out"):
            yield f"{path}.left_at", "who is out says when it left, and nobody else"
        yield from within(f"{path}.since", party.since, begun, over, now)
        came = begun if party.since is None else party.since
        yield from within(f"{path}.left_at", party.left_at, came, over, now)


def _of_occupations(war: ImportWar, now: int) -> Iterator[Fault]:
    fighting = {p.faction_id for p in war.told_parties() if p.state == "fighting"}
    standing: set[UUID] = set()
    begun, over = war.begun(now), war.ended_at
    for number, taken in enumerate(war.occupations):
        path = f"occupations.{number}"
        if taken.holder_id == taken.occupier_id:
            yield f"{path}.occupier_id", "nobody takes what it holds by right: name who took it"
        yield from within(f"{path}.since", taken.since, begun, over, now)
        taken_at = begun if taken.since is None else taken.since
        yield from within(f"{path}.until", taken.until, taken_at, over, now)
        if taken.until is not None:
            continue
        if over is not None:
            yield f"{path}.until", "the war is over: say when this was"
        if taken.occupier_id not in fighting:
            yield f"{path}.occupier_id", "it does not fight in this war: name one that does, or say `until`"
        if taken.region_id in standing:
            yield f"{path}.region_id", "it is occupied already: say of one of the two `until` when it was"
        standing.add(taken.region_id)


def _of_parts(war: ImportWar) -> Iterator[Fault]:
    for field, value, parts in (
        ("legitimacy_parts", war.legitimacy, war.legitimacy_parts),
        ("score_parts", war.score or 0.0, war.score_parts),
    ):
        if parts and not isclose(_sum(parts), value, abs_tol=1e-6):
            yield field, f"they add up to {_sum(parts):g} instead of {value:g}"


def _sum(parts: Sequence[PartValue]) -> float:
    return fsum(part.amount for part in parts)


def within(path: str, at: int | None, first: int | None, last: int | None, now: int) -> Iterator[Fault]:
    """That something was neither before its time nor after it (world ms), nor is to come."""
    if at is None:
        return
    if at > now:
        yield path, f"that is to come: it is {now}"
    elif first is not None and at < first:
        yield path, f"that is before it began, which was at {first}"
    elif last is not None and at > last:
        yield path, f"that is after its end, which was at {last}"
