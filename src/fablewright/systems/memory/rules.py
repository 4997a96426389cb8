"""What a memory is, how it is recalled, joined with another telling, and forgotten. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from heapq import nlargest
from operator import attrgetter
from typing import Any, Final, Literal, Protocol, TypeVar
from uuid import UUID

from fablewright.core.clock import DAY, HOUR, elapsed, half_life_factor
from fablewright.core.dice import derived_uuid
from fablewright.core.refusal import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, Refusal

MemoryKind = Literal["did", "saw", "told", "knows", "reflection"]

MOST_TEXT: Final = 2_000
"""Characters in the text of one memory."""
MOST_ABOUT: Final = 20
"""Characters that one memory can be about."""

RECENCY_HALF_LIFE_MS: Final = 138 * HOUR
"""World time in which the recency of a memory halves: 0.995 per hour, as in Park et al. (2023)."""
FLOOR: Final = 0.1
"""What recency and importance leave at least of a memory's score, so that neither alone can hide it."""

ABOUT_LATEST: Final = 4
"""How many of the latest memories about the other come to mind before it."""
ABOUT_WEIGHTIEST: Final = 3
"""How many of the weightiest ones about the other, among the last `ABOUT_CONSIDERED`."""
ABOUT_CONSIDERED: Final = 24
LATEST: Final = 4
"""How many of the speaker's latest memories come to mind, whomever they are about."""
WEIGHTIEST: Final = 4
"""How many of its weightiest ones."""

RETENTION_HALF_LIFE_MS: Final = 5 * DAY
"""World time in which a memory of no importance loses half of its hold."""
IMPORTANCE_HOLDS: Final = 40.0
"""How many times longer (beyond once) the most important memory keeps its hold: a hold that halves in 205 days."""

CAPACITY: Final = 10_000
"""Memories that a character keeps, unless the world's settings say otherwise; see `capacity_of`."""
LEAST_CAPACITY: Final = 20
MOST_CAPACITY: Final = 100_000
KEPT_SHARE: Final = 0.9
"""When memory is over-full, it is emptied to this share of the capacity, so that it is not done each time."""

MOST_HEARD: Final = 16
"""From how many others a fact is noted to have been heard; more witnesses than that make nobody surer."""
MOST_CERTAIN_HEARSAY: Final = 0.98
"""However many say so, hearsay does not become what one saw oneself."""

REFLECT_AFTER: Final = 4.0
"""The sum of importance x certainty of new memories after which a character draws conclusions: some twenty
ordinary encounters, or five that shook it. Park et al. (2023) reflect after 150 points of importances from 1 to
10, two or three times a day."""

MEMORY_NOT_FOUND = Refusal(
    "memory_not_found", NOT_FOUND, "There is no such memory in this world: it may have been forgotten."
)
MEMORIES_ARE_PRIVATE = Refusal(
    "memories_are_private", FORBIDDEN,
    "What a character remembers is for game masters and for who controls the character.",
)  # fmt: skip
MEMORY_CHARACTER_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world. Look it up in the list."
)
MEMORY_PLACE_NOT_FOUND = Refusal(
    "place_not_found", NOT_FOUND, "There is no such place in this world. Look it up in the list."
)
TELLERS_INVALID = Refusal(
    "tellers_invalid",
    INVALID,
    "Who is told something has tellers, and is not among them: send `tellers` with kind `told`, and only then.",
)
MEMORY_EXISTS = Refusal(
    "memory_exists",
    CONFLICT,
    "The character remembers one of these facts already. Restore memories only once.",
)
MEMORY_IN_THE_FUTURE = Refusal(
    "memory_in_the_future", INVALID, "Nobody remembers what is still to come. Send an earlier time `at`."
)


@dataclass(frozen=True, slots=True)
class NewMemory:
    """Something that a character will remember; see `tables.Memory` for what the fields mean.

    `importance` and `certainty` are 0..1, `valence` -1..1, `at` is world ms. `tellers` is the chain by which it
    came, first teller first, and names somebody if and only if `kind` is `told`.
    """

    character_id: UUID
    fact_id: UUID
    kind: MemoryKind
    text: str
    subject_id: UUID | None
    about: tuple[UUID, ...]
    place_id: UUID | None
    at: int
    importance: float
    certainty: float
    valence: float
    secret: bool = False
    tellers: tuple[UUID, ...] = ()
    claim: Mapping[str, Any] | None = None
    truth: str | None = None
    event_id: UUID | None = None
    evidence: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryState:
    """Something that a character remembers. Fields as in `NewMemory`."""

    id: UUID
    character_id: UUID
    fact_id: UUID
    kind: MemoryKind
    text: str
    subject_id: UUID | None
    about: tuple[UUID, ...]
    place_id: UUID | None
    at: int
    importance: float
    certainty: float
    valence: float
    secret: bool = False
    tellers: tuple[UUID, ...] = ()
    claim: Mapping[str, Any] | None = None
    truth: str | None = None
    event_id: UUID | None = None
    evidence: tuple[UUID, ...] = ()
    heard_from: tuple[UUID, ...] = ()

    @property
    def firsthand(self) -> bool:
        """Whether nobody had to tell it."""
        return not self.tellers


NEW_FIELDS: Final = tuple(field.name for field in fields(NewMemory))
_values: Final[Callable[[NewMemory], Any]] = attrgetter(*NEW_FIELDS)


@lru_cache(maxsize=16_384)
def memory_id(character_id: UUID, fact_id: UUID) -> UUID:
    """The id of a character's memory of a fact: known before it is stored, so that events can name it."""
    return derived_uuid("memory", character_id, fact_id)


def remembered(new: NewMemory) -> MemoryState:
    """A new memory as it is stored."""
    values: list[Any] = [*_values(new), new.tellers[-MOST_HEARD:]]
    return MemoryState(memory_id(new.character_id, new.fact_id), *values)


# -- recall --------------------------------------------------------------------------------------------------


class Weighed(Protocol):
    """What is needed of a memory to weigh it."""

    @property
    def at(self) -> int:
        """World ms."""

    @property
    def importance(self) -> float:
        """0..1."""


@dataclass(frozen=True, slots=True)
class Score:
    """Why a memory is recalled: its parts and their product, each 0..1."""

    recency: float
    importance: float
    relevance: float
    total: float


def recency(at: int, now: int) -> float:
    """How fresh (0..1] a memory of world time `at` is at `now`: it halves every `RECENCY_HALF_LIFE_MS`.

    Source: Park et al. 2023, "Generative Agents", section 4.1 (decay of 0.995 per hour of game time), who
    count from when it was last recalled; here it counts from when it happened, so that recalling writes nothing.
    """
    return half_life_factor(elapsed(at, now), RECENCY_HALF_LIFE_MS)


def score(memory: Weighed, now: int, relevance: float = 1.0) -> Score:
    """How much a memory (anything with `at` and `importance`) comes to mind at world time `now`.

    `relevance` (0..1) is how much it has to do with what is asked, 1 if nothing is. The total (0..1) is the
    product of the relevance and of recency and importance, each of which leaves at least `FLOOR`.
    Source: Park et al. 2023, section 4.1, who add the three; we multiply, so that what has nothing to do with
    the question does not come to mind however fresh it is. The floor is our own.
    """
    whole = total(memory.at, memory.importance, now, relevance)
    return Score(recency(memory.at, now), memory.importance, relevance, whole)


def total(at: int, importance: float, now: int, relevance: float) -> float:
    """The total of `score`, for weighing thousands of memories of which few are looked at."""
    return (FLOOR + (1 - FLOOR) * recency(at, now)) * (FLOOR + (1 - FLOOR) * importance) * relevance


def order_before(memory: MemoryState, other: UUID, now: int) -> tuple[float, UUID]:
    """The place of a memory among those that come to mind before `other`: what sorts first comes first.

    What is about the other is relevant, everything else half.
    """
    relevance = 1.0 if memory.subject_id == other or other in memory.about else 0.5
    return -total(memory.at, memory.importance, now, relevance), memory.id


def in_mind(memories: Sequence[MemoryState], other: UUID) -> list[MemoryState]:
    """Those of a speaker's memories that come to mind before `other`, in the order given.

    The latest and weightiest about the other, and the latest and weightiest of all. Of what came to mind earlier and
    what was learnt since, it is what would come to mind of everything that the speaker remembers.
    """
    about = [m for m in memories if m.subject_id == other]
    held = [
        *nlargest(ABOUT_LATEST, about, key=lambda m: (m.at, m.id)),
        *nlargest(ABOUT_WEIGHTIEST, about, key=lambda m: (m.importance, m.at, m.id)),
        *nlargest(LATEST, memories, key=lambda m: (m.at, m.id)),
        *nlargest(WEIGHTIEST, memories, key=lambda m: (m.importance, m.id)),
    ]
    ids = {m.id for m in held}
    return [m for m in memories if m.id in ids]


# -- hearing again -------------------------------------------------------------------------------------------


def corroborated(first: float, second: float) -> float:
    """How certain (0..1) one is of what two independent witnesses say, each believed with a certainty of 0..1.

    1 - (1 - a)(1 - b): the chance that not both are wrong. It is never below either, and symmetric. What is
    below certainty stays below it: at most `MOST_CERTAIN_HEARSAY`, unless one of them is above that already.
    """
    return max(first, second, min(MOST_CERTAIN_HEARSAY, 1 - (1 - first) * (1 - second)))


def merged(old: MemoryState, new: NewMemory | MemoryState) -> MemoryState:
    """A memory after its fact came to the character once more.

    - What one saw or did is not overwritten by hearsay; it overwrites hearsay, and then what was told has
      served its turn.
    - Of two hearsays the surer one is believed, with its words, tellers and truth.
    - Only a witness that shares no teller with all that was heard before makes surer (`corroborated`): the same
      mouth twice, or two who have it from a third, is one witness.
    - It becomes as important as the more important of the two. A reflection is replaced by a newer one.
    """
    if new.kind == "reflection" or (old.tellers and not new.tellers):
        return _replaced(old, new)
    importance = max(old.importance, new.importance)
    if not new.tellers or not old.tellers:
        return replace(
            old, importance=importance, certainty=max(old.certainty, 0.0 if new.tellers else new.certainty)
        )
    heard = tuple(dict.fromkeys((*old.heard_from, *new.tellers)))
    independent = not set(old.heard_from) & set(new.tellers) and len(old.heard_from) < MOST_HEARD
    joined = corroborated if independent else max
    certainty = joined(old.certainty, new.certainty)
    believed = _replaced(old, new) if new.certainty > old.certainty else old
    return replace(believed, certainty=certainty, importance=importance, heard_from=heard[:MOST_HEARD])


def _replaced(old: MemoryState, new: NewMemory | MemoryState) -> MemoryState:
    values = {name: getattr(new, name) for name in NEW_FIELDS}
    values["importance"] = max(old.importance, new.importance)
    heard = tuple(dict.fromkeys((*old.heard_from, *new.tellers)))[:MOST_HEARD]
    return MemoryState(old.id, **values, heard_from=heard)


def gathered(states: Iterable[MemoryState]) -> list[MemoryState]:
    """Memories of which those with one id are merged, each where its id came first."""
    found: dict[UUID, MemoryState] = {}
    for state in states:
        known = found.get(state.id)
        found[state.id] = state if known is None else merged(known, state)
    return list(found.values())


# -- forgetting ----------------------------------------------------------------------------------------------


def retention(memory: Weighed, now: int) -> float:
    """How firm a hold (0..1] a memory (anything with `at` and `importance`) has at world time `now`.

    (0.1 + 0.9 i) x 2^(-age / S), where S grows evenly from `RETENTION_HALF_LIFE_MS` with importance i: the
    forgetting curve of Ebbinghaus (1885), with a strength that depends on the memory, as in MemoryBank (Zhong et
    al. 2023). The constants are our own, tuned for play.
    """
    half_life = RETENTION_HALF_LIFE_MS * (1 + IMPORTANCE_HOLDS * memory.importance)
    return (0.1 + 0.9 * memory.importance) * half_life_factor(elapsed(memory.at, now), int(half_life))


def capacity_of(settings: Mapping[str, Any]) -> int:
    """How many memories each character of a world keeps: `memory_capacity` of its settings, within bounds."""
    wanted = settings.get("memory_capacity", CAPACITY)
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        return CAPACITY
    return min(MOST_CAPACITY, max(LEAST_CAPACITY, wanted))


class Kept(Weighed, Protocol):
    """What is needed of a memory to decide whether it is kept."""

    @property
    def id(self) -> UUID:
        """Its id."""


K = TypeVar("K", bound=Kept)


def forgettable(memories: Sequence[K], now: int, capacity: int) -> list[K]:
    """Those that are forgotten so that memory is full to `KEPT_SHARE` of the capacity; none if it is not over it.

    The ones with the least hold go, the older first where that is equal.
    """
    if len(memories) <= capacity:
        return []
    order = sorted(memories, key=lambda m: (retention(m, now), m.at, m.id))
    return order[: len(memories) - int(capacity * KEPT_SHARE)]
