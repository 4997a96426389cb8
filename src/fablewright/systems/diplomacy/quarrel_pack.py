"""How incidents and coalitions stand in a pack: `incidents.yaml`, or several files in `incidents/`; `coalitions.yaml`.

They are as they are now, and incidents that are over as they ended; what showed them stays behind with the log. Times
are world ms and not to come.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, Keys, PackModel, PackSection, Ref, Snapshot
from fablewright.systems.diplomacy.history_commands import Many
from fablewright.systems.diplomacy.ladder import (
    ANSWER_WITHIN,
    LADDER,
    Answer,
    IncidentKind,
    IncidentStage,
    Rung,
)
from fablewright.systems.diplomacy.quarrel_commands import (
    MOST_MEMBERS,
    CoalitionMemberValue,
    Fear,
    ImportCoalition,
    ImportIncident,
    faults_of_coalition,
    faults_of_incident,
)
from fablewright.systems.diplomacy.threat_views import COALITION, MEMBERS
from fablewright.systems.diplomacy.war_commands import Long, Money, Share, WorldMs
from fablewright.systems.diplomacy.war_views import INCIDENT

FactionKey = Annotated[str, Ref("factions")]
RegionKey = Annotated[str, Ref("regions")]
IncidentKey = Annotated[str, Ref("incidents")]


# -- incidents -------------------------------------------------------------------------------------------------


class IncidentEntry(PackModel):
    """Something that one faction takes ill of another, and how far it has gone."""

    id: UUID | None = Field(None, description="Its id in the world; left out, it follows from the key.")
    kind: IncidentKind
    injured: FactionKey
    accused: FactionKey
    severity: Share
    evidence: Share = 1.0
    description: Long = ""
    region: RegionKey | None = None
    follows: IncidentKey | None = Field(None, description="The incident that it answers.")
    state: IncidentStage = "open"
    rung: Rung | None = Field(None, description="How far it has gone; left out: no further than it began.")
    answer: Answer | None = Field(None, description="How the accused has answered last.")
    paid: Money = 0
    tried: Many = Field(0, description="How often a settlement was tried and turned down.")
    since: WorldMs | None = Field(None, description="World ms; left out: when the world begins.")
    changed_at: WorldMs | None = Field(
        None, description="When something happened in it last; left out: when it began."
    )
    answer_by: WorldMs | None = Field(None, description="World ms; left out: ten days after it began.")
    closed_at: WorldMs | None = Field(None, description="World ms; of one that is settled or faded.")


OF_INCIDENT: Final = (
    "kind", "severity", "evidence", "description", "state", "rung", "answer", "paid", "tried", "since", "changed_at",
    "answer_by", "closed_at",
)  # fmt: skip
"""Fields of an incident that its command has, too."""


def incident_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each incident."""
    made: list[Command] = []
    for item in items:
        entry: IncidentEntry = item.value
        told = ImportIncident(
            id=ids.of("incidents", item.key), injured_id=ids.of("factions", entry.injured),
            accused_id=ids.of("factions", entry.accused), region_id=ids.maybe("regions", entry.region),
            follows_id=ids.maybe("incidents", entry.follows),
            **{name: getattr(entry, name) for name in OF_INCIDENT},
        )  # fmt: skip
        for path, message in faults_of_incident(told, ids.now):
            ids.mistake(item, path, message)
        made.append(told)
    return [] if ids.mistakes else made


INCIDENTS: Final = f"SELECT {INCIDENT} FROM incidents WHERE world_id = $1 ORDER BY id"  # noqa: S608


async def read_incidents(snapshot: Snapshot) -> list[Item]:
    """The incidents between factions that stand, by key."""
    keys = snapshot.keys
    rows = [
        row for row in await snapshot.connection.fetch(INCIDENTS, snapshot.world_id)
        if keys.has("factions", row["injured_id"]) and keys.has("factions", row["accused_id"])
    ]  # fmt: skip
    keys.name("incidents", [(r["id"], f"{r['kind']}_{keys.of('factions', r['accused_id'])}") for r in rows])
    items = [Item(keys.of("incidents", row["id"]), _incident(row, keys)) for row in rows]
    return sorted(items, key=lambda item: item.key)


def _incident(row: Any, keys: Keys) -> IncidentEntry:
    return IncidentEntry(
        id=keys.id_to_write("incidents", row["id"]), kind=row["kind"],
        injured=keys.of("factions", row["injured_id"]), accused=keys.of("factions", row["accused_id"]),
        severity=row["severity"], evidence=row["evidence"], description=row["description"],
        region=keys.maybe("regions", row["region_id"]), follows=keys.maybe("incidents", row["follows_id"]),
        state=row["state"], rung=LADDER[row["rung"]], answer=row["answer"], paid=row["paid"], tried=row["tried"],
        since=row["at"], changed_at=None if row["changed_at"] in (row["at"], row["closed_at"]) else row["changed_at"],
        answer_by=None if row["answer_by"] == row["at"] + ANSWER_WITHIN else row["answer_by"],
        closed_at=row["closed_at"],
    )  # fmt: skip


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
        "incidents", ("incidents.yaml", "incidents/*.yaml"), Form.KEYED, IncidentEntry, incident_commands,
        read_incidents, top="incidents",
    ),
    PackSection(
        "coalitions", ("coalitions.yaml",), Form.KEYED, CoalitionEntry, coalition_commands, read_coalitions,
        top="coalitions",
    ),
)  # fmt: skip
