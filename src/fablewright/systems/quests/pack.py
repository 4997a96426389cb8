"""How quests stand in a pack: `quests.yaml`, with characters and factions by their keys."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Ref, Snapshot
from fablewright.systems.quests.commands import DefineQuest
from fablewright.systems.quests.rules import (
    MOST_NAMED,
    Line,
    Need,
    Objective,
    Prose,
    QuestDefinition,
    QuestKey,
    TakerKind,
)
from fablewright.systems.quests.views import parsed

KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,59}")
ALL: Final = (
    "SELECT key, spec::text AS spec FROM quests WHERE world_id = $1 AND removed_at IS NULL ORDER BY key"
)

CharacterKey = Annotated[str, Ref("characters", or_id=True)]
FactionKey = Annotated[str, Ref("factions", or_id=True)]
Somebody = Literal["taker", "giver"] | FactionKey


class OpinionEntry(PackModel):
    """How one faction thinks otherwise of another."""

    holder: Somebody
    about: Somebody
    amount: float
    half_life_days: float | None = 365


class TrustEntry(PackModel):
    """How much more or less one faction trusts another."""

    holder: Somebody
    about: Somebody
    amount: float


class TensionEntry(PackModel):
    """How the tension between two factions rises or falls."""

    a: Somebody
    b: Somebody
    amount: float


class LeanEntry(PackModel):
    """How one faction leans towards agreement with another, in the talks that they hold then."""

    holder: Somebody
    about: Somebody
    amount: float


class OutcomeEntry(PackModel):
    """What a quest ends in, and what that brings."""

    name: Line | None = None
    success: bool = True
    points: int = 0
    currency: QuestKey = "points"
    title: Line | None = None
    opinions: list[OpinionEntry] = []
    trust: list[TrustEntry] = []
    tension: list[TensionEntry] = []
    talks: list[LeanEntry] = []


class QuestEntry(PackModel):
    """A quest. It is asked for by a character (`giver`) or a faction (`giver_faction`)."""

    name: Line
    description: Prose = ""
    giver: CharacterKey | None = None
    giver_faction: FactionKey | None = None
    takers: TakerKind = "character"
    for_characters: list[CharacterKey] = Field([], max_length=MOST_NAMED)
    for_factions: list[FactionKey] = Field([], max_length=MOST_NAMED)
    by_offer: bool = False
    secret: bool = False
    requires: list[Need] = []
    most_takers: int | None = None
    repeatable: bool = False
    days: float | None = None
    until: int | None = Field(None, description="World time (ms) at which it is over.")
    objectives: list[Objective] = Field(min_length=1)
    outcomes: dict[QuestKey, OutcomeEntry] = {}


def define_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """The quests, each after those that it requires. One whose time was over before the world begins is left out."""
    named = {item.key: item for item in items}
    for item in items:
        if not KEY.fullmatch(item.key):
            ids.mistake(item, "", "the key of a quest has small letters, digits and _ only")
        for need in item.value.requires:
            if need.quest not in named:
                ids.mistake(item, "requires", f"it requires the quest {need.quest!r}, which there is not")
        if item.value.giver and item.value.giver_faction:
            ids.mistake(item, "giver", "either a character gives it or a faction")
    if ids.mistakes:
        return []
    commands: list[Command] = []
    for item in _in_order(items, ids):
        try:
            commands.append(DefineQuest(key=item.key, definition=_definition(item.value, ids)))
        except ValueError as error:
            ids.mistake(item, "", " ".join(str(error).split())[:300])
    return commands


def _in_order(items: Sequence[Item], ids: Ids) -> list[Item]:
    ordered: dict[str, Item] = {}
    waiting = list(items)
    while waiting:
        ready = [item for item in waiting if all(need.quest in ordered for need in item.value.requires)]
        if not ready:
            ids.mistake(waiting[0], "requires", "it requires itself, through the others that it names")
            return []
        ordered.update({item.key: item for item in ready})
        waiting = [item for item in waiting if item.key not in ordered]
    return list(ordered.values())


def _definition(entry: QuestEntry, ids: Ids) -> QuestDefinition:
    fields = entry.model_dump(exclude={"giver", "giver_faction", "for_characters", "for_factions"})
    giver = ids.maybe("characters", entry.giver) or ids.maybe("factions", entry.giver_faction)
    only_for = [ids.of("characters", key) for key in entry.for_characters]
    only_for += [ids.of("factions", key) for key in entry.for_factions]
    outcomes = _renamed(fields.pop("outcomes"), lambda key: str(ids.of("factions", key)))
    return QuestDefinition.model_validate(
        {**fields, "giver_id": giver, "only_for": only_for, "outcomes": outcomes}
    )


def _renamed(outcomes: dict[str, Any], name: Callable[[str], str]) -> dict[str, Any]:
    """Outcomes in which factions are named otherwise."""
    for outcome in outcomes.values():
        for kind in ("opinions", "trust", "tension", "talks"):
            for change in outcome[kind]:
                for place in {"holder", "about", "a", "b"} & change.keys():
                    if change[place] not in ("taker", "giver"):
                        change[place] = name(change[place])
    return outcomes


async def read(snapshot: Snapshot) -> list[Item]:
    """The quests by key, but for those whose time is over."""
    rows = await snapshot.connection.fetch(ALL, snapshot.world_id)
    found = [(row["key"], parsed(row["spec"])) for row in rows]
    lasting = {key: d for key, d in found if d.until is None or d.until > snapshot.now}
    return [Item(key, _entry(definition, snapshot, lasting)) for key, definition in lasting.items()]


def _entry(definition: QuestDefinition, snapshot: Snapshot, lasting: Collection[str]) -> QuestEntry:
    keys = snapshot.keys
    fields = definition.model_dump(mode="json", exclude={"giver_id", "only_for"})
    giver = definition.giver_id
    of_character = giver is not None and keys.has("characters", giver)
    fields["requires"] = [need for need in fields["requires"] if need["quest"] in lasting]
    people = [id_ for id_ in definition.only_for if keys.has("characters", id_)]
    fields["outcomes"] = _renamed(fields["outcomes"], lambda id_: keys.of("factions", UUID(id_)))
    return QuestEntry.model_validate({
        **fields,
        "giver": keys.of("characters", giver) if giver and of_character else None,
        "giver_faction": keys.of("factions", giver) if giver and not of_character else None,
        "for_characters": [keys.of("characters", id_) for id_ in people],
        "for_factions": [keys.of("factions", id_) for id_ in definition.only_for if id_ not in people],
    })  # fmt: skip


PACK: Final = (
    PackSection(
        "quests",
        ("quests.yaml", "quests/*.yaml"),
        Form.KEYED,
        QuestEntry,
        define_commands,
        read,
        top="quests",
    ),
)
