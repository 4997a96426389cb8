"""Who may do what with whom. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fablewright.core.clock import SECOND, Calendar, elapsed
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal
from fablewright.systems.characters.rules import Status
from fablewright.systems.dialogue.effects import TypeDefinition
from fablewright.systems.regions.rules import NOWHERE, Where
from fablewright.systems.relationships.rules import TieState

SAME_CHARACTER = Refusal(
    "same_character", INVALID, "A character cannot do this with itself. Name two characters."
)
CHARACTER_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world. Look it up in the list."
)
ASLEEP = Refusal("asleep", CONFLICT, "The character is asleep. Wait until it wakes, or wake it.")
NOT_PRESENT = Refusal(
    "not_present", CONFLICT, "The character is away. Wait until it is back, or choose another one."
)
ON_THE_WAY = Refusal("on_the_way", CONFLICT, "The character is walking. Wait until it has arrived.")
ELSEWHERE = Refusal("elsewhere", CONFLICT, "The two are not at the same place. Let one walk to the other.")
TOO_TIRED = Refusal(
    "too_tired", CONFLICT, "The character has too little energy for this. Let world time pass, or do less."
)
TOO_SOON = Refusal("too_soon", CONFLICT, "These two did this a moment ago. Try again at `retry_at`.")
ESTRANGED = Refusal(
    "estranged",
    CONFLICT,
    "The other one no longer talks with this character. An apology or a gift may mend it.",
)
TYPE_UNKNOWN = Refusal(
    "interaction_type_unknown",
    INVALID,
    "There is no such type of interaction in this world. Use a built-in one, or define it.",
)
MEMORY_NOT_FOUND = Refusal(
    "memory_not_found", NOT_FOUND, "The initiator remembers no such thing. Name one of its own memories."
)
NOTHING_TO_TELL = Refusal(
    "nothing_to_tell",
    CONFLICT,
    "The initiator knows nothing that it could tell this character. Send `content`, or let it hear something.",
)
TYPE_TELLS_NOTHING = Refusal(
    "type_tells_nothing",
    INVALID,
    "This type passes no memory on. Leave `memory_id` out, or use a type that tells, such as gossip or confide.",
)
GRAMMAR_NOT_FOUND = Refusal("grammar_not_found", NOT_FOUND, "This world has no texts of that name.")
TYPE_NOT_FOUND = Refusal(
    "interaction_type_not_found", NOT_FOUND, "This world has not defined a type of that name."
)
TYPE_LIKE_UNKNOWN = Refusal(
    "interaction_type_like_unknown",
    INVALID,
    "A type needs texts: name in `like` a built-in type whose texts fit.",
)

TARGET_SHARE: Final = 0.4
"""The part of the energy that an interaction also costs the other one."""
ESTRANGED_BELOW: Final = -0.8
"""Who feels (strength) less about somebody no longer talks with them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rules need to know of a character that would interact; `energy` (0..1) is that of now."""

    id: UUID
    name: str
    status: Status
    energy: float
    where: Where = NOWHERE


def definition_of(kind: str, types: Mapping[str, TypeDefinition]) -> TypeDefinition:
    """What a type does. Refuses `interaction_type_unknown`."""
    found = types.get(kind)
    if found is None:
        raise TYPE_UNKNOWN(
            f"There is no type {kind!r} here. There are {', '.join(sorted(types))}.", type=kind
        )
    return found


def check(
    kind: str, definition: TypeDefinition, initiator: Standing | None, target: Standing | None,
    ids: tuple[UUID, UUID], *, there: TieState, back: TieState, now: int, calendar: Calendar,
) -> None:  # fmt: skip
    """Whether the first of `ids` may do this with the second; None stands for a character that is not there.

    `there` is what the initiator feels about the target, `back` the reverse. Refuses, in this order:
    `same_character`, `character_not_found`, `asleep`, `not_present`, `on_the_way`, `elsewhere`, `too_tired`,
    `estranged`, `too_soon`.
    """
    if ids[0] == ids[1]:
        raise SAME_CHARACTER()
    for person, character_id in ((initiator, ids[0]), (target, ids[1])):
        if person is None:
            raise CHARACTER_NOT_FOUND(character_id=str(character_id))
    assert initiator is not None and target is not None
    _check_presence(initiator, target)
    if initiator.energy < definition.energy:
        raise TOO_TIRED(
            f"{initiator.name} has {initiator.energy:.3f} energy; a {kind} takes {definition.energy}. "
            "Let time pass.",
            character_id=str(initiator.id), energy=initiator.energy, needed=definition.energy,
        )  # fmt: skip
    if back.strength < ESTRANGED_BELOW and not definition.when_estranged:
        raise ESTRANGED(
            f"{target.name} no longer talks with {initiator.name} ({back.strength:+.2f}). "
            "An apology or a gift may mend it.",
            strength=back.strength,
        )  # fmt: skip
    habit = there.habits.get(kind)
    wait = definition.cooldown_seconds * SECOND
    if habit is not None and elapsed(habit.at, now) < wait:
        retry_at = habit.at + wait
        raise TOO_SOON(
            f"{initiator.name} and {target.name} did this a moment ago. "
            f"Try again at {retry_at} ({calendar.read(retry_at)}).",
            retry_at=retry_at,
        )  # fmt: skip


def _check_presence(initiator: Standing, target: Standing) -> None:
    for person in (initiator, target):
        if person.status == "asleep":
            raise ASLEEP(
                f"{person.name} is asleep. Wait until it wakes, or wake it.", character_id=str(person.id)
            )
        if person.status != "active":
            raise NOT_PRESENT(
                f"{person.name} is away. Wait until it is back, or choose another character.",
                character_id=str(person.id),
            )
        if person.where.travelling:
            raise ON_THE_WAY(
                f"{person.name} is walking until {person.where.arrives_at}. Wait until then.",
                character_id=str(person.id), retry_at=person.where.arrives_at,
            )  # fmt: skip
    if initiator.where.place_id != target.where.place_id:
        raise ELSEWHERE(
            f"{initiator.name} and {target.name} are not at the same place. Let one walk to the other.",
            places=[None if p.where.place_id is None else str(p.where.place_id) for p in (initiator, target)],
        )
