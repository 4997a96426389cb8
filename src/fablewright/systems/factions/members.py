"""Who belongs to factions, as what, and who leads them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal
from uuid import UUID

from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.factions import roster, rules
from fablewright.systems.factions.commands import (
    AddMember,
    Leave,
    MemberCause,
    RemoveMember,
    SetLeader,
    SetRank,
)
from fablewright.systems.factions.events import LeaderChanged, MemberJoined, MemberLeft, RankChanged
from fablewright.systems.factions.rules import RULER, Faction, Member
from fablewright.systems.factions.views import MemberView, member_view

LeaderCause = Literal["named", "left", "removed", "died"]

JOIN: Final = """
INSERT INTO faction_members (world_id, id, faction_id, character_id, rank, role, joined_at)
SELECT $1, v.id, $3, v.character_id, v.rank, v.role, $7
FROM unnest($2::uuid[], $4::uuid[], $5::text[], $6::text[]) AS v (id, character_id, rank, role)
"""
END: Final = "UPDATE faction_members SET left_at = $3 WHERE world_id = $1 AND id = ANY($2::uuid[])"
RANK: Final = "UPDATE faction_members SET rank = $3, role = $4 WHERE world_id = $1 AND id = $2"
# The ruler is whoever leads, and nobody else.
LEAD: Final = f"""
WITH led AS (UPDATE factions SET leader_id = $3 WHERE world_id = $1 AND id = $2)
UPDATE faction_members SET role = CASE WHEN character_id = $3 THEN '{RULER}' END
WHERE world_id = $1 AND faction_id = $2 AND left_at IS NULL AND (character_id = $3 OR role = '{RULER}')
"""  # noqa: S608  fixed texts only


# -- commands ------------------------------------------------------------------------------------------------


async def add_member(tx: Transaction, command: AddMember) -> MemberView:
    """Let a character join."""
    living = await characters.load(tx, [command.member_id])
    by = await _manager(tx, command.faction_id, command.character_id)
    faction = (await roster.require(tx, [command.faction_id]))[command.faction_id]
    rank = faction.ranks[-1] if command.rank is None else command.rank
    rules.check_rank(faction, rank)
    rules.check_role(faction, command.role)
    if by is not None:
        rules.check_above(faction, by, rank)
        rules.check_hands_out(faction, by, command.role)
    check_can_join(living, await roster.memberships(tx, [command.member_id]), [command.member_id])
    member = Member(tx.new_id(), faction.id, command.member_id, rank, command.role, tx.now)
    await join(tx, faction.id, [member])
    tx.emit(
        MemberJoined(
            faction_id=faction.id, character_id=member.character_id, rank=rank, role=member.role,
            by_id=command.character_id,
        )
    )  # fmt: skip
    return member_view(member, faction)


async def remove_member(tx: Transaction, command: RemoveMember) -> None:
    """Send a member away; if it led, the next in rank follows."""
    by = await _manager(tx, command.faction_id, command.character_id)
    member = _of(command.faction_id, command.member_id, await roster.going(tx, [command.member_id]))
    faction = (await roster.require(tx, [command.faction_id]))[command.faction_id]
    if by is not None:
        rules.check_above(faction, by, member.rank, whom=member.character_id)
    await end(tx, [member], "removed", reason=command.reason, by_id=command.character_id)
    if faction.leader_id == member.character_id:
        await succeed(tx, faction, "removed")


async def set_rank(tx: Transaction, command: SetRank) -> MemberView:
    """Give a member another rank or role; who already has them stays without an event."""
    by = await _manager(tx, command.faction_id, command.character_id)
    found = await roster.memberships(tx, [command.member_id], lock=True)
    member = _of(command.faction_id, command.member_id, found)
    faction = (await roster.require(tx, [command.faction_id]))[command.faction_id]
    rank = member.rank if command.rank is None else command.rank
    role = None if command.remove_role else member.role if command.role is None else command.role
    rules.check_rank(faction, rank)
    if role != member.role:
        rules.check_role(faction, role)
        if member.role == RULER:
            raise rules.ROLE_IS_THE_LEADERS()
    if by is not None:
        rules.check_above(faction, by, member.rank, rank, whom=member.character_id)
        rules.check_hands_out(faction, by, None if role == member.role else role)
    after = Member(member.id, faction.id, member.character_id, rank, role, member.joined_at)
    if after != member:
        await tx.execute(RANK, tx.world_id, member.id, rank, role)
        tx.emit(
            RankChanged(
                faction_id=faction.id, character_id=member.character_id, rank=rank, role=role,
                previous_rank=member.rank, previous_role=member.role, by_id=command.character_id,
            )
        )  # fmt: skip
    return member_view(after, faction)


async def leave(tx: Transaction, command: Leave) -> None:
    """Let a character go; if it led, the next in rank follows."""
    member = (await roster.going(tx, [command.character_id])).get(command.character_id)
    if member is None:
        raise rules.NOT_A_MEMBER(
            "The character belongs to no faction.", character_id=str(command.character_id)
        )
    faction = (await roster.require(tx, [member.faction_id]))[member.faction_id]
    await end(tx, [member], "left", reason=command.reason)
    if faction.leader_id == member.character_id:
        await succeed(tx, faction, "left")


async def set_leader(tx: Transaction, command: SetLeader) -> None:
    """Let another member lead; who leads already stays without an event."""
    wanted = [i for i in (command.member_id, command.character_id) if i is not None]
    found = await roster.memberships(tx, wanted, lock=True)
    faction = (await roster.require(tx, [command.faction_id]))[command.faction_id]
    if command.character_id is None or command.member_id is None:
        roster.check_masterly(tx.request, "manage_members")
    if command.character_id is not None:
        rules.check_belongs(faction, found.get(command.character_id), command.character_id)
        rules.check_leader(faction, command.character_id)
    if command.member_id is not None:
        rules.check_belongs(faction, found.get(command.member_id), command.member_id)
    if faction.leader_id != command.member_id:
        await lead(tx, faction, command.member_id, "named")


# -- for the rest of this system -----------------------------------------------------------------------------


def check_can_join(
    living: Iterable[UUID], belonging: dict[UUID, Member], character_ids: Sequence[UUID]
) -> None:
    """Whether these characters live and belong to nothing. Refuses `character_not_found`, `already_a_member`."""
    known = set(living)
    for character_id in character_ids:
        if character_id not in known:
            raise rules.CHARACTER_NOT_FOUND(character_id=str(character_id))
        if (member := belonging.get(character_id)) is not None:
            raise rules.ALREADY_A_MEMBER(character_id=str(character_id), faction_id=str(member.faction_id))


async def join(tx: Transaction, faction_id: UUID, new: Sequence[Member]) -> None:
    """Store new members of a faction."""
    if new:
        await tx.execute(
            JOIN, tx.world_id, [m.id for m in new], faction_id, [m.character_id for m in new],
            [m.rank for m in new], [m.role for m in new], tx.now,
        )  # fmt: skip


async def end(
    tx: Transaction, gone: Sequence[Member], why: MemberCause, *, reason: str = "", by_id: UUID | None = None,
    causes: dict[UUID, EventRecord] | None = None,
) -> None:  # fmt: skip
    """End memberships, and tell of each; `causes` are the events that brought it about, by character."""
    await tx.execute(END, tx.world_id, [m.id for m in gone], tx.now)
    for member in gone:
        tx.emit(
            MemberLeft(
                faction_id=member.faction_id, character_id=member.character_id, rank=member.rank,
                role=member.role, cause=why, reason=reason, by_id=by_id,
            ),
            cause=(causes or {}).get(member.character_id),
        )  # fmt: skip


async def succeed(
    tx: Transaction, faction: Faction, why: LeaderCause, *, cause: EventRecord | None = None
) -> None:
    """Let the next in rank lead a faction whose leader is gone; if nobody is left, nobody leads it."""
    left = (await roster.members(tx, [faction.id], lock=True))[faction.id]  # `going` has locked them
    heir = rules.successor(faction, left)
    await lead(tx, faction, None if heir is None else heir.character_id, why, cause=cause)


async def lead(
    tx: Transaction, faction: Faction, leader_id: UUID | None, why: LeaderCause, *,
    cause: EventRecord | None = None,
) -> None:  # fmt: skip
    """Store who leads a faction, and tell of it."""
    await tx.execute(LEAD, tx.world_id, faction.id, leader_id)
    told = LeaderChanged(faction_id=faction.id, leader_id=leader_id, previous_id=faction.leader_id, cause=why)
    tx.emit(told, cause=cause)


async def forget(tx: Transaction, records: Sequence[EventRecord]) -> None:
    """Deleted characters belong to nothing any more; where one led, the next in rank follows."""
    causes = {i: record for record in records for i in record.about}
    gone = await roster.going(tx, causes)
    if not gone:
        return
    factions = await roster.load(tx, {member.faction_id for member in gone.values()})
    await end(tx, list(gone.values()), "died", causes=causes)
    for faction in factions.values():
        if faction.leader_id in gone:
            await succeed(tx, faction, "died", cause=causes[faction.leader_id])


async def _manager(tx: Transaction, faction_id: UUID, character_id: UUID | None) -> Member | None:
    """Who manages members here; None for a game master. Refuses what `roster.may` does."""
    await roster.may(tx, faction_id, character_id, "manage_members")
    if character_id is None:
        return None
    return (await roster.memberships(tx, [character_id]))[character_id]


def _of(faction_id: UUID, character_id: UUID, found: Mapping[UUID, Member]) -> Member:
    """The member of a faction among memberships, by character. Refuses `not_a_member`."""
    member = found.get(character_id)
    if member is None or member.faction_id != faction_id:
        raise rules.NOT_A_MEMBER(character_id=str(character_id), faction_id=str(faction_id))
    return member
