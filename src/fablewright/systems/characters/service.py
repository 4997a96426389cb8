"""What the commands about characters do. Higher systems load and change characters through this module."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final, TypeVar
from uuid import UUID

import orjson

from fablewright.core.actors import Role
from fablewright.core.dice import Dice
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters import rules
from fablewright.systems.characters.commands import (
    CreateCharacter,
    DeleteCharacter,
    EmotionValue,
    GoalValue,
    PersonalityChange,
    SetStatus,
    SpeechChange,
    UpdateCharacter,
)
from fablewright.systems.characters.emotions import Pad, baseline
from fablewright.systems.characters.events import (
    CharacterCreated,
    CharacterDeleted,
    CharacterUpdated,
    ControlChanged,
    StatusChanged,
)
from fablewright.systems.characters.rules import CHARACTER_NOT_FOUND, CharacterState, Goal, Speech, Traits
from fablewright.systems.characters.views import (
    ALIVE,
    COLUMNS,
    TRAITS,
    CharacterView,
    emotion_of,
    goals_of,
    personality_of,
    speech_of,
    state_of,
    view_of,
)
from fablewright.systems.regions import service as regions

__all__ = [
    "CHARACTER_NOT_FOUND", "CharacterState", "Pad", "Traits", "load", "peek", "self_acting", "write_states",
]  # fmt: skip

Part = TypeVar("Part", Traits, Speech)

LIVING: Final = f"""
SELECT {COLUMNS} FROM characters
WHERE world_id = $1 AND id = ANY($2::uuid[]) AND {ALIVE}
ORDER BY id"""  # noqa: S608
LOAD: Final = f"{LIVING} FOR NO KEY UPDATE"
WRITTEN: Final = (
    ("id", "uuid"), ("name", "text"), ("kind", "text"), ("user_id", "uuid"), ("description", "text"),
    ("openness", "float8"), ("conscientiousness", "float8"), ("extraversion", "float8"),
    ("agreeableness", "float8"), ("neuroticism", "float8"), ("energy", "float8"), ("energy_at", "bigint"),
    ("status", "text"), ("pleasure", "float8"), ("arousal", "float8"), ("dominance", "float8"),
    ("emotion_at", "bigint"), ("attributes", "jsonb"), ("skills", "jsonb"), ("tags", "text[]"),
    ("goals", "jsonb"), ("speech", "jsonb"), ("portrait_url", "text"),
)  # fmt: skip
"""The columns in the order in which `_values` gives them, and their types. Tags travel as JSON: an array of arrays
would need tags of equal number."""
_NAMES: Final = ", ".join(name for name, _ in WRITTEN)
_SENT: Final = ", ".join(
    f"${n}::{'jsonb' if kind == 'text[]' else kind}[]" for n, (_, kind) in enumerate(WRITTEN, 2)
)
_VALUES: Final = ", ".join(
    "ARRAY(SELECT jsonb_array_elements_text(v.tags))" if name == "tags" else f"v.{name}"
    for name, _ in WRITTEN
)
INSERT: Final = f"""
INSERT INTO characters (world_id, {_NAMES}) SELECT $1, {_VALUES} FROM unnest({_SENT}) AS v ({_NAMES})
"""  # noqa: S608
UPDATE: Final = f"""
UPDATE characters c SET ({_NAMES}) = ROW ({_VALUES})
FROM unnest({_SENT}) AS v ({_NAMES}) WHERE c.world_id = $1 AND c.id = v.id
"""  # noqa: S608
WRITE_STATES: Final = """
UPDATE characters c SET energy = v.energy, energy_at = v.at, emotion_at = v.at, pleasure = v.pleasure,
    arousal = v.arousal, dominance = v.dominance
FROM unnest($2::uuid[], $3::float8[], $4::bigint[], $5::float8[], $6::float8[], $7::float8[])
    AS v (id, energy, at, pleasure, arousal, dominance)
WHERE c.world_id = $1 AND c.id = v.id
"""
WRITE_STATUSES: Final = """
UPDATE characters c SET status = v.status FROM unnest($2::uuid[], $3::text[]) AS v (id, status)
WHERE c.world_id = $1 AND c.id = v.id
"""


# -- for higher systems --------------------------------------------------------------------------------------


async def load(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, CharacterState]:
    """The living characters among these ids, locked until the commit, in the order of their ids."""
    rows = await tx.fetch(LOAD, tx.world_id, sorted(set(ids)))
    return {row["id"]: state_of(row) for row in rows}


async def peek(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, CharacterState]:
    """The living characters among these ids, not locked: to choose by, not to decide on."""
    rows = await tx.fetch(LIVING, tx.world_id, sorted(set(ids)))
    return {row["id"]: state_of(row) for row in rows}


async def write_states(tx: Transaction, states: Sequence[tuple[UUID, float, int, Pad]]) -> None:
    """Store (id, energy 0..1, world ms at which all this is so, feeling) of characters that `load` has locked."""
    if states:
        await tx.execute(
            WRITE_STATES, tx.world_id,
            [s[0] for s in states], [s[1] for s in states], [s[2] for s in states],
            [s[3].pleasure for s in states], [s[3].arousal for s in states], [s[3].dominance for s in states],
        )  # fmt: skip


async def self_acting(
    tx: Transaction, most: int, statuses: Sequence[str] = ("active",)
) -> list[CharacterState]:
    """Up to `most` npc characters of these statuses that no user controls, by id, not locked.

    Where there are more, the dice choose a stretch of them.
    """
    condition = (
        "FROM characters WHERE world_id = $1 AND kind = 'npc' AND user_id IS NULL "
        "AND status = ANY($2::text[]) AND deleted_at IS NULL"
    )
    count = await tx.fetchval(f"SELECT count(*) {condition}", tx.world_id, list(statuses))
    start = 0
    if count > most:
        start = min(max(0, tx.dice.whole(-(most // 2), count - most // 2)), count - most)
    rows = await tx.fetch(
        f"SELECT {COLUMNS} {condition} ORDER BY id LIMIT $3 OFFSET $4",
        tx.world_id, list(statuses), most, start,
    )  # fmt: skip
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
    await tx.execute(UPDATE, tx.world_id, *([value] for value in _values(after)))
    changed = [f for f in TOLD if getattr(after, f) != getattr(before, f)]
    if after.traits != before.traits:
        changed.append("personality")
    if changed:
        tx.emit(CharacterUpdated(character_id=after.id, changed=changed, **_portrait(after)))
    if after.user_id != before.user_id:
        tx.rights_changed = True
        tx.emit(ControlChanged(character_id=after.id, user_id=after.user_id, previous_user_id=before.user_id))
    return view_of(after, tx.now)


async def set_status(tx: Transaction, requests: Sequence[Request]) -> list[dict[str, str] | Refused]:
    """Let characters wake up, fall asleep or go away; who already is so stays without an event."""
    commands: list[SetStatus] = [request.command for request in requests]  # type: ignore[misc]
    found = await load(tx, [command.character_id for command in commands])
    now = {character_id: c.status for character_id, c in found.items()}
    results: list[dict[str, str] | Refused] = []
    for request, command in zip(requests, commands, strict=True):
        character_id, previous = command.character_id, now.get(command.character_id)
        if previous is None:
            results.append(CHARACTER_NOT_FOUND(character_id=str(character_id)))
            continue
        if previous != command.status:
            now[character_id] = command.status
            event = StatusChanged(character_id=character_id, status=command.status, previous=previous)
            tx.emit(event, by=request)
        results.append({"character_id": str(character_id), "status": command.status, "previous": previous})
    changed = [(i, status) for i, status in now.items() if status != found[i].status]
    if changed:
        await tx.execute(WRITE_STATUSES, tx.world_id, [i for i, _ in changed], [s for _, s in changed])
    return results


async def delete(tx: Transaction, command: DeleteCharacter) -> None:
    """Take a character out of the world; its row stays, marked. Whereabouts are locked before characters."""
    await regions.load(tx, [command.character_id])
    character = await _one(tx, command.character_id)
    rules.check_deletion(character.kind, is_game_master(tx.request))
    await tx.execute(
        "UPDATE characters SET deleted_at = $3 WHERE world_id = $1 AND id = $2",
        tx.world_id,
        character.id,
        tx.now,
    )
    await regions.remove(tx, [character.id])
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
    traits = _traits(command.personality)
    return CharacterState(
        command.id or Dice(tx.world.seed, request.id).uuid(tx.now), command.name, command.kind, user_id,
        command.description, traits, command.energy, tx.now, command.status,
        _pad(command.emotion) if command.emotion else baseline(traits), tx.now, command.attributes,
        command.skills, tuple(command.tags), _goals(command.goals),
        Speech(**_tuples(command.speech.model_dump())), command.portrait_url,
    )  # fmt: skip


def _traits(personality: Any) -> Traits:
    return Traits(*(getattr(personality, trait) for trait in TRAITS))


def _pad(value: EmotionValue) -> Pad:
    return Pad(value.pleasure, value.arousal, value.dominance)


def _goals(values: Sequence[GoalValue]) -> tuple[Goal, ...]:
    return tuple(Goal(value.kind, value.text, value.about_id) for value in values)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """The values with tuples instead of lists, as the rules have them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _values(c: CharacterState) -> tuple[Any, ...]:
    """A character's values in the order of `WRITTEN`."""
    t, e = c.traits, c.emotion
    return (
        c.id, c.name, c.kind, c.user_id, c.description, t.openness, t.conscientiousness, t.extraversion,
        t.agreeableness, t.neuroticism, c.energy, c.energy_at, c.status, e.pleasure, e.arousal, e.dominance,
        c.emotion_at, _json(c.attributes), _json(c.skills), _json(c.tags),
        _json([asdict(goal) for goal in c.goals]), _json(asdict(c.speech)), c.portrait_url,
    )  # fmt: skip


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


async def _insert(tx: Transaction, characters: Sequence[CharacterState]) -> None:
    if characters:
        columns = zip(*(_values(c) for c in characters), strict=True)
        await tx.execute(INSERT, tx.world_id, *(list(column) for column in columns))


def _portrait(c: CharacterState) -> dict[str, Any]:
    """The fields that events about a character share."""
    return {
        "name": c.name, "kind": c.kind, "description": c.description, "personality": personality_of(c.traits),
        "energy": c.energy, "energy_at": c.energy_at, "status": c.status, "emotion": emotion_of(c.emotion),
        "emotion_at": c.emotion_at, "attributes": c.attributes, "skills": c.skills, "tags": list(c.tags),
        "goals": goals_of(c.goals), "speech": speech_of(c.speech), "portrait_url": c.portrait_url,
    }  # fmt: skip


def _tell_created(tx: Transaction, request: Request, c: CharacterState) -> None:
    tx.emit(CharacterCreated(character_id=c.id, user_id=c.user_id, **_portrait(c)), by=request)
    if c.user_id is not None:
        tx.emit(ControlChanged(character_id=c.id, user_id=c.user_id, previous_user_id=None), by=request)


TOLD: Final = (
    "name", "kind", "description", "energy", "status", "emotion", "attributes", "skills", "tags", "goals",
    "speech", "portrait_url",
)  # fmt: skip
"""The fields that a change is told of by name; personality and control are told too."""


def _asked(command: UpdateCharacter) -> list[str]:
    """The fields that the command wants changed."""
    fields = [f for f in (*TOLD, "personality", "user_id") if getattr(command, f) is not None]
    fields += ["user_id"] if command.release_control else []
    return fields + (["portrait_url"] if command.remove_portrait else [])


def _changed(c: CharacterState, command: UpdateCharacter, now: int) -> CharacterState:
    plain = (
        "name",
        "kind",
        "description",
        "status",
        "energy",
        "attributes",
        "skills",
        "user_id",
        "portrait_url",
    )
    new: dict[str, Any] = {f: getattr(command, f) for f in plain if getattr(command, f) is not None}
    if command.energy is not None:
        new["energy_at"] = now
    if command.release_control:
        new["user_id"] = None
    if command.remove_portrait:
        new["portrait_url"] = None
    if command.emotion is not None:
        new |= {"emotion": _pad(command.emotion), "emotion_at": now}
    if command.tags is not None:
        new["tags"] = tuple(command.tags)
    if command.goals is not None:
        new["goals"] = _goals(command.goals)
    return replace(
        c, traits=_changed_part(c.traits, command.personality), speech=_changed_part(c.speech, command.speech),
        **new,
    )  # fmt: skip


def _changed_part(part: Part, change: PersonalityChange | SpeechChange | None) -> Part:
    """Traits or speech with those fields replaced that the change holds."""
    return part if change is None else replace(part, **_tuples(change.model_dump(exclude_none=True)))
