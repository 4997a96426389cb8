"""What the commands about characters do. Higher systems load and change characters through this module."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from fablewright.core.actors import Role
from fablewright.core.dice import Dice
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters import rules
from fablewright.systems.characters.commands import (
    CreateCharacter,
    DeleteCharacter,
    PersonalityChange,
    UpdateCharacter,
)
from fablewright.systems.characters.events import (
    CharacterCreated,
    CharacterDeleted,
    CharacterUpdated,
    ControlChanged,
)
from fablewright.systems.characters.rules import CHARACTER_NOT_FOUND, CharacterState, Traits
from fablewright.systems.characters.views import (
    COLUMNS,
    TRAITS,
    CharacterView,
    personality_of,
    state_of,
    view_of,
)

__all__ = ["CHARACTER_NOT_FOUND", "CharacterState", "Traits", "load", "self_acting", "write_energies"]

LOAD: Final = f"""
SELECT {COLUMNS} FROM characters
WHERE world_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL
ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608
INSERT: Final = """
INSERT INTO characters (world_id, id, name, kind, user_id, description, openness, conscientiousness,
                        extraversion, agreeableness, neuroticism, energy, energy_at, status)
SELECT $1, c.* FROM unnest(
    $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::float8[], $8::float8[], $9::float8[],
    $10::float8[], $11::float8[], $12::float8[], $13::bigint[], $14::text[])
    AS c (id, name, kind, user_id, description, o, c, e, a, n, energy, energy_at, status)
"""
UPDATE: Final = """
UPDATE characters SET name = $3, kind = $4, user_id = $5, description = $6, openness = $7,
    conscientiousness = $8, extraversion = $9, agreeableness = $10, neuroticism = $11, energy = $12,
    energy_at = $13, status = $14
WHERE world_id = $1 AND id = $2
"""
WRITE_ENERGIES: Final = """
UPDATE characters c SET energy = v.energy, energy_at = v.at
FROM unnest($2::uuid[], $3::float8[], $4::bigint[]) AS v (id, energy, at)
WHERE c.world_id = $1 AND c.id = v.id
"""


# -- for higher systems --------------------------------------------------------------------------------------


async def load(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, CharacterState]:
    """The living characters among these ids, locked until the commit, in the order of their ids."""
    rows = await tx.fetch(LOAD, tx.world_id, sorted(set(ids)))
    return {row["id"]: state_of(row) for row in rows}


async def write_energies(tx: Transaction, energies: Sequence[tuple[UUID, float, int]]) -> None:
    """Store (id, energy 0..1, world ms at which it is so) of characters that `load` has locked."""
    if energies:
        await tx.execute(
            WRITE_ENERGIES, tx.world_id,
            [e[0] for e in energies], [e[1] for e in energies], [e[2] for e in energies],
        )  # fmt: skip


async def self_acting(tx: Transaction, most: int) -> list[CharacterState]:
    """Up to `most` active npc characters that no user controls, by id, not locked.

    Where there are more, the dice choose a stretch of them.
    """
    condition = (
        "FROM characters WHERE world_id = $1 AND kind = 'npc' AND user_id IS NULL AND status = 'active' "
        "AND deleted_at IS NULL"
    )
    count = await tx.fetchval(f"SELECT count(*) {condition}", tx.world_id)
    start = 0
    if count > most:
        start = min(max(0, tx.dice.whole(-(most // 2), count - most // 2)), count - most)
    rows = await tx.fetch(
        f"SELECT {COLUMNS} {condition} ORDER BY id LIMIT $2 OFFSET $3", tx.world_id, most, start
    )
    return [state_of(row) for row in rows]


def is_game_master(request: Request) -> bool:
    """Whether a request comes from a game master or from the server itself."""
    return request.actor.is_system or (request.role or Role.OBSERVER) >= Role.GAME_MASTER


# -- commands ------------------------------------------------------------------------------------------------


async def create_many(tx: Transaction, requests: Sequence[Request]) -> list[CharacterView | Refused]:
    """Bring characters into the world, all with one INSERT."""
    commands: list[CreateCharacter] = [request.command for request in requests]  # type: ignore[misc]
    taken = await _taken(tx, [c.id for c in commands if c.id is not None])
    members = await _members(tx, [c.user_id for c in commands] + [r.actor.user_id for r in requests])
    results: list[CharacterView | Refused] = []
    made: list[tuple[Request, CharacterState]] = []
    for request, command in zip(requests, commands, strict=True):
        try:
            state = _new(tx, request, command, taken, members)
        except Refused as refused:
            results.append(refused)
            continue
        taken.add(state.id)
        made.append((request, state))
        results.append(view_of(state, tx.now))
    await _insert(tx, [state for _, state in made])
    for request, state in made:
        _tell_created(tx, request, state)
    return results


async def update(tx: Transaction, command: UpdateCharacter) -> CharacterView:
    """Change some fields of a character; what stays the same is told to nobody."""
    rules.check_change(_asked(command), is_game_master(tx.request))
    members = await _members(tx, [command.user_id])
    before = await _one(tx, command.character_id)
    if command.user_id is not None and command.user_id not in members:
        raise rules.USER_NOT_MEMBER(user_id=str(command.user_id))
    after = _changed(before, command, tx.now)
    if after == before:
        return view_of(before, tx.now)
    await tx.execute(UPDATE, tx.world_id, *_values(after))
    changed = [
        f
        for f in ("name", "kind", "description", "energy", "status")
        if getattr(after, f) != getattr(before, f)
    ]
    if after.traits != before.traits:
        changed.append("personality")
    if changed:
        tx.emit(
            CharacterUpdated(
                character_id=after.id, changed=changed, name=after.name, kind=after.kind,
                description=after.description, personality=personality_of(after.traits), energy=after.energy,
                energy_at=after.energy_at, status=after.status,
            )
        )  # fmt: skip
    if after.user_id != before.user_id:
        tx.rights_changed = True
        tx.emit(ControlChanged(character_id=after.id, user_id=after.user_id, previous_user_id=before.user_id))
    return view_of(after, tx.now)


async def delete(tx: Transaction, command: DeleteCharacter) -> None:
    """Take a character out of the world; its row stays, marked."""
    character = await _one(tx, command.character_id)
    rules.check_deletion(character.kind, is_game_master(tx.request))
    await tx.execute(
        "UPDATE characters SET deleted_at = $3 WHERE world_id = $1 AND id = $2",
        tx.world_id,
        character.id,
        tx.now,
    )
    tx.emit(CharacterDeleted(character_id=character.id, name=character.name))


async def release(tx: Transaction, user_ids: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """Take all characters, deleted ones too, from these users; returns (character, user) by character."""
    rows = await tx.fetch(
        "SELECT id, user_id FROM characters WHERE world_id = $1 AND user_id = ANY($2::uuid[]) "
        "ORDER BY id FOR NO KEY UPDATE",
        tx.world_id, sorted(set(user_ids)),
    )  # fmt: skip
    if rows:
        await tx.execute(
            "UPDATE characters SET user_id = NULL WHERE world_id = $1 AND id = ANY($2::uuid[])",
            tx.world_id, [row["id"] for row in rows],
        )  # fmt: skip
    return [(row["id"], row["user_id"]) for row in rows]


# -- what the engine asks ------------------------------------------------------------------------------------


async def controls(tx: Transaction, user_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the characters that the user may act as."""
    rows = await tx.fetch(
        "SELECT id FROM characters WHERE world_id = $1 AND user_id = $2 AND id = ANY($3::uuid[])",
        tx.world_id, user_id, list(ids),
    )  # fmt: skip
    return {row["id"] for row in rows}


async def principals(fetch: Callable[..., Awaitable[Any]], world_id: UUID, user_id: UUID) -> set[UUID]:
    """The characters for which the user may read events, deleted ones too: their past is still theirs."""
    rows = await fetch("SELECT id FROM characters WHERE world_id = $1 AND user_id = $2", world_id, user_id)
    return {row["id"] for row in rows}


# -- helpers -------------------------------------------------------------------------------------------------


async def _one(tx: Transaction, character_id: UUID) -> CharacterState:
    found = await load(tx, [character_id])
    if character_id not in found:
        raise CHARACTER_NOT_FOUND(character_id=str(character_id))
    return found[character_id]


async def _taken(tx: Transaction, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids that characters of this world have, deleted ones too."""
    if not ids:
        return set()
    rows = await tx.fetch(
        "SELECT id FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[])", tx.world_id, list(ids)
    )
    return {row["id"] for row in rows}


async def _members(tx: Transaction, user_ids: Iterable[UUID | None]) -> set[UUID]:
    """Those of the users who are members, kept from leaving until the commit.

    Members are locked before characters, as they are when someone leaves.
    """
    wanted = sorted({user_id for user_id in user_ids if user_id is not None})
    if not wanted:
        return set()
    rows = await tx.fetch(
        "SELECT user_id FROM world_members WHERE world_id = $1 AND user_id = ANY($2::uuid[]) "
        "ORDER BY user_id FOR KEY SHARE",
        tx.world_id, wanted,
    )  # fmt: skip
    return {row["user_id"] for row in rows}


def _new(
    tx: Transaction, request: Request, command: CreateCharacter, taken: set[UUID], members: set[UUID]
) -> CharacterState:
    user_id = rules.controller_of_new(
        command.kind, command.user_id, request.actor.user_id, is_game_master(request)
    )
    if command.id in taken:
        raise rules.CHARACTER_EXISTS(character_id=str(command.id))
    if user_id is not None and user_id not in members:
        raise rules.USER_NOT_MEMBER(user_id=str(user_id))
    return CharacterState(
        command.id or Dice(tx.world.seed, request.id).uuid(tx.now), command.name, command.kind, user_id,
        command.description, _traits(command.personality), command.energy, tx.now, command.status,
    )  # fmt: skip


def _traits(personality: Any) -> Traits:
    return Traits(*(getattr(personality, trait) for trait in TRAITS))


def _values(c: CharacterState) -> tuple[Any, ...]:
    """A character's columns in the order in which they are written."""
    t = c.traits
    return (
        c.id, c.name, c.kind, c.user_id, c.description, t.openness, t.conscientiousness, t.extraversion,
        t.agreeableness, t.neuroticism, c.energy, c.energy_at, c.status,
    )  # fmt: skip


async def _insert(tx: Transaction, characters: Sequence[CharacterState]) -> None:
    if characters:
        columns = zip(*(_values(c) for c in characters), strict=True)
        await tx.execute(INSERT, tx.world_id, *(list(column) for column in columns))


def _tell_created(tx: Transaction, request: Request, c: CharacterState) -> None:
    tx.emit(
        CharacterCreated(
            character_id=c.id, name=c.name, kind=c.kind, user_id=c.user_id, description=c.description,
            personality=personality_of(c.traits), energy=c.energy, energy_at=c.energy_at, status=c.status,
        ),
        by=request,
    )  # fmt: skip
    if c.user_id is not None:
        tx.emit(ControlChanged(character_id=c.id, user_id=c.user_id, previous_user_id=None), by=request)


def _asked(command: UpdateCharacter) -> list[str]:
    """The fields that the command wants changed."""
    fields = [
        f
        for f in ("name", "kind", "user_id", "description", "personality", "energy", "status")
        if getattr(command, f) is not None
    ]
    return [*fields, "user_id"] if command.release_control else fields


def _changed(c: CharacterState, command: UpdateCharacter, now: int) -> CharacterState:
    def new(value: Any, old: Any) -> Any:
        return old if value is None else value

    energy_set = command.energy is not None
    return CharacterState(
        c.id, new(command.name, c.name), new(command.kind, c.kind),
        None if command.release_control else new(command.user_id, c.user_id),
        new(command.description, c.description),
        _changed_traits(c.traits, command.personality),
        new(command.energy, c.energy), now if energy_set else c.energy_at, new(command.status, c.status),
    )  # fmt: skip


def _changed_traits(traits: Traits, change: PersonalityChange | None) -> Traits:
    if change is None:
        return traits
    return replace(traits, **change.model_dump(exclude_none=True))
