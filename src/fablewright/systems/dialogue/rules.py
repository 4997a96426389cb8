"""What an interaction does to two characters, and what the other one answers. Pure.

All coefficients are our own, tuned for play; the directions they give to personality follow the research on
the five factors (agreeableness softens conflict and warms to kindness, neuroticism amplifies bad experiences;
see McCrae & Costa, "Personality in Adulthood").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from fablewright.core.clock import HOUR, elapsed
from fablewright.core.dice import Dice
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal

InteractionType = Literal["greeting", "chat", "collaboration", "conflict"]

SAME_CHARACTER = Refusal(
    "same_character", INVALID, "A character cannot do this with itself. Name two characters."
)
CHARACTER_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world. Look it up in the list."
)
NOT_PRESENT = Refusal(
    "not_present",
    CONFLICT,
    "The character is asleep or away. Wait until it is active, or choose another one.",
)
TOO_TIRED = Refusal(
    "too_tired", CONFLICT, "The character has too little energy for this. Let world time pass, or do less."
)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a type of interaction does between two average strangers.

    `strength` and `trust` are added to each one's tie; `energy` is what it costs who begins.
    """

    strength: float
    trust: float
    energy: float


EFFECTS: Final[Mapping[InteractionType, Effect]] = {
    "greeting": Effect(0.02, 0.01, 0.005),
    "chat": Effect(0.04, 0.02, 0.01),
    "collaboration": Effect(0.08, 0.06, 0.03),
    "conflict": Effect(-0.12, -0.08, 0.02),
}
TARGET_SHARE: Final = 0.4
"""The part of the energy that an interaction also costs the other one."""
NOVELTY_MS: Final = HOUR
"""World time after which an interaction has its full effect again."""
NOVELTY_FLOOR: Final = 0.25
"""The part of the effect that is left of an interaction repeated at once."""
MOST_CHANGE: Final = 0.3
"""No interaction changes a strength or a trust by more: 0.12 times at most 2 times at most 1.25."""


@dataclass(frozen=True, slots=True)
class Person:
    """What the rules need to know of a character; `energy` (0..1) is that of now, traits are 0..1."""

    id: UUID
    name: str
    active: bool
    played: bool
    """Whether a user controls it; the server then puts no words into its mouth."""
    energy: float
    agreeableness: float
    neuroticism: float
    extraversion: float


@dataclass(frozen=True, slots=True)
class Feeling:
    """A tie: strength -1..1, trust 0..1, how often and when (world ms, None for never) they last met."""

    strength: float
    trust: float
    interaction_count: int
    last_interaction_at: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is so after an interaction."""

    initiator_energy: float
    target_energy: float
    initiator_tie: Feeling
    target_tie: Feeling
    answer: str | None


Answers = Mapping[str, Mapping[str, Sequence[str]]]
"""Lines by interaction type and tone (`warm`, `plain`, `cold`); `{name}` stands for who is answered."""


def check(
    kind: InteractionType, initiator: Person | None, target: Person | None, ids: tuple[UUID, UUID]
) -> None:
    """Whether the first of `ids` may do this with the second; None stands for a character that is not there.

    Refuses `same_character`, `character_not_found`, `not_present`, `too_tired`.
    """
    if ids[0] == ids[1]:
        raise SAME_CHARACTER()
    for person, character_id in ((initiator, ids[0]), (target, ids[1])):
        if person is None:
            raise CHARACTER_NOT_FOUND(character_id=str(character_id))
    assert initiator is not None and target is not None
    for person in (initiator, target):
        if not person.active:
            raise NOT_PRESENT(
                f"{person.name} is asleep or away. Wait until it is active, or choose another character.",
                character_id=str(person.id),
            )
    cost = EFFECTS[kind].energy
    if initiator.energy < cost:
        raise TOO_TIRED(
            f"{initiator.name} has {initiator.energy:.3f} energy; a {kind} takes {cost}. Let time pass.",
            character_id=str(initiator.id), energy=initiator.energy, needed=cost,
        )  # fmt: skip


def interact(
    kind: InteractionType, initiator: Person, target: Person, ties: tuple[Feeling, Feeling], now: int, *,
    dice: Dice, answers: Answers,
) -> Outcome:  # fmt: skip
    """What happens; `ties`: what the initiator feels about the target, and the reverse. `check` first."""
    cost = EFFECTS[kind].energy
    own = felt(kind, initiator, ties[0], now, dice.uniform(0.75, 1.25))
    other = felt(kind, target, ties[1], now, dice.uniform(0.75, 1.25))
    return Outcome(
        initiator_energy=max(0.0, initiator.energy - cost),
        target_energy=max(0.0, target.energy - cost * TARGET_SHARE),
        initiator_tie=own,
        target_tie=other,
        answer=None
        if target.played
        else answer(kind, target, ties[1], initiator.name, dice=dice, answers=answers),
    )


def felt(kind: InteractionType, who: Person, tie: Feeling, now: int, luck: float) -> Feeling:
    """A tie after an interaction, as `who` took it.

    base effect x receptiveness (0.5..2) x luck (0.75..1.25) x novelty (0.25..1) x room that is left (0..1).
    """
    effect = EFFECTS[kind]
    factor = receptiveness(who, effect.strength) * luck * novelty(tie.last_interaction_at, now)
    return Feeling(
        moved(tie.strength, effect.strength * factor, -1.0),
        moved(tie.trust, effect.trust * factor, 0.0),
        tie.interaction_count + 1,
        now if tie.last_interaction_at is None else max(now, tie.last_interaction_at),
    )


def receptiveness(who: Person, direction: float) -> float:
    """How much an experience moves someone, 0.5..2: kind ones the agreeable, bad ones the neurotic."""
    if direction >= 0:
        return 0.5 + 0.7 * who.agreeableness + 0.3 * who.extraversion
    return 0.5 + 0.75 * who.neuroticism + 0.75 * (1.0 - who.agreeableness)


def novelty(last: int | None, now: int) -> float:
    """How much of its effect a repeated interaction has, 0.25..1, growing evenly over `NOVELTY_MS`."""
    if last is None:
        return 1.0
    return NOVELTY_FLOOR + (1.0 - NOVELTY_FLOOR) * min(1.0, elapsed(last, now) / NOVELTY_MS)


def moved(value: float, change: float, low: float) -> float:
    """The value after a change, within `low`..1.

    The change counts in proportion to the room that is left, if that is less than 1. So returns diminish: a
    strength creeps up to 1 and never reaches it in a leap.
    """
    room = 1.0 - value if change > 0 else value - low
    return min(1.0, max(low, value + change * min(1.0, room)))


def tone(target: Person, tie: Feeling, luck: float) -> Literal["warm", "plain", "cold"]:
    """How someone answers whom it feels `tie` about; `luck` (-0.15..0.15) is the mood of the moment."""
    mood = tie.strength + 0.4 * (tie.trust - 0.5) + 0.6 * (target.agreeableness - 0.5) + luck
    if mood > 0.25:
        return "warm"
    return "cold" if mood < -0.2 else "plain"


def answer(kind: str, target: Person, tie: Feeling, name: str, *, dice: Dice, answers: Answers) -> str:
    """A line of the target's to `name`; the talkative now and then add something."""
    how = tone(target, tie, dice.uniform(-0.15, 0.15))
    line = dice.choice(answers[kind][how])
    if dice.chance(0.6 * target.extraversion):
        line = f"{line} {dice.choice(answers['aside'][how])}"
    return line.replace("{name}", name)
