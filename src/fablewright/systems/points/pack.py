"""How points stand in a pack: `points.yaml`, `award_rules.yaml`, and what characters have earned."""

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackAddition, PackModel, PackSection, Snapshot
from fablewright.systems.points import views
from fablewright.systems.points.commands import (
    MOST_RESTORED,
    AwardRuleSpec,
    ConfigurePoints,
    DefineAwardRule,
    Factor,
    Key,
    Levels,
    LevelTitle,
    Name,
    RestoreStandings,
    StandingValue,
    StartBonus,
    Title,
    TitleValue,
    WorldMs,
)
from fablewright.systems.points.guards import NO_GUARDS, WorldGuards
from fablewright.systems.points.rules import MOST_BONUSES, MOST_EARNED


class PointsEntry(PackModel):
    """How levels rise, which titles go with them, and the checks across actions."""

    levels: Levels | None = Field(None, description="Left out: power, base 100, exponent 1.5, 100 levels.")
    titles: list[LevelTitle] = Field([], max_length=200)
    guards: WorldGuards = NO_GUARDS


class BonusEntry(PackModel):
    """A time in which awards are multiplied. Times are world ms."""

    name: Name
    multiplier: Factor
    rules: list[Key] | None = Field(None, min_length=1, max_length=MOST_BONUSES, description="Left out: all.")
    from_ms: WorldMs | None = Field(None, description="Left out: from the beginning.")
    until_ms: WorldMs


class RuleEntry(AwardRuleSpec):
    """An award rule."""


class TitleEntry(PackModel):
    """A title, and by what it was granted."""

    title: Title
    source: Name = "game master"


class EarnedEntry(PackModel):
    """What a character has earned over its life. Balances are the ledger's."""

    earned: int = Field(0, ge=0, le=MOST_EARNED)
    streak: int = Field(0, ge=0, le=10**6)
    streak_day: int | None = Field(None, ge=-(2**40), le=2**40, description="World day of its last award.")
    titles: list[TitleEntry] = Field([], max_length=200)


class EarnedFields(PackModel):
    """What a character has earned."""

    points: EarnedEntry | None = None


def settings_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for all of it."""
    return [
        ConfigurePoints(levels=item.value.levels, titles=item.value.titles, guards=item.value.guards)
        for item in items
    ]


def rule_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each rule."""
    found: list[Command] = []
    for item in items:
        try:
            found.append(DefineAwardRule(key=item.key, rule=item.value))
        except ValueError:
            ids.mistake(item, "", "the key of a rule has small letters, digits and _ only")
    return found


def bonus_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """Those that are not over when the world begins."""
    return [StartBonus(**item.value.model_dump()) for item in items if item.value.until_ms > ids.now]


def earned_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """What the characters have earned, many at a time."""
    values = [
        StandingValue(
            character_id=ids.of("characters", item.key), earned=item.value.points.earned,
            streak=item.value.points.streak, streak_day=item.value.points.streak_day,
            titles=[TitleValue(title=t.title, source=t.source) for t in item.value.points.titles],
        )
        for item in items if item.value.points is not None
    ]  # fmt: skip
    return [
        RestoreStandings(standings=values[start : start + MOST_RESTORED])
        for start in range(0, len(values), MOST_RESTORED)
    ]


async def read_settings(snapshot: Snapshot) -> list[Item]:
    """What is configured; nothing if it is all as it is by itself."""
    found = await views.settings(snapshot.connection, snapshot.world_id)
    if found == views.PointsSettings():
        return []
    levels = None if found.levels == views.PointsSettings().levels else found.levels
    return [Item("points", PointsEntry(levels=levels, titles=found.titles, guards=found.guards or NO_GUARDS))]


async def read_rules(snapshot: Snapshot) -> list[Item]:
    """The award rules by key."""
    rows = await snapshot.connection.fetch(views.RULES, snapshot.world_id)
    return [Item(row["key"], RuleEntry.model_validate_json(row["spec"])) for row in rows]


async def read_bonuses(snapshot: Snapshot) -> list[Item]:
    """The bonus events that are not over."""
    rows = await snapshot.connection.fetch(views.BONUSES, snapshot.world_id)
    entries = [
        BonusEntry(**{name: row[name] for name in ("name", "multiplier", "rules", "from_ms", "until_ms")})
        for row in rows
        if row["until_ms"] > snapshot.now
    ]
    return [Item(str(number), entry) for number, entry in enumerate(entries, 1)]


async def read_earned(snapshot: Snapshot) -> list[Item]:
    """What the living characters have earned."""
    keys = snapshot.keys
    titles: dict[str, list[TitleEntry]] = {}
    for row in await snapshot.connection.fetch(
        "SELECT character_id, title, source FROM character_titles WHERE world_id = $1 ORDER BY character_id, title",
        snapshot.world_id,
    ):
        if keys.has("characters", row["character_id"]):
            entry = TitleEntry(title=row["title"], source=row["source"])
            titles.setdefault(keys.of("characters", row["character_id"]), []).append(entry)
    rows = await snapshot.connection.fetch(
        "SELECT character_id, earned, streak, streak_day FROM standings WHERE world_id = $1",
        snapshot.world_id,
    )
    found = {key: EarnedEntry(titles=granted) for key, granted in titles.items()}
    for row in rows:
        if keys.has("characters", row["character_id"]):
            key = keys.of("characters", row["character_id"])
            found[key] = EarnedEntry(
                earned=row["earned"], streak=row["streak"], streak_day=row["streak_day"],
                titles=titles.get(key, []),
            )  # fmt: skip
    return [Item(key, EarnedFields(points=found[key])) for key in sorted(found)]


PACK: Final = (
    PackSection(
        "points", ("points.yaml",), Form.DOCUMENT, PointsEntry, settings_commands, read_settings
    ),
    PackSection(
        "award_rules", ("award_rules.yaml", "award_rules/*.yaml"), Form.KEYED, RuleEntry, rule_commands,
        read_rules, top="award_rules",
    ),
    PackSection(
        "bonuses", ("bonuses.yaml",), Form.LISTED, BonusEntry, bonus_commands, read_bonuses, top="bonuses"
    ),
    PackAddition("characters", EarnedFields, earned_commands, read_earned),
)  # fmt: skip
