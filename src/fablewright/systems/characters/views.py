"""What is read of characters."""

from functools import lru_cache
from typing import Any, Final, Literal
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.clock import WorldClock
from fablewright.core.messages import View
from fablewright.systems.characters.commands import EmotionValue, GoalValue, Personality, SpeechValue
from fablewright.systems.characters.emotions import Pad, baseline, intensity, label, settled
from fablewright.systems.characters.rules import CharacterState, Goal, Speech, Traits, energy_now

COLUMNS: Final = (
    "id, name, kind, user_id, description, openness, conscientiousness, extraversion, agreeableness, "
    "neuroticism, energy, energy_at, status, pleasure, arousal, dominance, emotion_at, "
    "attributes::text AS attributes, skills::text AS skills, tags, goals::text AS goals, "
    "speech::text AS speech, portrait_url"
)
ALIVE: Final = "num_nulls(deleted_at) = 1"
"""That a character found by its id is not deleted, said so that the planner does not think of the indexes of living
characters by name: with young statistics it would take one of these for the primary key, and read the whole world."""
TRAITS: Final = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")


class EmotionView(View):
    """A feeling (PAD), and a word for it."""

    pleasure: float = Field(description="-1 to 1.")
    arousal: float = Field(description="-1 to 1.")
    dominance: float = Field(description="-1 to 1.")
    label: str = Field(
        description="exuberant, dependent, relaxed, docile, bored, disdainful, anxious, hostile or neutral."
    )
    intensity: float = Field(description="0 (no feeling in particular) to 1.")


class CharacterView(View):
    """A character as it is now."""

    id: UUID
    name: str
    kind: Literal["player", "npc"]
    user_id: UUID | None = Field(description="Who controls it; null if it acts by itself or not at all.")
    description: str
    personality: Personality
    energy: float = Field(description="0 (exhausted) to 1 (rested), at the time of this answer.")
    status: Literal["active", "asleep", "away"]
    emotion: EmotionView = Field(description="What it feels at the time of this answer.")
    baseline: EmotionView = Field(description="What its personality feels when nothing happens.")
    attributes: dict[str, float] = Field(description="Numbers of the world's own choosing.")
    skills: dict[str, float] = Field(description="What it can do, each 0 to 100.")
    tags: list[str]
    goals: list[GoalValue]
    speech: SpeechValue
    portrait_url: str | None


def state_of(row: Any) -> CharacterState:
    """A character from a row of `COLUMNS`."""
    return CharacterState(
        row["id"], row["name"], row["kind"], row["user_id"], row["description"],
        Traits(*(row[trait] for trait in TRAITS)), row["energy"], row["energy_at"], row["status"],
        Pad(row["pleasure"], row["arousal"], row["dominance"]), row["emotion_at"],
        orjson.loads(row["attributes"]), orjson.loads(row["skills"]), tuple(row["tags"]),
        _goals(row["goals"]), _speech(row["speech"]), row["portrait_url"],
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _goals(stored: str) -> tuple[Goal, ...]:
    """Goals from their JSON; kept, since a beat of the director reads those of everybody."""
    return tuple(
        Goal(g["kind"], g["text"], g["about_id"] and UUID(g["about_id"])) for g in orjson.loads(stored)
    )


@lru_cache(maxsize=4096)
def _speech(stored: str) -> Speech:
    """Speech from its JSON; what is missing in it is average."""
    values: dict[str, Any] = orjson.loads(stored)
    for name in ("favourite_words", "taboos"):
        values[name] = tuple(values.get(name, ()))
    return Speech(**values)


def personality_of(traits: Traits) -> Personality:
    """Traits as they are answered."""
    return Personality.model_construct(**{trait: getattr(traits, trait) for trait in TRAITS})


def emotion_of(pad: Pad) -> EmotionValue:
    """A feeling as events tell it."""
    return EmotionValue.model_construct(pleasure=pad.pleasure, arousal=pad.arousal, dominance=pad.dominance)


def goals_of(goals: tuple[Goal, ...]) -> list[GoalValue]:
    """Goals as they are answered."""
    return [GoalValue.model_construct(kind=g.kind, text=g.text, about_id=g.about_id) for g in goals]


def speech_of(speech: Speech) -> SpeechValue:
    """Speech as it is answered."""
    return SpeechValue.model_construct(
        formality=speech.formality, verbosity=speech.verbosity, humour=speech.humour,
        favourite_words=list(speech.favourite_words), taboos=list(speech.taboos),
    )  # fmt: skip


def view_of(state: CharacterState, now: int) -> CharacterView:
    """A character as it is answered at world time `now`."""
    return CharacterView.model_construct(
        id=state.id, name=state.name, kind=state.kind, user_id=state.user_id, description=state.description,
        personality=personality_of(state.traits), energy=state.energy_now(now), status=state.status,
        emotion=EmotionView.model_construct(**_felt(state.emotion_now(now))),
        baseline=EmotionView.model_construct(**_felt(state.baseline)),
        attributes=dict(state.attributes), skills=dict(state.skills), tags=list(state.tags),
        goals=goals_of(state.goals), speech=speech_of(state.speech), portrait_url=state.portrait_url,
    )  # fmt: skip


def _felt(pad: Pad) -> dict[str, Any]:
    """The fields of an `EmotionView`."""
    return {
        "pleasure": pad.pleasure, "arousal": pad.arousal, "dominance": pad.dominance, "label": label(pad),
        "intensity": intensity(pad),
    }  # fmt: skip


@lru_cache(maxsize=16_384)
def _temper(*traits: float) -> tuple[Pad, dict[str, Any]]:
    """The baseline of a personality, and the fields of its `EmotionView`: they change with the personality only."""
    base = baseline(Traits(*traits))
    return base, _felt(base)


# Membership, world clock and character in one statement: this is the busiest read of all.
ONE: Final = """
SELECT m.role, w.anchor_world_ms, w.anchor_real_ms, w.rate, w.paused, w.advance_id IS NOT NULL AS advancing,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms,
       c.id, c.name, c.kind, c.user_id, c.description, c.openness, c.conscientiousness, c.extraversion,
       c.agreeableness, c.neuroticism, c.energy, c.energy_at, c.status, c.pleasure, c.arousal, c.dominance,
       c.emotion_at, c.attributes::text AS attributes, c.skills::text AS skills, c.tags,
       c.goals::text AS goals, c.speech::text AS speech, c.portrait_url
FROM world_members m
JOIN worlds w ON w.id = m.world_id
LEFT JOIN characters c ON c.world_id = m.world_id AND c.id = $3 AND c.deleted_at IS NULL
WHERE m.world_id = $1 AND m.user_id = $2
"""
CLOCK: Final = """
SELECT anchor_world_ms, anchor_real_ms, rate, paused, advance_id IS NOT NULL AS advancing,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms
FROM worlds WHERE id = $1
"""


AVERAGE_SPEECH: Final = orjson.dumps(SpeechValue().model_dump())
"""What is answered for characters from before speech was stored."""


def world_now(row: Any) -> int:
    """World time (ms) from a row with the columns of `CLOCK`."""
    clock = WorldClock(
        row["anchor_world_ms"], row["anchor_real_ms"], row["rate"], row["paused"], row["advancing"]
    )
    return clock.now(row["real_ms"])


def encode_one(row: Any) -> bytes:
    """The JSON of a `CharacterView` straight from a row of `ONE`. What is stored as JSON goes through as it is."""
    traits = {trait: row[trait] for trait in TRAITS}
    now, (base, described) = world_now(row), _temper(*traits.values())
    felt = Pad(row["pleasure"], row["arousal"], row["dominance"])
    return orjson.dumps(
        {
            "id": str(row["id"]), "name": row["name"], "kind": row["kind"],
            "user_id": None if row["user_id"] is None else str(row["user_id"]),
            "description": row["description"],
            "personality": traits,
            "energy": energy_now(row["energy"], row["energy_at"], now),
            "status": row["status"], "emotion": _felt(settled(felt, row["emotion_at"], now, base)),
            "baseline": described, "attributes": orjson.Fragment(row["attributes"]),
            "skills": orjson.Fragment(row["skills"]), "tags": row["tags"],
            "goals": orjson.Fragment(row["goals"]),
            "speech": orjson.Fragment(AVERAGE_SPEECH if row["speech"] == "{}" else row["speech"]),
            "portrait_url": row["portrait_url"],
        }
    )  # fmt: skip


async def list_page(
    connection: Any, world_id: UUID, *, q: str | None, prefix: str | None, kind: str | None,
    after: tuple[str, UUID] | None, limit: int,
) -> list[CharacterView]:  # fmt: skip
    """Up to `limit` living characters by (name, id) after a position.

    `q` must occur in the name, `prefix` must begin it, in any case of letters.
    """
    conditions, values = ["world_id = $1", "deleted_at IS NULL"], [world_id]

    def add(condition: str, *parameters: Any) -> None:
        values.extend(parameters)
        first = len(values) - len(parameters) + 1
        conditions.append(condition.format(*(f"${first + n}" for n in range(len(parameters)))))

    if q:
        add("name ILIKE {}", f"%{_escaped(q)}%")
    if prefix:
        add("lower(name) LIKE lower({}::text)", f"{_escaped(prefix)}%")
    if kind:
        add("kind = {}", kind)
    if after:
        add("(name, id) > ({}, {})", *after)
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM characters WHERE {' AND '.join(conditions)} "  # noqa: S608  fixed texts only
        f"ORDER BY name, id LIMIT {int(limit)}",
        *values,
    )
    now = world_now(await connection.fetchrow(CLOCK, world_id))
    return [view_of(state_of(row), now) for row in rows]


def _escaped(text: str) -> str:
    """The text with the wildcards of LIKE taken literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
