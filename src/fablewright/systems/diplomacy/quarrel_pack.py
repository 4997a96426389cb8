"""How coalitions stand in a pack: `coalitions.yaml`.

They are as they are now; those that are over stay behind. Times are world ms and not to come.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Ref, Snapshot
from fablewright.systems.diplomacy.quarrel_commands import (
    MOST_MEMBERS,
    CoalitionMemberValue,
    Fear,
    ImportCoalition,
    faults_of_coalition,
)
from fablewright.systems.diplomacy.threat_views import COALITION, MEMBERS
from fablewright.systems.diplomacy.war_commands import WorldMs

FactionKey = Annotated[str, Ref("factions")]


# -- coalitions ------------------------------------------------------------------------------------------------


class CoalitionMemberEntry(PackModel):
    """A faction that belongs to a coalition."""

    since: WorldMs | None = Field(None, description="World ms; left out: from the beginning.")
    fear: Fear = Field(0.0, description="How much it feared the target when it joined, 0 to 100.")


class CoalitionEntry(PackModel):
    """Factions that stand together against one that frightens them."""

    id: UUID | None = Field(None, description="Its id in the world; left out, it follows from the key.")
    target: FactionKey
    since: WorldMs | None = Field(None, description="World ms; left out: when the world begins.")
    members: dict[FactionKey, CoalitionMemberEntry] = Field(min_length=1, max_length=MOST_MEMBERS)


def coalition_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each coalition."""
    made: list[Command] = []
    against: dict[str, str] = {}
    for item in items:
        entry: CoalitionEntry = item.value
        if against.setdefault(entry.target, item.key) != item.key:
            ids.mistake(item, "target", f"{against[entry.target]!r} stands against it already: join the two")
        members = [
            CoalitionMemberValue(faction_id=ids.of("factions", key), **dict(member))
            for key, member in entry.members.items()
        ]
        told = ImportCoalition(
            id=ids.of("coalitions", item.key), target_id=ids.of("factions", entry.target), since=entry.since,
            members=members,
        )  # fmt: skip
        for path, message in faults_of_coalition(told, ids.now):
            ids.mistake(item, by_key(path, "members", list(entry.members)), message)
        made.append(told)
    return [] if ids.mistakes else made


COALITIONS: Final = f"""
SELECT {COALITION} FROM coalitions WHERE world_id = $1 AND dissolved_at IS NULL ORDER BY id
"""  # noqa: S608


async def read_coalitions(snapshot: Snapshot) -> list[Item]:
    """The coalitions that stand, with those who belong to them now."""
    fetch, world_id, keys = snapshot.connection.fetch, snapshot.world_id, snapshot.keys
    rows = {row["id"]: row for row in await fetch(COALITIONS, world_id)}
    keys.name(
        "coalitions", [(id_, f"against_{keys.of('factions', r['target_id'])}") for id_, r in rows.items()]
    )
    members: dict[UUID, dict[str, CoalitionMemberEntry]] = {id_: {} for id_ in rows}
    for m in await fetch(MEMBERS, world_id, list(rows)):
        if m["left_at"] is None:
            since = None if m["at"] == rows[m["coalition_id"]]["at"] else m["at"]
            key = keys.of("factions", m["faction_id"])
            members[m["coalition_id"]][key] = CoalitionMemberEntry(fear=m["fear"], since=since)
    items = [
        Item(
            keys.of("coalitions", id_),
            CoalitionEntry(
                id=keys.id_to_write("coalitions", id_), target=keys.of("factions", row["target_id"]), since=row["at"],
                members=dict(sorted(members[id_].items())),
            ),
        )
        for id_, row in rows.items()
    ]  # fmt: skip
    return sorted(items, key=lambda item: item.key)


# -- helpers -------------------------------------------------------------------------------------------------


def by_key(path: str, field: str, keys: Sequence[str]) -> str:
    """A path in a command as one in its entry, where the items of this list of factions stand by their keys."""
    steps: list[Any] = path.split(".")
    if steps[0] == field and len(steps) > 1:
        steps[1] = keys[int(steps[1]) - 1]
    return ".".join(steps)


PACK: Final = (
    PackSection(
        "coalitions", ("coalitions.yaml",), Form.KEYED, CoalitionEntry, coalition_commands, read_coalitions,
        top="coalitions",
    ),
)  # fmt: skip
