"""Persuasion at the table: checks of skill, personality and ties, with seeded dice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fablewright.core.system import Handler
from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.characters.service import CharacterState
from fablewright.systems.diplomacy import nego_states, persons, service
from fablewright.systems.diplomacy.bargaining import MOST_LEAN
from fablewright.systems.diplomacy.nego_commands import (
    APPROACH_SPENT,
    NEGOTIATES_WITH_ITSELF,
    NOT_AT_THE_TABLE,
    Persuade,
)
from fablewright.systems.diplomacy.nego_events import PartOfUtility, PartyPersuaded
from fablewright.systems.diplomacy.nego_views import Made
from fablewright.systems.factions import service as factions
from fablewright.systems.relationships import service as relationships

APPROACHES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "reason": (("diplomacy", "rhetoric", "logic"), "openness"),
    "charm": (("charm", "persuasion", "performance"), "agreeableness"),
    "bargain": (("bargaining", "trade", "haggling"), "conscientiousness"),
    "intimidate": (("intimidation", "menace", "command"), "neuroticism"),
}
"""Which skills (0..100) of the negotiator count, the best of them, and which trait of the other side's leader
gives way to it."""
UNSKILLED: Final = 20.0
NAME: Final = 0.2
"""How much of the speaker's reputation (-100..100) counts."""


async def persuade(tx: Transaction, command: Persuade) -> Made:
    """A check of skill, tie and dice: it moves what the other party leans to. A threat that fails is resented."""
    me, other = command.faction_id, command.other_faction_id
    if me == other:
        raise NEGOTIATES_WITH_ITSELF(faction_id=str(me))
    faction = await factions.may(tx, me, command.character_id, "negotiate")
    found = await factions.require(tx, [other], lock=False)
    book = await service.relations_book(tx, [(me, other)])
    talks = await nego_states.load(tx, command.negotiation_id, me)
    if other not in talks.seats:
        raise NOT_AT_THE_TABLE(faction_id=str(other))
    seat, mark = talks.seats[other], f"{command.approach}:{me}"
    if seat.tried.get(mark) == talks.offers:
        raise APPROACH_SPENT(approach=command.approach)
    parts = await _odds(tx, command, command.character_id or faction.leader_id, found[other].leader_id)
    tried = attempt(tx, parts)
    lean = tried.lean
    seat.lean = max(-MOST_LEAN, min(MOST_LEAN, seat.lean + lean))
    seat.tried[mark] = talks.offers
    await nego_states.write_seat(tx, talks, seat)
    tx.emit(
        PartyPersuaded(
            **talks.common(command.character_id), faction_id=me, target_id=other, approach=command.approach,
            roll=tried.roll, score=tried.score, needed=NEEDED, lean=lean, parts=parts,
        )
    )  # fmt: skip
    if command.approach == "intimidate" and lean < 0:
        book.opine(other, me, "threatened_us", -4.0, "threatened us at the table", 180.0, secret=talks.secret)
        book.tense(me, other, 3.0, "threats at the table", secret=talks.secret)
    await service.write(tx, book)
    return Made(id=talks.id, state="open", lean=lean)


BETWEEN: Final = """
SELECT n.id FROM negotiations n
WHERE n.world_id = $1 AND n.state = 'open' AND EXISTS (
    SELECT 1 FROM unnest($2::uuid[], $3::uuid[]) AS v (holder, about)
    JOIN negotiation_parties a ON a.world_id = $1 AND a.negotiation_id = n.id AND a.faction_id = v.holder
    JOIN negotiation_parties b ON b.world_id = $1 AND b.negotiation_id = n.id AND b.faction_id = v.about)
ORDER BY n.id FOR NO KEY UPDATE OF n
"""
SWAY: Final = """
UPDATE negotiation_parties p SET lean = greatest(-$6::float8, least($6, p.lean + m.amount))
FROM (
    SELECT a.negotiation_id, a.faction_id, sum(v.amount) AS amount
    FROM unnest($3::uuid[], $4::uuid[], $5::float8[]) AS v (holder, about, amount)
    JOIN negotiation_parties a ON a.world_id = $1 AND a.negotiation_id = ANY($2::uuid[]) AND a.faction_id = v.holder
    JOIN negotiation_parties b ON b.world_id = $1 AND b.negotiation_id = a.negotiation_id AND b.faction_id = v.about
    GROUP BY a.negotiation_id, a.faction_id
) m
WHERE p.world_id = $1 AND p.negotiation_id = m.negotiation_id AND p.faction_id = m.faction_id
"""


async def sway(tx: Transaction, moves: Sequence[tuple[UUID, UUID, float]]) -> int:
    """Let factions lean towards agreement (or away from it) in all talks that they hold with others, from outside.

    Each move is who leans, towards whom, and by how many points of utility; the caller's event tells of it. Returns
    how many talks it concerned. It locks negotiations.
    """
    holders, abouts = [holder for holder, _, _ in moves], [about for _, about, _ in moves]
    talks = await talks_between(tx, list(zip(holders, abouts, strict=True)))
    if talks:
        await tx.execute(
            SWAY, tx.world_id, talks, holders, abouts, [amount for _, _, amount in moves], MOST_LEAN
        )
    return len(talks)


async def talks_between(tx: Transaction, pairs: Sequence[tuple[UUID, UUID]]) -> list[UUID]:
    """The open talks in which both of one of these pairs sit, locked in the order of their ids."""
    if not pairs:
        return []
    rows = await tx.fetch(BETWEEN, tx.world_id, [one for one, _ in pairs], [other for _, other in pairs])
    return [row["id"] for row in rows]


NEEDED: Final = 50.0
"""The score from which an attempt helps: half of a roll of 1..100, and the parts of `odds`."""
MEAN_ROLL: Final = 50.5


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt to persuade went: a roll of 1..100, the score, and what the listener leans further (points)."""

    roll: int
    score: float
    lean: float


def attempt(tx: Transaction, parts: Sequence[PartOfUtility]) -> Attempt:
    """Roll for it."""
    roll = tx.dice.whole(1, 100)
    score = 0.5 * roll + sum(part.amount for part in parts)
    return Attempt(roll, score, max(-6.0, min(8.0, (score - NEEDED) / 5)))


def odds(
    approach: str, speaker: CharacterState | None, listener: CharacterState | None, felt: float | None
) -> list[PartOfUtility]:
    """What counts beside the dice: the speaker's skill, the listener's personality and wit, and their tie.

    `felt` (-1..1) is what the listener feels for the speaker; None, if nothing.
    """
    skills, trait = APPROACHES[approach]
    able = (
        max((speaker.skills.get(name, UNSKILLED) for name in skills), default=0.0) if speaker else UNSKILLED
    )
    parts = [PartOfUtility(what="skill", amount=0.5 * able, reason=f"skill {able:.0f} of who speaks")]
    if listener is not None:
        gives_way = 30.0 * (getattr(listener.traits, trait) - 0.5)
        wit = listener.skills.get("diplomacy", UNSKILLED)
        parts += [
            PartOfUtility(what="personality", amount=gives_way, reason=f"the {trait} of who listens"),
            PartOfUtility(what="wit", amount=-0.2 * wit, reason="the diplomacy of who listens"),
        ]
    if felt is not None:
        parts.append(PartOfUtility(what="tie", amount=15.0 * felt, reason="what the listener feels for them"))
    return parts


def best_way(
    speaker: CharacterState, listener: CharacterState | None, felt: float | None
) -> tuple[str, list[PartOfUtility]] | None:
    """The approach from which a speaker may hope most, and its parts; None, if it would rather do harm.

    Threats are not made by calculation.
    """
    ways = {way: odds(way, speaker, listener, felt) for way in APPROACHES if way != "intimidate"}
    best = max(ways, key=lambda way: (sum(part.amount for part in ways[way]), way))
    hoped = 0.5 * MEAN_ROLL + sum(part.amount for part in ways[best])
    return (best, ways[best]) if hoped > NEEDED else None


async def _odds(
    tx: Transaction, command: Persuade, speaker_id: UUID | None, listener_id: UUID | None
) -> list[PartOfUtility]:
    people = await characters.peek(tx, [i for i in (speaker_id, listener_id) if i is not None])
    speaker, listener = people.get(speaker_id or tx.world_id), people.get(listener_id or tx.world_id)
    felt = None
    if speaker is not None and listener is not None:
        pair = (listener.id, speaker.id)
        tie = (await relationships.peek(tx, [pair])).get(pair)
        felt = None if tie is None else tie.now(tx.now).strength
    parts = odds(command.approach, speaker, listener, felt)
    if speaker is not None and (name := await persons.reputation(tx, speaker.id)):
        # Who is dreaded threatens better.
        said = -NAME if command.approach == "intimidate" else NAME
        parts.append(
            PartOfUtility(what="name", amount=said * name, reason="what the world says of who speaks")
        )
    return parts


HANDLERS: Final = (Handler(Persuade, one=persuade),)
