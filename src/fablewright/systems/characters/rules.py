"""What a character is, who may make, change and delete one, and how energy comes back. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from uuid import UUID

from fablewright.core.clock import HOUR, elapsed
from fablewright.core.refusal import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, Refusal
from fablewright.systems.characters.emotions import MIDDLE, Pad, baseline, settled

Kind = Literal["player", "npc"]
Status = Literal["active", "asleep", "away"]
GoalKind = Literal["befriend", "win_heart", "reconcile", "ruin", "learn", "help", "protect_secret", "free"]
"""What somebody wants, as far as the director knows what to do about it; `free` is only told."""

FULL_ENERGY_MS: Final = HOUR
"""World time in which energy comes back from 0 to 1, at an even pace. Our choice: who chats once a minute
hardly tires, and who is exhausted rests for an hour."""

CONTROLLER_FIELDS: Final = frozenset({"description", "status", "portrait_url", "speech"})
"""What the user who controls a character may change; everything else needs a game master."""

CHARACTER_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world. Look it up in the list."
)
CHARACTER_EXISTS = Refusal(
    "character_exists", CONFLICT, "A character with this id was already made. Send another id, or none."
)
CHARACTER_NEEDS_GAME_MASTER = Refusal(
    "character_needs_game_master",
    FORBIDDEN,
    "Players make and delete only player characters of their own, and change only description, status, portrait "
    "and speech. Ask a game master.",
)
USER_NOT_MEMBER = Refusal(
    "user_not_member",
    INVALID,
    "The user to control the character is no member of this world. Invite them first.",
)


@dataclass(frozen=True, slots=True)
class Traits:
    """The five factors of personality (OCEAN; McCrae & Costa), each 0..1, with 0.5 for the average."""

    openness: float = 0.5
    conscientiousness: float = 0.5
    extraversion: float = 0.5
    agreeableness: float = 0.5
    neuroticism: float = 0.5


@dataclass(frozen=True, slots=True)
class Speech:
    """How a character talks: three measures, each 0..1 with 0.5 for the average, and words.

    `favourite_words` come up more often, `taboos` never (nor texts that contain one).
    """

    formality: float = 0.5
    verbosity: float = 0.5
    humour: float = 0.5
    favourite_words: tuple[str, ...] = ()
    taboos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Goal:
    """Something a character wants, in words, and with or about whom, if anybody."""

    kind: GoalKind
    text: str
    about_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class CharacterState:
    """A living character as the rules of this and higher systems find it.

    `energy` (0..1) is what was left at `energy_at` (world ms), and `emotion` what it felt at `emotion_at`; see
    `energy_now`, `emotion_now`. `attributes` are numbers of the world's own choosing, `skills` 0..100.
    """

    id: UUID
    name: str
    kind: Kind
    user_id: UUID | None
    description: str
    traits: Traits
    energy: float
    energy_at: int
    status: Status
    emotion: Pad = MIDDLE
    emotion_at: int = 0
    attributes: Mapping[str, float] = field(default_factory=dict)
    skills: Mapping[str, float] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    goals: tuple[Goal, ...] = ()
    speech: Speech = Speech()
    portrait_url: str | None = None

    def energy_now(self, now: int) -> float:
        """Energy (0..1) at world time `now`."""
        return energy_now(self.energy, self.energy_at, now)

    def emotion_now(self, now: int) -> Pad:
        """What it feels at world time `now`."""
        return settled(self.emotion, self.emotion_at, now, self.baseline)

    @property
    def baseline(self) -> Pad:
        """What it feels when nothing happens; see `emotions.baseline`."""
        return baseline(self.traits)


def energy_now(energy: float, at: int, now: int) -> float:
    """Energy (0..1) at world time `now` (ms), if it was `energy` at `at`: it grows evenly, to at most 1."""
    return min(1.0, energy + elapsed(at, now) / FULL_ENERGY_MS)


def controller_of_new(kind: str, wanted: UUID | None, creator: UUID | None, game_master: bool) -> UUID | None:
    """Who will control a new character.

    A game master chooses freely. A player makes only `player` characters, which it then controls itself.
    Refuses `character_needs_game_master`.
    """
    if game_master:
        return wanted
    if kind != "player" or creator is None or wanted not in (None, creator):
        raise CHARACTER_NEEDS_GAME_MASTER(
            "Players may only make characters of kind `player` that they control themselves."
        )
    return creator


def check_change(fields: Collection[str], game_master: bool) -> None:
    """Whether these fields may be changed. Refuses `character_needs_game_master`."""
    beyond = sorted(set(fields) - CONTROLLER_FIELDS)
    if beyond and not game_master:
        raise CHARACTER_NEEDS_GAME_MASTER(
            f"Only a game master may change {', '.join(beyond)}.", fields=beyond
        )


def check_deletion(kind: str, game_master: bool) -> None:
    """Whether who controls a character of this kind may delete it. Refuses `character_needs_game_master`."""
    if kind != "player" and not game_master:
        raise CHARACTER_NEEDS_GAME_MASTER("Only a game master may delete a non-player character.")
