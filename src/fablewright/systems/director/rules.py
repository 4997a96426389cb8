"""Who acts with whom, and what they do. Pure.

Coefficients are our own, tuned for play: the rested and extraverted seek company, people go to those they
feel something about and have not met for a while, and the open also to strangers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from fablewright.core.clock import DAY, MINUTE, elapsed
from fablewright.core.dice import Dice

InteractionType = Literal["greeting", "chat", "collaboration", "conflict"]

ENERGY_TO_ACT: Final = 0.1
"""Who has less energy (0..1) rests."""
WARMTH: Final = 0.3
"""The weight (0..1) of someone known but felt nothing about."""
STRANGER_WEIGHT: Final = 0.25
"""The weight of a stranger for someone wholly open."""


@dataclass(frozen=True, slots=True)
class Npc:
    """A character that acts by itself; energy (that of now) and traits are 0..1."""

    id: UUID
    name: str
    energy: float
    openness: float
    conscientiousness: float
    extraversion: float
    agreeableness: float
    neuroticism: float


@dataclass(frozen=True, slots=True)
class Known:
    """Someone an npc could turn to: strength -1..1, trust 0..1, last met at (world ms, None for never)."""

    id: UUID
    name: str
    strength: float
    trust: float
    last_interaction_at: int | None


@dataclass(frozen=True, slots=True)
class Act:
    """What an npc is about to do."""

    initiator_id: UUID
    target_id: UUID
    type: InteractionType
    content: str


def interval_ms(beats_per_minute: float) -> int:
    """World milliseconds from one beat to the next, at least 1."""
    return max(1, round(MINUTE / beats_per_minute))


def next_beat(due_at: int, now: int, beats_per_minute: float) -> int:
    """When the beat after the one due at `due_at` falls due (world ms).

    Never before `now`: beats missed while the world stood or the server was slow are not made up for.
    """
    return max(due_at + interval_ms(beats_per_minute), now)


def need_for_company(npc: Npc) -> float:
    """How much someone wants company, 0..1: energy x (0.3 + 0.7 x extraversion), 0 for the tired."""
    if npc.energy < ENERGY_TO_ACT:
        return 0.0
    return npc.energy * (0.3 + 0.7 * npc.extraversion)


def choose_actors(npcs: Sequence[Npc], acts: int, dice: Dice) -> list[Npc]:
    """Up to `acts` of them, each at most once, with chances in proportion to their need for company.

    Weighted sampling without replacement by the keys u ** (1 / weight) (Efraimidis & Spirakis, 2006).
    """
    keyed = []
    for npc in npcs:
        luck, need = dice.uniform(), need_for_company(npc)
        if need > 0.0:
            keyed.append((luck ** (1.0 / need), npc))
    keyed.sort(key=lambda item: (-item[0], item[1].id))
    return [npc for _, npc in keyed[:acts]]


def attraction(known: Known, now: int) -> float:
    """How much someone is drawn to a person it knows, 0..1.3: (0.2 + 0.8 x novelty) x (0.3 + closeness).

    Novelty grows from 0 to 1 in a day of world time; closeness is the strength of the feeling, good or bad.
    """
    novelty = (
        1.0 if known.last_interaction_at is None else min(1.0, elapsed(known.last_interaction_at, now) / DAY)
    )
    return (0.2 + 0.8 * novelty) * (WARMTH + abs(known.strength))


def choose_partner(
    npc: Npc, known: Sequence[Known], strangers: Sequence[Known], now: int, dice: Dice
) -> Known | None:
    """Whom someone turns to; None if there is nobody. Those known already are not strangers."""
    familiar = {k.id for k in known} | {npc.id}
    new = [s for s in strangers if s.id not in familiar]
    options = [*known, *new]
    if not options:
        return None
    weights = [attraction(k, now) for k in known] + [0.01 + STRANGER_WEIGHT * npc.openness for _ in new]
    return dice.weighted(options, weights)


def inclinations(npc: Npc, partner: Known) -> dict[InteractionType, float]:
    """How inclined someone is to each type of interaction; weights > 0."""
    good, bad = max(0.0, partner.strength), max(0.0, -partner.strength)
    hardness = 0.5 * npc.neuroticism + 0.5 * (1.0 - npc.agreeableness)
    return {
        "greeting": 0.5 if partner.last_interaction_at is None else 0.15,
        "chat": 0.2 + 0.4 * npc.extraversion + 0.3 * good,
        "collaboration": 0.02 + (0.1 + 0.3 * npc.conscientiousness) * partner.trust * (0.3 + good),
        "conflict": 0.01 + 0.12 * hardness * (1.0 - good) + 0.6 * bad * (0.3 + hardness),
    }


def choose_type(npc: Npc, partner: Known, dice: Dice) -> InteractionType:
    """What someone does with the person it turned to."""
    weights = inclinations(npc, partner)
    return dice.weighted(list(weights), list(weights.values()))


def choose_act(
    npc: Npc, known: Sequence[Known], strangers: Sequence[Known], now: int, *,
    dice: Dice, openings: Mapping[str, Sequence[str]],
) -> Act | None:  # fmt: skip
    """What someone does next; None if there is nobody to do it with."""
    partner = choose_partner(npc, known, strangers, now, dice)
    if partner is None:
        return None
    kind = choose_type(npc, partner, dice)
    return Act(npc.id, partner.id, kind, dice.choice(openings[kind]).replace("{name}", partner.name))
