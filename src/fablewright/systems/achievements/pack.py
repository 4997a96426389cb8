"""How achievements stand in a pack: `achievements.yaml`, and of a lived world how far its characters have come."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Ref, Snapshot, chunks
from fablewright.systems.achievements.commands import (
    MOST_RESTORED,
    MOST_STEPS,
    DefineAchievement,
    ItemText,
    RestoreStandings,
    StandingValue,
    UnlockValue,
)
from fablewright.systems.achievements.rules import AchievementDefinition, Entry, needed
from fablewright.systems.achievements.views import load_catalog

KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,59}")

UNLOCKS: Final = """
SELECT u.character_id, u.achievement_id, u.tier, u.repetition, u.at, u.generation < a.generation AS earlier
FROM achievement_unlocks u JOIN achievements a ON a.world_id = u.world_id AND a.id = u.achievement_id
WHERE u.world_id = $1 ORDER BY u.repetition, u.tier
"""
VALUES: Final = "SELECT subject_id, measure_id, value, day FROM measure_values WHERE world_id = $1"
ITEMS: Final = "SELECT subject_id, measure_id, item FROM measure_items WHERE world_id = $1 ORDER BY item"


class AchievementEntry(AchievementDefinition):
    """An achievement."""


class UnlockEntry(PackModel):
    """A step that was unlocked."""

    tier: int = Field(1, ge=1)
    repetition: int = Field(1, ge=1)
    at: int = Field(0, description="World time in ms.")
    earlier: bool = Field(
        False, description="Whether something else was counted then: repetitions come on top of it."
    )


class StandingEntry(PackModel):
    """How far a character has come in an achievement. Those that count the same share what they count."""

    character: Annotated[str, Ref("characters")]
    achievement: Annotated[str, Ref("achievements")]
    value: float | None = Field(None, allow_inf_nan=False, description="How much was counted.")
    day: int | None = Field(None, description="Of a streak, the last world day that counted.")
    items: list[ItemText] = Field([], description="The different values seen, as JSON.")
    unlocked: list[UnlockEntry] = []


def define_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """The achievements, each after those that it names."""
    named = {item.key: item for item in items}
    for item in items:
        if not KEY.fullmatch(item.key):
            ids.mistake(item, "", "the key of an achievement has small letters, digits and _ only")
        for key in needed(item.value):
            if key not in named:
                ids.mistake(item, "", f"it names the achievement {key!r}, which there is not")
    if ids.mistakes:
        return []
    return [_definition(item) for item in _in_order(items, named, ids)]


def _definition(item: Item) -> Command:
    fields = {name: getattr(item.value, name) for name in AchievementDefinition.model_fields}
    return DefineAchievement(key=item.key, definition=AchievementDefinition.model_construct(**fields))


def _in_order(items: Sequence[Item], named: dict[str, Item], ids: Ids) -> list[Item]:
    """So that nothing stands before what it names."""
    ordered: dict[str, Item] = {}
    waiting = list(items)
    while waiting:
        ready = [item for item in waiting if all(key in ordered for key in needed(item.value))]
        if not ready:
            ids.mistake(waiting[0], "", "it needs itself, through the others that it names")
            return []
        ordered.update({item.key: item for item in ready})
        waiting = [item for item in waiting if item.key not in ordered]
    return list(ordered.values())


def standing_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """How far the characters have come, many at a time."""
    values = [
        StandingValue(
            character_id=ids.of("characters", item.value.character), key=item.value.achievement,
            value=item.value.value, day=item.value.day, items=item.value.items,
            unlocked=[UnlockValue(**unlock.model_dump()) for unlock in item.value.unlocked],
        )
        for item in items
    ]  # fmt: skip
    return [RestoreStandings(standings=group) for group in chunks(values, MOST_RESTORED)]


async def read_definitions(snapshot: Snapshot) -> list[Item]:
    """The achievements by key."""
    catalog = await load_catalog(snapshot.connection, snapshot.world_id)
    return [
        Item(key, AchievementEntry.model_validate(entry.definition.model_dump()))
        for key, entry in sorted(catalog.by_key.items())
    ]


async def read_standings(snapshot: Snapshot) -> list[Item]:
    """What characters have unlocked and counted. What several achievements count stands with the first of them."""
    catalog = await load_catalog(snapshot.connection, snapshot.world_id)
    first: dict[UUID, Entry] = {}
    for _, entry in sorted(catalog.by_key.items()):
        if entry.measure_id is not None:
            first.setdefault(entry.measure_id, entry)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    keys = snapshot.keys

    def of(character_id: UUID, entry: Entry | None) -> dict[str, Any]:
        if entry is None or not keys.has("characters", character_id):
            return {"items": [], "unlocked": []}
        place = (keys.of("characters", character_id), entry.key)
        return found.setdefault(place, {"items": [], "unlocked": []})

    for row in await snapshot.connection.fetch(VALUES, snapshot.world_id):
        of(row["subject_id"], first.get(row["measure_id"])).update(value=row["value"], day=row["day"])
    for row in await snapshot.connection.fetch(ITEMS, snapshot.world_id):
        of(row["subject_id"], first.get(row["measure_id"]))["items"].append(row["item"])
    for row in await snapshot.connection.fetch(UNLOCKS, snapshot.world_id):
        unlocks = of(row["character_id"], catalog.by_id[row["achievement_id"]])["unlocked"]
        if len(unlocks) < MOST_STEPS:
            fields = {name: row[name] for name in ("tier", "repetition", "at", "earlier")}
            unlocks.append(UnlockEntry(**fields))
    return [
        Item(str(number), StandingEntry(character=place[0], achievement=place[1], **fields))
        for number, (place, fields) in enumerate(sorted(found.items()), 1)
    ]


PACK: Final = (
    PackSection(
        "achievements", ("achievements.yaml", "achievements/*.yaml"), Form.KEYED, AchievementEntry, define_commands,
        read_definitions, top="achievements",
    ),
    PackSection(
        "achievement_standings", ("achievement_standings.yaml",), Form.LISTED, StandingEntry, standing_commands,
        read_standings, top="achievement_standings",
    ),
)  # fmt: skip
