"""How factions stand in a pack: `factions.yaml`, with their members and what is in their treasuries.

What was dissolved, and who belonged to what, stays behind.
"""

from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Ref, Snapshot
from fablewright.systems.factions.commands import (
    MOST_MEMBERS,
    AddMember,
    Amount,
    Color,
    Description,
    FoundFaction,
    GrantTreasury,
    Ideology,
    Key,
    MemberValue,
    Name,
    Ranks,
    Roles,
    Standing,
    TraitsValue,
    Troops,
    Word,
    WorldMs,
)
from fablewright.systems.factions.roster import FACTION, MEMBER, faction_of
from fablewright.systems.factions.rules import DEFAULT_RANKS, RULER, Faction, Member, complete_roles
from fablewright.systems.ledger.rules import MOST_AMOUNT
from fablewright.systems.regions.commands import SetControl

CharacterKey = Annotated[str, Ref("characters")]
RegionKey = Annotated[str, Ref("regions")]


class MemberEntry(PackModel):
    """As what somebody belongs to a faction."""

    rank: Word | None = Field(None, description="Left out: the lowest; for the leader the highest.")
    role: Key | None = Field(None, description="Such as ambassador. The leader is the ruler without it.")


class FactionEntry(PackModel):
    """A faction."""

    id: UUID | None = Field(None, description="Its id in the world; left out, it follows from the key.")
    name: Name
    kind: Word = "realm"
    description: Description = ""
    color: Color = "#808080"
    leader: CharacterKey | None = Field(None, description="The key of the character that leads it.")
    members: dict[CharacterKey, MemberEntry] = Field({}, description="Who belongs to it, as what.")
    ideology: Ideology = {}
    traits: TraitsValue = TraitsValue()
    currency: Key = "points"
    treasury: int = Field(0, ge=0, le=MOST_AMOUNT)
    other_money: dict[Key, Amount] = Field({}, description="What it has of other currencies.")
    roles: Roles | None = Field(None, description="Left out: ruler, ambassador, general, spymaster.")
    ranks: Ranks = list(DEFAULT_RANKS)
    capital: RegionKey | None = Field(None, description="The key of a region.")
    holds: list[RegionKey] = Field([], max_length=2_000, description="The keys of the regions that it holds.")
    self_run: bool = False
    reputation: Standing = 0.0
    strength: Troops = 0.0
    founded_ms: WorldMs | None = Field(None, description="World ms; left out: when the world begins.")


OPENING: Final = "As the pack says."
"""The reason of the transfers that bring in what a faction has of other currencies than its own."""
SAME: Final = (
    "name", "kind", "description", "color", "ideology", "traits", "currency", "treasury", "roles", "ranks",
    "self_run", "reputation", "strength",
)  # fmt: skip
"""Fields that the command has, too."""


def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each faction; more for those with very many members."""
    made: list[Command] = []
    belongs: dict[str, str] = {}
    held: dict[str, str] = {}
    for item in items:
        entry: FactionEntry = item.value
        known = {key: (m.rank, m.role) for key, m in entry.members.items()}
        if entry.leader is not None:
            known.setdefault(entry.leader, (None, None))
        for key, (rank, role) in known.items():
            if belongs.setdefault(key, item.key) != item.key:
                ids.mistake(
                    item, f"members.{key}", f"it belongs to {belongs[key]!r} already: leave it out of one"
                )
            _check(item, ids, key, rank, role)
        for place, key in enumerate(entry.holds, 1):
            if held.setdefault(key, item.key) != item.key:
                ids.mistake(item, f"holds.{place}", f"{held[key]!r} holds it already: leave it out of one")
        faction_id = ids.of("factions", item.key)
        members = [
            MemberValue(character_id=ids.of("characters", key), rank=rank, role=role)
            for key, (rank, role) in known.items()
        ]
        # The leader may stand anywhere in the list, and is named by itself.
        made.append(
            FoundFaction(
                id=faction_id, leader_id=ids.maybe("characters", entry.leader), members=members[:MOST_MEMBERS],
                capital_id=ids.maybe("regions", entry.capital), founded_at=entry.founded_ms,
                **{name: getattr(entry, name) for name in SAME},
            )
        )  # fmt: skip
        made += [
            AddMember(faction_id=faction_id, member_id=m.character_id, rank=m.rank, role=m.role)
            for m in members[MOST_MEMBERS:]
        ]
        made += [
            GrantTreasury(faction_id=faction_id, amount=amount, currency=code, reason=OPENING)
            for code, amount in entry.other_money.items()
        ]
        made += [
            SetControl(region_id=ids.of("regions", key), controller_id=faction_id) for key in entry.holds
        ]
    return made


def _check(item: Item, ids: Ids, key: str, rank: str | None, role: str | None) -> None:
    entry: FactionEntry = item.value
    if rank is not None and rank not in entry.ranks:
        ids.mistake(item, f"members.{key}.rank", f"its ranks are {', '.join(entry.ranks)}: use one of these")
    if role is None:
        return
    roles = complete_roles(entry.roles)
    if role not in roles:
        ids.mistake(item, f"members.{key}.role", f"its roles are {', '.join(roles)}: use one of these")
    elif (role == RULER) != (key == entry.leader):
        ids.mistake(
            item, f"members.{key}.role", "the leader, and nobody else, is the ruler: leave the role out"
        )


async def read(snapshot: Snapshot) -> list[Item]:
    """The factions by key, with the members and the money that they have now."""
    connection, world_id = snapshot.connection, snapshot.world_id
    rows = await connection.fetch(
        f"SELECT {FACTION} FROM factions f WHERE f.world_id = $1 AND f.dissolved_at IS NULL",  # noqa: S608
        world_id,
    )
    factions = [faction_of(row) for row in rows]
    snapshot.keys.name("factions", [(f.id, f.name) for f in factions])
    members: dict[UUID, list[Member]] = {}
    for row in await connection.fetch(
        f"SELECT {MEMBER} FROM faction_members m WHERE m.world_id = $1 AND m.left_at IS NULL",  # noqa: S608
        world_id,
    ):
        members.setdefault(row["faction_id"], []).append(Member(*row))
    held: dict[UUID, list[str]] = {}
    for row in await connection.fetch(
        "SELECT id, controller_id FROM regions WHERE world_id = $1 AND controller_id IS NOT NULL "
        "AND removed_at IS NULL",
        world_id,
    ):
        held.setdefault(row["controller_id"], []).append(snapshot.keys.of("regions", row["id"]))
    money: dict[UUID, dict[str, int]] = {f.id: {} for f in factions}
    for row in await connection.fetch(
        "SELECT owner_id, currency, balance FROM ledger_accounts "
        "WHERE world_id = $1 AND owner_id = ANY($2::uuid[]) AND balance > 0 ORDER BY owner_id, currency",
        world_id, list(money),
    ):  # fmt: skip
        money[row["owner_id"]][row["currency"]] = row["balance"]
    items = [
        Item(
            snapshot.keys.of("factions", f.id),
            _entry(f, members.get(f.id, []), sorted(held.get(f.id, [])), money[f.id], snapshot),
        )
        for f in factions
    ]
    return sorted(items, key=lambda item: item.key)


def _entry(
    f: Faction, members: Sequence[Member], holds: list[str], money: dict[str, int], snapshot: Snapshot
) -> FactionEntry:
    keys = snapshot.keys
    t = f.traits
    known = {
        keys.of("characters", m.character_id): MemberEntry(
            rank=m.rank, role=None if m.character_id == f.leader_id else m.role
        )
        for m in members if keys.has("characters", m.character_id)
    }  # fmt: skip
    return FactionEntry(
        id=keys.id_to_write("factions", f.id), name=f.name, kind=f.kind, description=f.description,
        color=f.color, leader=keys.maybe("characters", f.leader_id), members=dict(sorted(known.items())),
        ideology=dict(sorted(f.ideology.items())),
        traits=TraitsValue(
            aggressive=t.aggressive, honourable=t.honourable, mercantile=t.mercantile,
            isolationist=t.isolationist,
        ),
        currency=f.currency, treasury=money.get(f.currency, 0),
        other_money={code: amount for code, amount in money.items() if code != f.currency},
        roles=None if f.roles == complete_roles(None) else {r: list(a) for r, a in f.roles.items()},
        ranks=list(f.ranks), capital=keys.maybe("regions", f.capital_id), holds=holds, self_run=f.self_run,
        reputation=f.reputation_now(snapshot.now), strength=f.strength, founded_ms=f.founded_at,
    )  # fmt: skip


PACK: Final = (
    PackSection(
        "factions", ("factions.yaml", "factions/*.yaml"), Form.KEYED, FactionEntry, commands, read, top="factions"
    ),
)  # fmt: skip
