"""How characters stand in a pack: `characters.yaml`, or several files in `characters/`."""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Ref, Snapshot
from fablewright.systems.characters.commands import (
    MOST_GOALS,
    Attributes,
    CreateCharacter,
    Description,
    EmotionValue,
    GoalValue,
    Name,
    Personality,
    PortraitUrl,
    Share,
    Skills,
    SpeechValue,
    Tags,
)
from fablewright.systems.characters.rules import CharacterState, GoalKind, Kind, Status
from fablewright.systems.characters.views import COLUMNS, state_of


class GoalEntry(PackModel):
    """Something a character wants. The director acts on every kind but `free`."""

    kind: GoalKind
    about: Annotated[str, Ref("characters", or_id=True)] | None = Field(
        None, description="The key of whom it is about."
    )
    text: str = Field(min_length=1, max_length=300)


class CharacterEntry(PackModel):
    """A character."""

    id: UUID | None = Field(None, description="Its id in the world; left out, it follows from the key.")
    name: Name
    kind: Kind = "npc"
    description: Description = ""
    personality: Personality = Personality()
    speech: SpeechValue = SpeechValue()
    attributes: Attributes = Field({}, description="Numbers of the world's own choosing.")
    skills: Skills = Field({}, description="What it can do, each 0 to 100.")
    tags: Tags = []
    goals: list[GoalEntry] = Field([], max_length=MOST_GOALS)
    portrait_url: PortraitUrl | None = None
    energy: Share = 1.0
    status: Status = "active"
    emotion: EmotionValue | None = Field(
        None, description="What it feels; left out, what its personality feels when nothing happens."
    )


SAME: Final = (
    "name", "kind", "description", "personality", "speech", "attributes", "skills", "tags", "portrait_url", "energy",
    "status", "emotion",
)  # fmt: skip
"""Fields that the command has, too."""


def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each character."""
    return [
        CreateCharacter(
            id=ids.of("characters", item.key),
            goals=[
                GoalValue(kind=g.kind, text=g.text, about_id=ids.maybe("characters", g.about))
                for g in item.value.goals
            ],
            **{name: getattr(item.value, name) for name in SAME},
        )
        for item in items
    ]


async def read(snapshot: Snapshot) -> list[Item]:
    """The living characters by key, with the energy and the feelings that they have now."""
    rows = await snapshot.connection.fetch(
        f"SELECT {COLUMNS} FROM characters WHERE world_id = $1 AND deleted_at IS NULL",  # noqa: S608
        snapshot.world_id,
    )
    states = [state_of(row) for row in rows]
    snapshot.keys.name("characters", [(c.id, c.name) for c in states])
    items = [Item(snapshot.keys.of("characters", c.id), _entry(c, snapshot)) for c in states]
    return sorted(items, key=lambda item: item.key)


def _entry(c: CharacterState, snapshot: Snapshot) -> CharacterEntry:
    keys, now = snapshot.keys, snapshot.now
    t, s = c.traits, c.speech
    return CharacterEntry(
        id=keys.id_to_write("characters", c.id),
        name=c.name,
        kind=c.kind,
        description=c.description,
        personality=Personality(
            openness=t.openness, conscientiousness=t.conscientiousness, extraversion=t.extraversion,
            agreeableness=t.agreeableness, neuroticism=t.neuroticism,
        ),
        speech=SpeechValue(
            formality=s.formality, verbosity=s.verbosity, humour=s.humour,
            favourite_words=list(s.favourite_words), taboos=list(s.taboos),
        ),
        attributes=dict(sorted(c.attributes.items())),
        skills=dict(sorted(c.skills.items())),
        tags=list(c.tags),
        # Who a goal is about may be gone; then its id stays.
        goals=[
            GoalEntry(
                kind=g.kind,
                text=g.text,
                about=None if g.about_id is None else keys.of("characters", g.about_id),
            )
            for g in c.goals
        ],
        portrait_url=c.portrait_url,
        energy=c.energy_now(now),
        status=c.status,
        emotion=_emotion(c, now),
    )  # fmt: skip


def _emotion(c: CharacterState, now: int) -> EmotionValue | None:
    """What it feels now, unless that is what it always feels."""
    felt = c.emotion_now(now)
    if felt == c.baseline:
        return None
    values: dict[str, Any] = {
        "pleasure": felt.pleasure, "arousal": felt.arousal, "dominance": felt.dominance
    }  # fmt: skip
    return EmotionValue(**values)


PACK: Final = (
    PackSection(
        "characters", ("characters.yaml", "characters/*.yaml"), Form.KEYED, CharacterEntry, commands, read,
        top="characters",
    ),
)  # fmt: skip
