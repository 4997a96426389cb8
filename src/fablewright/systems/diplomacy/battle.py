"""War as a whole in numbers: reasons for it, battles, what is held, what it costs, who is winning, who fears it. Pure.

Apart from `rules.py` since war is a noun of its own. Casus belli, war score and war exhaustion are terms of grand
strategy games; the numbers are our own. What counts as a just cause follows the criteria of *jus ad bellum*: a
cause, last resort, proportion. Battles follow the square law of F. W. Lanchester (*Aircraft in Warfare*, 1916).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from fablewright.core.clock import DAY, elapsed, half_life_factor
from fablewright.core.dice import Dice
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal
from fablewright.systems.diplomacy.ladder import HEARSAY

Cause = Literal[
    "defence",
    "broken_treaty",
    "ultimatum_rejected",
    "incident",
    "reconquest",
    "coalition",
    "ideology",
    "conquest",
]
Outcome = Literal["attacker", "defender", "draw"]
CAUSES: Final[tuple[str, ...]] = get_args(Cause)

WAR_NOT_FOUND = Refusal(
    "war_not_found", NOT_FOUND, "There is no such war in this world. Look it up in the list."
)
WAR_OVER = Refusal("war_over", CONFLICT, "This war is over. What is fought for now needs a new declaration.")
WAR_WITH_ONESELF = Refusal(
    "war_with_oneself", INVALID, "A war is waged against another faction. Name two different ones."
)
ALREADY_AT_WAR = Refusal("already_at_war", CONFLICT, "The two are at war already. Fight in that war.")
NOT_AT_WAR = Refusal(
    "not_at_war", CONFLICT, "The faction is no party of this war. Name one that is, or join it."
)
NOT_A_LEADER = Refusal(
    "not_a_war_leader", CONFLICT, "Only the two who lead the war may do this. Ask the leader of your side."
)
CAUSE_UNFOUNDED = Refusal(
    "cause_unfounded",
    CONFLICT,
    "What is named does not give this cause. Name another, or go to war as `conquest` without one.",
)
SAME_SIDE = Refusal("same_side", CONFLICT, "The two fight on the same side. Name an enemy.")
NOT_ENEMIES = Refusal(
    "not_enemies",
    CONFLICT,
    "The two are on different sides of this war, but not at war with each other. Name another enemy.",
)
NO_TROOPS = Refusal("no_troops", CONFLICT, "The faction has no troops to send. Raise some, or send fewer.")
NOT_OF_THE_ENEMY = Refusal(
    "not_of_the_enemy", CONFLICT, "No enemy in this war holds that region. Name one that an enemy holds."
)
NO_CALL = Refusal("no_call", CONFLICT, "Nobody has called this faction to arms in this war.")

LEGITIMACY: Final[Mapping[str, float]] = {
    "defence": 0.95, "coalition": 0.75, "broken_treaty": 0.75, "reconquest": 0.6, "ultimatum_rejected": 0.5,
    "incident": 0.35, "ideology": 0.25, "conquest": 0.05,
}  # fmt: skip
"""How just a cause seems to others at its plainest, 0..1, before evidence and patience count."""
FAIR: Final = 0.5
"""From here on nobody thinks worse of who declares a war."""

BREAK_AT: Final = 0.3
"""Who has lost this share of its host leaves the field (breakpoints: Trevor Dupuy, *Understanding War*, 1987)."""
ATTRITION: Final = 0.06
"""Losses per round that a host of equal size, quality and luck inflicts, as a share."""
MOST_ROUNDS: Final = 24
DEFENCE: Final[Mapping[str, float]] = {
    "mountains": 1.6, "hills": 1.3, "forest": 1.25, "swamp": 1.25, "river": 1.3, "city": 1.4, "desert": 1.1,
}  # fmt: skip
"""By how much ground helps who holds it; 1.1 elsewhere."""

EXHAUSTION_PER_DAY: Final = 0.05
"""War exhaustion (0..100) that each day of war adds."""
EXHAUSTION_HALF_LIFE: Final = 120 * DAY
"""In peace, half of it is forgotten in this time (world ms)."""
EXHAUSTION_OF_LOSSES: Final = 60.0
"""What losing one's whole strength adds."""
EXHAUSTION_OF_REGION: Final = 8.0
"""What each region in the enemy's hands adds once."""
BATTLES_AT_MOST: Final = 40.0
OCCUPATION_AT_MOST: Final = 50.0
EXHAUSTION_AT_MOST: Final = 20.0
"""What battles, regions and exhaustion may add to the war score, of 100."""


# -- reasons -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """One of the numbers that another is the sum of."""

    what: str
    amount: float


@dataclass(frozen=True, slots=True)
class Legitimacy:
    """How just a war seems, 0..1, and why. The parts add up to it; the last, `limit`, keeps it in its range."""

    value: float
    parts: tuple[Part, ...]


def legitimacy(
    cause: str, *, evidence: float = 1.0, severity: float = 0.5, rung: float = 1.0, tension: float = 0.0,
    tried: int = 0, strength_ratio: float = 1.0,
) -> Legitimacy:  # fmt: skip
    """How just a war seems to those who look on.

    - `evidence`, `severity`, `rung` (0..1): how plain and how bad the wrong is, and how far up the ladder; of an
      ultimatum, those of the incident it was about: one that is about none has no evidence. Hearsay is none;
    - `tension` (0..100) of the pair; `tried` (>= 0): offers to settle it that were turned down (last resort);
    - `strength_ratio`: the attacker's strength over the defender's (proportion: falling on the weak is no glory).
    """
    base = LEGITIMACY[cause]
    parts = [Part("cause", base)]
    if cause in ("incident", "ultimatum_rejected"):
        proof = evidence if evidence > HEARSAY else 0.0
        parts.append(Part("evidence", base * (proof - 1) * 0.6))
        parts.append(Part("severity", 0.3 * (severity - 0.5) * proof))
    if cause == "incident":
        parts.append(Part("ladder", 0.2 * (rung - 0.5)))
    parts.append(Part("tension", 0.1 * tension / 100))
    parts.append(Part("last_resort", 0.05 * min(4, tried)))
    if strength_ratio > 2 and cause not in ("defence", "coalition"):
        parts.append(Part("proportion", -0.05 * min(4.0, strength_ratio - 2)))
    total = math.fsum(part.amount for part in parts)
    value = min(1.0, max(0.0, total))
    if value != total:
        parts.append(Part("limit", value - total))
    return Legitimacy(value, tuple(parts))


def judgement(legitimacy_: float, closeness: float = 0.0) -> float:
    """What others think (opinion points) of who declares such a war: worse the closer they are to the victim.

    `closeness` is their opinion of the victim, -1..1. Nobody minds a war from `FAIR` on, but friends of the victim.
    """
    blame = max(0.0, FAIR - legitimacy_) / FAIR
    return round(-30 * blame * (0.5 + 0.5 * closeness) - 15 * max(0.0, closeness) * (1 - legitimacy_), 4)


def reputation_of(legitimacy_: float) -> float:
    """What declaring such a war does to one's reputation (-100..100): from -15 to 0."""
    return round(-15 * max(0.0, FAIR - legitimacy_) / FAIR, 4)


AGGRESSION_OF_REGION: Final = 6.0
"""How much each region that is kept frightens the neighbours."""


def aggression(legitimacy_: float) -> float:
    """How much declaring such a war frightens the neighbours, 0..20."""
    return round(20 * (1 - legitimacy_) ** 2, 4)


# -- battles -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Host:
    """Who comes to a battle: `troops` >= 0, `quality` and `morale` around 1."""

    troops: float
    quality: float = 1.0
    morale: float = 1.0


@dataclass(frozen=True, slots=True)
class Battle:
    """How a battle went: losses are troops; `parts` are the factors that `power` of each side is the product of."""

    winner: Outcome
    attacker_losses: float
    defender_losses: float
    rounds: int
    attacker_power: float
    defender_power: float
    parts: tuple[Part, ...]
    score: float


def fight(dice: Dice, attacker: Host, defender: Host, terrain: str = "") -> Battle:
    """A battle by Lanchester's square law: each side's losses per round are in proportion to the other's troops.

    With A and D troops of effectiveness a and d, dA/dt = -d D and dD/dt = -a A, so that a A^2 - d D^2 does not
    change: who is twice as many is four times as strong. It is stepped in rounds, each with some luck, until
    one side has lost the share at which it breaks, which grows with its morale. Ground helps the defender.
    """
    ground = DEFENCE.get(terrain, 1.1)
    parts = (
        Part("attacker_quality", attacker.quality), Part("attacker_morale", attacker.morale),
        Part("defender_quality", defender.quality), Part("defender_morale", defender.morale),
        Part("ground", ground),
    )  # fmt: skip
    a, d = attacker.quality * attacker.morale, defender.quality * defender.morale * ground
    left, right, rounds = attacker.troops, defender.troops, 0
    breaks = [min(0.9, BREAK_AT * max(0.5, host.morale)) for host in (attacker, defender)]
    fallen = [1.0 if host.troops <= 0 else 0.0 for host in (attacker, defender)]
    while rounds < MOST_ROUNDS and fallen[0] < breaks[0] and fallen[1] < breaks[1]:
        rounds += 1
        luck = max(0.4, min(1.6, dice.gauss(1.0, 0.2))), max(0.4, min(1.6, dice.gauss(1.0, 0.2)))
        left, right = (
            max(0.0, left - ATTRITION * d * right * luck[1]),
            max(0.0, right - ATTRITION * a * left * luck[0]),
        )
        fallen = [1 - left / attacker.troops, 1 - right / defender.troops]
    winner = _winner(fallen, breaks)
    most = max(1e-9, attacker.troops + defender.troops)
    return Battle(
        winner, attacker.troops - left, defender.troops - right, rounds, a * attacker.troops**2,
        d * defender.troops**2, parts, round(battle_score(winner, fallen[1] - fallen[0], most), 4),
    )  # fmt: skip


def _winner(fallen: Sequence[float], breaks: Sequence[float]) -> Outcome:
    over = fallen[0] / breaks[0], fallen[1] / breaks[1]
    if max(over) < 1 or over[0] == over[1]:
        return "draw"
    return "attacker" if over[0] < over[1] else "defender"


def battle_score(winner: str, difference: float, troops: float) -> float:
    """What a battle adds to the war score from the attacker's view: 1..10 by its size and how clear it was."""
    if winner == "draw":
        return 0.0
    size = min(1.0, math.log10(max(10.0, troops)) / 4)
    points = 1 + 9 * size * min(1.0, abs(difference) / BREAK_AT)
    return points if winner == "attacker" else -points


# -- score and exhaustion --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WarScore:
    """How a war stands for the attacker, -100 (lost) to 100 (won), as the sum of its parts."""

    value: float
    parts: tuple[Part, ...]


def war_score(
    battles: float, taken: int, enemy_regions: int, lost: int, own_regions: int, exhaustion: float,
    enemy_exhaustion: float,
) -> WarScore:  # fmt: skip
    """The war score from the attacker's view.

    - `battles`: the sum of the scores of battles;
    - `taken` of the `enemy_regions`, `lost` of the `own_regions`, as they were when the war began;
    - exhaustion of both sides, 0..100.
    """
    parts = [
        Part("battles", _bounded(battles, BATTLES_AT_MOST)),
        Part("taken", OCCUPATION_AT_MOST * min(1.0, taken / enemy_regions) if enemy_regions else 0.0),
        Part("lost", -OCCUPATION_AT_MOST * min(1.0, lost / own_regions) if own_regions else 0.0),
        Part("exhaustion", _bounded((enemy_exhaustion - exhaustion) / 5, EXHAUSTION_AT_MOST)),
    ]
    total = math.fsum(part.amount for part in parts)
    if abs(total) > 100:
        parts.append(Part("limit", _bounded(total, 100.0) - total))
    return WarScore(_bounded(total, 100.0), tuple(parts))


def exhaustion_now(value: float, at: int, now: int, *, at_war: bool) -> float:
    """War exhaustion (0..100) at `now`: it grows by the day in war, and halves by and by in peace."""
    if at_war:
        return min(100.0, value + EXHAUSTION_PER_DAY * elapsed(at, now) / DAY)
    return value * half_life_factor(elapsed(at, now), EXHAUSTION_HALF_LIFE)


def exhausted(value: float, *, losses: float = 0.0, strength: float = 0.0, regions: int = 0) -> float:
    """War exhaustion after losing `losses` of `strength` troops, and `regions` regions."""
    share = min(1.0, losses / strength) if strength > 0 else 0.0
    return min(100.0, max(0.0, value + EXHAUSTION_OF_LOSSES * share + EXHAUSTION_OF_REGION * regions))


def morale(exhaustion: float) -> float:
    """What exhaustion (0..100) leaves of morale: from 1 to 0.5."""
    return 1 - 0.5 * min(100.0, max(0.0, exhaustion)) / 100


def truce_days(score: float) -> int:
    """How long a truce holds after a war: 180 days at least, a year more for the clearest victory."""
    return 180 + round(abs(_bounded(score, 100.0)) * 3.6)


# -- coalitions --------------------------------------------------------------------------------------------------

FEAR_HALF_LIFE: Final = 360 * DAY
"""In this time half of what a faction's aggression frightened its neighbours is forgotten (world ms)."""
FEAR_JOINS: Final = 25.0
"""From this fear on a neighbour looks for others against the one it fears."""
COALITION_OF: Final = 2
"""So many frightened neighbours at least make a coalition."""


def aggression_now(value: float, at: int, now: int) -> float:
    """How much a faction's aggression still frightens at `now`."""
    return value * half_life_factor(elapsed(at, now), FEAR_HALF_LIFE)


def fear(aggression_: float, *, near: bool, opinion: float, tension: float) -> float:
    """How much one fears an aggressor (0..100): neighbours fear it twice as much, friends half."""
    liking = 1 - 0.5 * max(-1.0, min(1.0, opinion / 100))
    return min(100.0, aggression_ * (1.0 if near else 0.5) * liking * (1 + tension / 200))


def _bounded(value: float, most: float) -> float:
    return max(-most, min(most, value))
