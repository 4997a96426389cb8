"""How quarrels stand in a pack: `incidents.yaml`, `incidents/*.yaml`, `coalitions.yaml`, `sanctions.yaml`.

They are as they are now, and incidents that are over as they ended; what showed them stays behind with the log. Times
are world ms and not to come.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
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
    Currency,
    Fear,
    ImportCoalition,
    ImportIncident,
    ImportSanction,
    MemberValue,
    Reason,
    SanctionKind,
    faults_of_coalition,
    faults_of_incident,
    faults_of_sanction,
)
from fablewright.systems.diplomacy.threat_views import COALITION, MEMBERS
from fablewright.systems.diplomacy.war_commands import Good, LiftCondition, Long, Money, Share, WorldMs
from fablewright.systems.diplomacy.war_views import INCIDENT
from fablewright.systems.diplomacy.war_views import MEMBERS as SANCTION_MEMBERS

FactionKey = Annotated[str, Ref("factions")]
RegionKey = Annotated[str, Ref("regions")]
IncidentKey = Annotated[str, Ref("incidents")]
CoalitionKey = Annotated[str, Ref("coalitions")]


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
            ids.mistake(item, by_key(path), message)
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


# -- sanctions -------------------------------------------------------------------------------------------------


class SanctionMemberEntry(PackModel):
    """A faction that takes part in a sanction."""

    since: WorldMs | None = Field(None, description="World ms; left out: from the beginning.")


class SanctionEntry(PackModel):
    """What factions do to another one short of war."""

    id: UUID | None = Field(None, description="Its id in the world; left out, it follows from the key.")
    target: FactionKey
    kind: SanctionKind
    good: Good | None = Field(None, description="Only this good; left out, all of them.")
    rate: Share = Field(0.0, description="Of a tariff.")
    reason: Reason
    incident: IncidentKey | None = Field(None, description="The incident that it is about.")
    coalition: CoalitionKey | None = Field(None, description="The coalition that imposed it.")
    frozen: Money | None = Field(
        None, description="What of the target's treasury a freeze holds; left out: all that it can spend."
    )
    currency: Currency | None = Field(None, description="Of what is frozen; left out: that of its treasury.")
    lift_when: list[LiftCondition] = Field([], max_length=4, description="When all of these hold, it ends.")
    since: WorldMs | None = Field(None, description="World ms; left out: when the world begins.")
    until_at: WorldMs | None = Field(None, description="World ms; left out: until it is lifted.")
    members: dict[FactionKey, SanctionMemberEntry] = Field(min_length=1, max_length=MOST_MEMBERS)


OF_SANCTION: Final = (
    "kind", "good", "rate", "reason", "frozen", "currency", "lift_when", "since", "until_at",
)  # fmt: skip
"""Fields of a sanction that its command has, too."""


def sanction_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each sanction."""
    made: list[Command] = []
    accused: dict[str | None, str] = {item.key: item.value.accused for item in ids.entries("incidents")}
    against: dict[str | None, str] = {item.key: item.value.target for item in ids.entries("coalitions")}
    for item in items:
        entry: SanctionEntry = item.value
        if accused.get(entry.incident, entry.target) != entry.target:
            ids.mistake(item, "incident", f"it is one of {accused[entry.incident]!r}: name one of the target")
        if against.get(entry.coalition, entry.target) != entry.target:
            ids.mistake(
                item, "coalition", f"it stands against {against[entry.coalition]!r}: name another, or none"
            )
        told = ImportSanction(
            id=ids.of("sanctions", item.key), target_id=ids.of("factions", entry.target),
            incident_id=ids.maybe("incidents", entry.incident), coalition_id=ids.maybe("coalitions", entry.coalition),
            members=[
                MemberValue(faction_id=ids.of("factions", key), since=m.since) for key, m in entry.members.items()
            ],
            **{name: getattr(entry, name) for name in OF_SANCTION},
        )  # fmt: skip
        for path, message in faults_of_sanction(told, ids.now):
            ids.mistake(item, by_key(path, "members", list(entry.members)), message)
        made.append(told)
    return [] if ids.mistakes else made


SANCTIONS: Final = """
SELECT s.id, s.target_id, s.kind, s.good, s.rate, s.reason, s.lift_when::text AS lift_when, s.incident_id,
       s.coalition_id, s.until_at, s.at, coalesce(h.amount, 0) AS frozen, nullif(h.currency, f.currency) AS currency
FROM sanctions s
JOIN factions f ON f.world_id = s.world_id AND f.id = s.target_id
LEFT JOIN ledger_holds h ON h.world_id = s.world_id AND h.id = s.hold_id AND h.state = 'open'
WHERE s.world_id = $1 AND s.lifted_at IS NULL AND (s.until_at IS NULL OR s.until_at > $2) ORDER BY s.id
"""


async def read_sanctions(snapshot: Snapshot) -> list[Item]:
    """The sanctions that are in force, with those who take part in them now, and what they hold.

    Those whose time is over are not, also where nobody has lifted them yet.
    """
    fetch, world_id, keys = snapshot.connection.fetch, snapshot.world_id, snapshot.keys
    rows = {row["id"]: row for row in await fetch(SANCTIONS, world_id, snapshot.now)}
    keys.name(
        "sanctions", [(id_, f"{r['kind']}_{keys.of('factions', r['target_id'])}") for id_, r in rows.items()]
    )
    members: dict[UUID, dict[str, SanctionMemberEntry]] = {id_: {} for id_ in rows}
    for m in await fetch(SANCTION_MEMBERS, world_id, list(rows)):
        if m["left_at"] is None:
            since = None if m["joined_at"] == rows[m["sanction_id"]]["at"] else m["joined_at"]
            members[m["sanction_id"]][keys.of("factions", m["faction_id"])] = SanctionMemberEntry(since=since)
    items = [
        Item(keys.of("sanctions", id_), _sanction(row, dict(sorted(members[id_].items())), keys))
        for id_, row in rows.items()
    ]
    return sorted(items, key=lambda item: item.key)


def _sanction(row: Any, members: dict[str, SanctionMemberEntry], keys: Keys) -> SanctionEntry:
    incident = keys.maybe("incidents", row["incident_id"])
    conditions = [LiftCondition(**each) for each in orjson.loads(row["lift_when"])]
    return SanctionEntry(
        id=keys.id_to_write("sanctions", row["id"]), target=keys.of("factions", row["target_id"]), kind=row["kind"],
        good=row["good"], rate=row["rate"], reason=row["reason"], incident=incident,
        coalition=keys.maybe("coalitions", row["coalition_id"]), currency=row["currency"],
        frozen=row["frozen"] if row["kind"] == "asset_freeze" else None,
        # With a faction that is no more, what it took ill is settled.
        lift_when=[each for each in conditions if incident is not None or each.kind != "incident_settled"],
        since=row["at"], until_at=row["until_at"], members=members,
    )  # fmt: skip


# -- helpers -------------------------------------------------------------------------------------------------


def by_key(path: str, field: str = "", keys: Sequence[str] = ()) -> str:
    """A path in a command as one in its entry.

    There the items of the list of factions `field` stand by their keys, those of others are counted from 1, and what
    refers to something is called without `_id`.
    """
    outer, *steps = path.split(".")
    if outer == field and steps:
        steps[0] = keys[int(steps[0])]
    elif steps:
        steps[0] = str(int(steps[0]) + 1)
    return ".".join(step.removesuffix("_id") for step in (outer, *steps))


PACK: Final = (
    PackSection(
        "incidents", ("incidents.yaml", "incidents/*.yaml"), Form.KEYED, IncidentEntry, incident_commands,
        read_incidents, top="incidents",
    ),
    PackSection(
        "coalitions", ("coalitions.yaml",), Form.KEYED, CoalitionEntry, coalition_commands, read_coalitions,
        top="coalitions",
    ),
    PackSection(
        "sanctions", ("sanctions.yaml",), Form.KEYED, SanctionEntry, sanction_commands, read_sanctions,
        top="sanctions",
    ),
)  # fmt: skip
