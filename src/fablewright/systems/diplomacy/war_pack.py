"""How wars stand in a pack: `wars.yaml`, or several files in `wars/`; and what war has made of factions.

Wars are as they are now, or as they ended. Times are world ms and not to come. Battles stay behind with the log: what
they were worth is in the score.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, Keys, PackAddition, PackModel, PackSection, Ref, Snapshot
from fablewright.systems.diplomacy import battle
from fablewright.systems.diplomacy.battle import FAIR, Outcome
from fablewright.systems.diplomacy.history_commands import (
    MOST_AGGRESSION,
    MOST_LOSSES,
    MOST_NUMBER,
    MOST_OCCUPATIONS,
    MOST_PARTIES,
    Aggression,
    Exhaustion,
    ImportWar,
    Losses,
    Many,
    Name,
    Number,
    OccupationValue,
    Parts,
    PartValue,
    PartyState,
    PartyValue,
    Score,
    SetWarlike,
    Side,
    ToldCause,
    faults,
)
from fablewright.systems.diplomacy.quarrel_pack import by_key
from fablewright.systems.diplomacy.war_commands import Long, Share, WorldMs
from fablewright.systems.diplomacy.war_views import OCCUPATIONS, PARTIES, WAR

FactionKey = Annotated[str, Ref("factions")]
RegionKey = Annotated[str, Ref("regions")]
TreatyKey = Annotated[str, Ref("treaties")]
IncidentKey = Annotated[str, Ref("incidents")]


class PartyEntry(PackModel):
    """A faction in a war."""

    side: Side | None = Field(None, description="Only the two leaders may leave it out.")
    state: PartyState = Field(
        "fighting",
        description="In a war that is over: fighting to its end. Who fights is at war with who leads the other side, "
        "unless a relation of the two says something else.",
    )
    called_by: FactionKey | None = Field(
        None,
        description="One that fights, or fought, on its side; left out: who leads that, if it is called.",
    )
    since: WorldMs | None = Field(None, description="World ms; left out: since the war began.")
    left_at: WorldMs | None = Field(None, description="When it left, if it is out; world ms.")
    regions: Many | None = Field(
        None,
        description="How many it held when it came; left out: as many as now but for what was taken in this war, "
        "and none in a war that is over.",
    )
    losses: Losses = 0.0


class OccupationEntry(PackModel):
    """A region that was taken in a war. As long as this stands, who took it `holds` it among the factions.

    Only what was let go since may be held by nobody.
    """

    region: RegionKey
    holder: FactionKey = Field(description="Who holds it by right.")
    occupier: FactionKey
    since: WorldMs | None = Field(None, description="World ms; left out: since the war began.")
    until: WorldMs | None = Field(None, description="World ms; left out: it still stands.")


class WarEntry(PackModel):
    """A war that is fought, or that was. The relations say of its leaders that they are at war, as long as it is."""

    id: UUID | None = Field(None, description="Its id in the world; left out, it follows from the key.")
    name: Name = Field("", description="Left out: after its leaders.")
    attacker: FactionKey = Field(description="Who began it, and leads one side.")
    defender: FactionKey = Field(description="Who leads the other.")
    cause: ToldCause = "decree"
    incident: IncidentKey | None = Field(None, description="Which incident of these two was its cause.")
    reason: Long = ""
    legitimacy: Share = Field(FAIR, description="How just it seems to others.")
    legitimacy_parts: Parts = Field([], description="They add up to it; left out: the cause alone.")
    since: WorldMs | None = Field(None, description="World ms; left out: when the world begins.")
    battle_score: Number = Field(0.0, description="What its battles were worth to the attacker so far.")
    parties: dict[FactionKey, PartyEntry] = Field(
        {},
        max_length=MOST_PARTIES,
        description="Who is in it beside its leaders, and what there is to say of these.",
    )
    occupations: list[OccupationEntry] = Field([], max_length=MOST_OCCUPATIONS)
    ended_at: WorldMs | None = Field(None, description="World ms; left out: it is still fought.")
    outcome: Outcome | None = Field(None, description="Who won a war that is over; left out: nobody.")
    score: Score | None = Field(None, description="The war score with which it ended.")
    score_parts: Parts = Field([], description="They add up to the score; left out: it stands for itself.")
    treaty: TreatyKey | None = Field(None, description="The treaty that ended it, unless that is secret.")


class WarlikeValue(PackModel):
    """What war has made of a faction."""

    exhaustion: Exhaustion = Field(0.0, description="How weary of war it is, 0 to 100.")
    aggression: Aggression = Field(0.0, description="How much its deeds frighten its neighbours.")


class WarlikeEntry(PackModel):
    """What war has made of a faction."""

    warlike: WarlikeValue | None = Field(None, description="What war has made of it.")


SAME: Final = (
    "name", "cause", "reason", "legitimacy", "legitimacy_parts", "since", "battle_score", "ended_at", "outcome",
    "score", "score_parts",
)  # fmt: skip
"""Fields that the command has, too."""


def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each war."""
    made: list[Command] = []
    for item in items:
        war = _war(item, ids)
        keys = list(item.value.parties)
        for path, message in faults(war, ids.now):
            ids.mistake(item, by_key(path, "parties", keys), message)
        made.append(war)
    _check_names(items, ids)
    _check_with_others(items, ids)
    return [] if ids.mistakes else made


def _war(item: Item, ids: Ids) -> ImportWar:
    entry: WarEntry = item.value
    parties = [
        PartyValue(
            faction_id=ids.of("factions", key), called_by_id=ids.maybe("factions", party.called_by),
            **party.model_dump(exclude={"called_by"}),
        )
        for key, party in entry.parties.items()
    ]  # fmt: skip
    occupations = [
        OccupationValue(
            region_id=ids.of("regions", o.region), holder_id=ids.of("factions", o.holder),
            occupier_id=ids.of("factions", o.occupier), since=o.since, until=o.until,
        )
        for o in entry.occupations
    ]  # fmt: skip
    return ImportWar(
        id=ids.of("wars", item.key), attacker_id=ids.of("factions", entry.attacker),
        defender_id=ids.of("factions", entry.defender), treaty_id=ids.maybe("treaties", entry.treaty),
        cause_id=ids.maybe("incidents", entry.incident),
        parties=parties, occupations=occupations, **{name: getattr(entry, name) for name in SAME},
    )  # fmt: skip


def _check_names(items: Sequence[Item], ids: Ids) -> None:
    """Say which wars name an incident or a treaty that is none of theirs to name."""
    sides = {i.key: (i.value.injured, i.value.accused) for i in ids.entries("incidents")}
    secret = {i.key for i in ids.entries("treaties") if i.value.secret}
    for item in items:
        entry: WarEntry = item.value
        pair = (entry.attacker, entry.defender)
        if entry.incident is not None and entry.cause != "incident":
            ids.mistake(item, "incident", "its cause is another: write `cause: incident`, or leave this out")
        elif entry.incident is not None and sides.get(entry.incident, pair) != pair:
            ids.mistake(item, "incident", "the attacker is not injured in it by the defender: name another")
        if entry.treaty in secret:
            ids.mistake(item, "treaty", "it is secret, and all see what ended a war: leave this out")


def _check_with_others(items: Sequence[Item], ids: Ids) -> None:
    """Say where wars contradict each other, the relations, or who holds which region."""
    relations = [item.value for item in ids.entries("relations")]
    at_war = {frozenset((r.first, r.second)) for r in relations if r.status == "war"}
    held = {region: item.key for item in ids.entries("factions") for region in item.value.holds}
    led: dict[frozenset[str], str] = {}
    taken: dict[str, str] = {}
    for item in items:
        entry: WarEntry = item.value
        if entry.ended_at is not None:
            continue
        pair = frozenset((entry.attacker, entry.defender))
        if led.setdefault(pair, item.key) != item.key:
            ids.mistake(item, "defender", f"these two fight each other in {led[pair]!r} already: keep one")
        elif len(pair) == 2 and pair not in at_war:
            ids.mistake(
                item, "defender",
                "by the relations these two are not at war: write `status: war` there, or `ended_at` here",
            )  # fmt: skip
        for number, o in _standing(entry):
            if taken.setdefault(o.region, item.key) != item.key:
                ids.mistake(
                    item, f"occupations.{number}.region", f"it is occupied in {taken[o.region]!r} already"
                )
            if held.get(o.region, o.occupier) != o.occupier:
                ids.mistake(
                    item, f"occupations.{number}.occupier",
                    f"{held[o.region]!r} holds it, by the factions: who took it must hold it",
                )  # fmt: skip


def _standing(entry: WarEntry) -> Iterator[tuple[int, OccupationEntry]]:
    """The occupations that are not over, with their numbers from 1."""
    for number, o in enumerate(entry.occupations, 1):
        if o.until is None:
            yield number, o


def warlike_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """What war has made of the factions of which something is said."""
    return [
        SetWarlike(faction_id=ids.of("factions", item.key), **dict(item.value.warlike))
        for item in items if item.value.warlike is not None
    ]  # fmt: skip


# -- writing -------------------------------------------------------------------------------------------------

WARS: Final = f"SELECT {WAR} FROM wars WHERE world_id = $1 ORDER BY id"  # noqa: S608
WARLIKE: Final = """
SELECT faction_id, exhaustion, exhaustion_at, aggression, aggression_at, wars FROM warlike WHERE world_id = $1
"""


async def read(snapshot: Snapshot) -> list[Item]:
    """The wars by key, as they are or as they ended; who is no more stays behind, and so do the wars that it led."""
    fetch, world_id, keys = snapshot.connection.fetch, snapshot.world_id, snapshot.keys
    rows = [
        row for row in await fetch(WARS, world_id)
        if keys.has("factions", row["attacker_id"]) and keys.has("factions", row["defender_id"])
    ]  # fmt: skip
    keys.name("wars", [(row["id"], row["name"]) for row in rows])
    ids = [row["id"] for row in rows]
    parties: dict[UUID, list[Any]] = {id_: [] for id_ in ids}
    for p in await fetch(PARTIES, world_id, ids):
        if keys.has("factions", p["faction_id"]):
            parties[p["war_id"]].append(p)
    taken: dict[UUID, list[OccupationEntry]] = {id_: [] for id_ in ids}
    for o in await fetch(OCCUPATIONS, world_id, ids):
        both = keys.has("factions", o["holder_id"]) and keys.has("factions", o["occupier_id"])
        if both and keys.has("regions", o["region_id"]):
            taken[o["war_id"]].append(_occupation(o, keys))
    items = [
        Item(keys.of("wars", row["id"]), _entry(row, parties[row["id"]], taken[row["id"]], keys))
        for row in rows
    ]
    return sorted(items, key=lambda item: item.key)


def _entry(
    row: Mapping[str, Any], parties: Sequence[Any], taken: list[OccupationEntry], keys: Keys
) -> WarEntry:
    told = {keys.of("factions", p["faction_id"]): _party(p, row, keys) for p in parties}
    return WarEntry(
        id=keys.id_to_write("wars", row["id"]), name=row["name"], attacker=keys.of("factions", row["attacker_id"]),
        defender=keys.of("factions", row["defender_id"]), cause=row["cause"],
        incident=keys.maybe("incidents", row["cause_id"]),
        reason=row["reason"],
        legitimacy=row["legitimacy"], legitimacy_parts=_parts(row["legitimacy_parts"]), since=row["at"],
        battle_score=max(-MOST_NUMBER, min(MOST_NUMBER, row["battle_score"])), parties=dict(sorted(told.items())),
        occupations=sorted(taken, key=lambda o: (o.since, o.region, o.until or 0)), ended_at=row["ended_at"],
        outcome=row["outcome"], score=row["final_score"], score_parts=_parts(row["final_parts"]),
        treaty=keys.maybe("treaties", row["treaty_id"]),
    )  # fmt: skip


def _party(p: Mapping[str, Any], war: Mapping[str, Any], keys: Keys) -> PartyEntry:
    leads = p["faction_id"] in (war["attacker_id"], war["defender_id"])
    caller = keys.maybe("factions", p["called_by_id"])
    if caller is None and p["state"] == "called":  # who called is no more: the leader waits for the answer
        caller = keys.of("factions", war[f"{p['side']}_id"])
    to_the_end = p["state"] == "out" and p["left_at"] == war["ended_at"]
    return PartyEntry(
        side=None if leads else p["side"], state="fighting" if to_the_end else p["state"],
        called_by=caller, since=None if p["at"] == war["at"] else p["at"],
        left_at=None if to_the_end else p["left_at"], regions=p["regions"],
        losses=min(MOST_LOSSES, p["losses"]),
    )  # fmt: skip


def _occupation(o: Mapping[str, Any], keys: Keys) -> OccupationEntry:
    return OccupationEntry(
        region=keys.of("regions", o["region_id"]), holder=keys.of("factions", o["holder_id"]),
        occupier=keys.of("factions", o["occupier_id"]), since=o["at"], until=o["until_at"],
    )  # fmt: skip


def _parts(stored: str | None) -> list[PartValue]:
    return [] if stored is None else [PartValue(**part) for part in orjson.loads(stored)]


async def read_warlike(snapshot: Snapshot) -> list[Item]:
    """What war has made of factions, as it is now."""
    items = []
    for row in await snapshot.connection.fetch(WARLIKE, snapshot.world_id):
        tired = battle.exhaustion_now(
            row["exhaustion"], row["exhaustion_at"], snapshot.now, at_war=row["wars"] > 0
        )
        dread = min(
            MOST_AGGRESSION, battle.aggression_now(row["aggression"], row["aggression_at"], snapshot.now)
        )
        if tired or dread:
            entry = WarlikeEntry(warlike=WarlikeValue(exhaustion=tired, aggression=dread))
            items.append(Item(snapshot.keys.of("factions", row["faction_id"]), entry))
    return items


PACK: Final = (
    PackSection("wars", ("wars.yaml", "wars/*.yaml"), Form.KEYED, WarEntry, commands, read, top="wars"),
    PackAddition("factions", WarlikeEntry, warlike_commands, read_warlike),
)
