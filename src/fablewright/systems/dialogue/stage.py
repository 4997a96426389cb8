"""Who and what takes part in a batch of interactions, as values, as it goes on. Pure."""

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from fablewright.core.clock import Calendar
from fablewright.systems.characters.rules import CharacterState
from fablewright.systems.dialogue import rules
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.dialogue.effects import TypeDefinition
from fablewright.systems.dialogue.voice import Voice
from fablewright.systems.memory.rules import (
    MemoryState,
    NewMemory,
    in_mind,
    merged,
    order_before,
    remembered,
    score,
)
from fablewright.systems.regions.rules import NOWHERE, PlaceState, Where
from fablewright.systems.relationships.rules import TieState

Pair = tuple[UUID, UUID]
"""A speaker and whom it speaks to, or who feels something and about whom."""

STRANGER: Final = TieState()


@dataclass(frozen=True, slots=True)
class Content:
    """By what a world's characters speak and act: its types, its voice, and the phrases that show tones."""

    types: Mapping[str, TypeDefinition]
    voice: Voice
    tones: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Talk:
    """What two have been talking about: `pending` is a question of `pending_by`'s, `told` are facts passed on."""

    topic: str | None = None
    turns: int = 0
    last_at: int = 0
    pending: str | None = None
    pending_by: UUID | None = None
    told: tuple[UUID, ...] = ()


@dataclass(slots=True)
class Scene:
    """Everybody in a batch of interactions and all that matters between them, as it goes on."""

    world_id: UUID
    now: int
    calendar: Calendar
    content: Content
    sentiment: Callable[[str], float]
    people: dict[UUID, CharacterState]
    where: dict[UUID, Where]
    places: dict[UUID, PlaceState]
    ties: dict[Pair, TieState]
    memories: dict[Pair, list[MemoryState]]
    """What a speaker remembers that matters before another, best first; see `in_mind`."""
    chosen: dict[UUID, MemoryState]
    """What an interaction passes on, by request."""
    bystanders: dict[UUID, list[UUID]]
    """Who is around and awake, by request."""
    heard: dict[UUID, list[int]]
    talks: dict[Pair, Talk]
    names: dict[UUID, str]
    changed_people: dict[UUID, None] = field(default_factory=dict)
    changed_ties: dict[Pair, None] = field(default_factory=dict)
    changed_heard: dict[UUID, None] = field(default_factory=dict)
    changed_talks: dict[Pair, None] = field(default_factory=dict)
    news: list[NewMemory] = field(default_factory=list)
    speakers: dict[UUID, list[UUID]] = field(default_factory=dict)
    """Before whom each speaker has memories; made when first needed."""
    crowded: set[Pair] = field(default_factory=set)
    """Where something was learnt since `in_mind` was asked, so that something else may be out of mind."""

    def tie(self, source: UUID, target: UUID) -> TieState:
        """How someone feels about another now."""
        return self.ties.get((source, target), STRANGER).now(self.now)

    def set_tie(self, source: UUID, target: UUID, tie: TieState) -> None:
        self.ties[source, target] = tie
        self.changed_ties[source, target] = None

    def learn(self, made: Sequence[NewMemory]) -> None:
        """Let what comes later in the batch know what was remembered in it, as if that were stored already."""
        self.news.extend(made)
        if not self.speakers:
            for speaker, other in self.memories:
                self.speakers.setdefault(speaker, []).append(other)
        for new in made:
            for other in self.speakers.get(new.character_id, ()):
                self._recall_too(new, other)

    def _recall_too(self, new: NewMemory, other: UUID) -> None:
        known = self.memories[new.character_id, other]
        state = remembered(new)
        before = next((m for m in known if m.id == state.id), None)
        if before is not None:
            known.remove(before)
            state = merged(before, state)
        insort(known, state, key=lambda m: order_before(m, other, self.now))
        self.crowded.add((new.character_id, other))

    def in_mind(self, speaker: UUID, other: UUID) -> Sequence[MemoryState]:
        """What comes to the speaker's mind before the other, best first, with what was learnt in the batch."""
        pair = speaker, other
        if pair in self.crowded:
            self.crowded.remove(pair)
            self.memories[pair] = in_mind(self.memories[pair], other)
        return self.memories.get(pair, ())


def pair_of(one: UUID, other: UUID) -> Pair:
    """Both, the lower id first."""
    return (one, other) if one < other else (other, one)


def tellable(
    kind: str, memories: Sequence[MemoryState], pair: Pair, told: Sequence[UUID], now: int
) -> MemoryState | None:
    """What the first of a pair would pass on to the second; None if nothing fits.

    Gossip is about third persons and never a secret; what one confides is a secret, a conclusion of one's own or
    something one knows. Nobody tells someone what that one told, did or has been told in this pair before.
    """
    teller, listener = pair

    def fits(m: MemoryState) -> bool:
        if m.fact_id in told or listener in m.tellers or listener in m.about or m.subject_id == listener:
            return False
        if kind == "confide":
            return m.secret or m.kind in ("reflection", "knows")
        return not m.secret and m.subject_id not in (None, teller) and m.kind != "reflection"

    fitting = [m for m in memories if m.character_id == teller and fits(m)]
    return max(fitting, key=lambda m: (score(m, now, 0.5).total, m.id), default=None)


def check(scene: Scene, command: Interact, request_id: UUID) -> None:
    """Refuses what may not be; see `rules.check`, and what concerns the type and the memory that it tells."""
    definition = rules.definition_of(command.type, scene.content.types)
    ids = command.initiator_id, command.target_id
    a, b = (_standing(scene, i) for i in ids)
    rules.check(
        command.type, definition, a, b, ids,
        there=scene.tie(*ids), back=scene.tie(ids[1], ids[0]), now=scene.now, calendar=scene.calendar,
    )  # fmt: skip
    if command.memory_id is not None:
        if not definition.tells:
            raise rules.TYPE_TELLS_NOTHING(
                f"A {command.type} passes no memory on. Leave `memory_id` out.", type=command.type
            )
        if request_id not in scene.chosen:
            raise rules.MEMORY_NOT_FOUND(memory_id=str(command.memory_id))
    elif definition.tells and command.content is None and request_id not in scene.chosen:
        assert a is not None and b is not None
        raise rules.NOTHING_TO_TELL(
            f"{a.name} knows nothing that {b.name} would not know already. Send `content`, or wait for news."
        )


def _standing(scene: Scene, character_id: UUID) -> rules.Standing | None:
    c = scene.people.get(character_id)
    if c is None:
        return None
    where = scene.where.get(character_id, NOWHERE)
    return rules.Standing(c.id, c.name, c.status, c.energy_now(scene.now), where)
