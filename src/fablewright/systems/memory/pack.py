"""How memories stand in a pack: `knows` at each character for who writes a world, `memories/*.yaml` for exports.

What characters know at the beginning is planted, as a game master would. What they lived through, with the chains
of tellers and the conclusions drawn, is restored as it was (`RestoreMemories`), so that a copied world goes on as
the first one would have.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.dice import derived_uuid
from fablewright.core.messages import Command
from fablewright.core.pack import (
    Form,
    Ids,
    Item,
    PackAddition,
    PackModel,
    PackSection,
    Ref,
    Snapshot,
    chunks,
    is_id,
)
from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.memory import service
from fablewright.systems.memory.commands import (
    MOST_RESTORED,
    Deed,
    Degree,
    MemoryText,
    MemoryValue,
    PlantMemory,
    RestoreMemories,
    Share,
    Signed,
    Words,
    WorldMs,
)
from fablewright.systems.memory.events import MemoriesRestored
from fablewright.systems.memory.rules import (
    MEMORY_CHARACTER_NOT_FOUND,
    MEMORY_EXISTS,
    MEMORY_IN_THE_FUTURE,
    MEMORY_PLACE_NOT_FOUND,
    MOST_ABOUT,
    MOST_HEARD,
    MemoryKind,
    MemoryState,
    NewMemory,
    remembered,
)
from fablewright.systems.memory.views import COLUMNS, state_of
from fablewright.systems.regions import service as regions

# Restoring.


async def restore(tx: Transaction, command: RestoreMemories) -> dict[str, int]:
    """Write the memories and how much of them is not thought over yet."""
    who = command.character_id
    if who not in await characters.load(tx, [who]):
        raise MEMORY_CHARACTER_NOT_FOUND(character_id=str(who))
    places = {m.place_id for m in command.memories if m.place_id is not None}
    missing = places - set(await regions.places(tx, places))
    if missing:
        raise MEMORY_PLACE_NOT_FOUND(place_id=str(min(missing)))
    if any(m.at > tx.now for m in command.memories):
        raise MEMORY_IN_THE_FUTURE(now=tx.now)
    states = [_state(command, value) for value in command.memories]
    made, minds = await service._put(tx, states) if states else (set(), {})
    if len(made) != len(states):
        raise MEMORY_EXISTS(character_id=str(who))
    await service._forget_excess(tx, {mind: count for mind, (count, _) in minds.items()})
    await tx.execute(
        "INSERT INTO minds (world_id, id, memories, unreflected, reflected_at) "
        "VALUES ($1, $2, 0, coalesce($3::float8, 0), $4::bigint) "
        "ON CONFLICT (world_id, id) DO UPDATE SET unreflected = coalesce($3, minds.unreflected), "
        "reflected_at = coalesce($4, minds.reflected_at)",
        tx.world_id, who, command.unreflected, command.reflected_at,
    )  # fmt: skip
    ids = [state.id for state in states]
    tx.emit(MemoriesRestored(character_id=who, count=len(ids), memory_ids=ids))
    return {"memories": len(states)}


def _state(command: RestoreMemories, value: MemoryValue) -> MemoryState:
    """A memory as it is stored again. Its event stayed behind with the log."""
    state = remembered(
        NewMemory(
            command.character_id, value.fact_id, value.kind, value.text, value.subject_id, tuple(value.about_ids),
            value.place_id, value.at, value.importance, value.certainty, value.valence, value.secret,
            tuple(value.tellers), value.claim.value() if value.claim else None, value.truth, None,
            tuple(value.evidence),
        ),
    )  # fmt: skip
    return replace(state, heard_from=tuple(value.heard_from))


# `knows`.

Who = Annotated[str, Ref("characters")]


class KnownEntry(PackModel):
    """Something a character knows or believes when the world begins."""

    text: MemoryText = Field(description="In the third person, so that it can be told.")
    about: list[Who] = Field([], max_length=MOST_ABOUT, description="Whom it is about, mainly first.")
    importance: Share = 0.5
    certainty: Share = Field(1.0, description="How sure the character is.")
    valence: Signed = Field(0.0, description="How good it is for whom it is about.")
    secret: bool = Field(False, description="It is confided at most, never gossiped about.")
    truth: MemoryText | None = Field(None, description="What really is, if the character is wrong.")
    fact: str | None = Field(
        None, min_length=1, max_length=100,
        description="A name for the piece of knowledge, if others know of it in other words.",
    )  # fmt: skip
    tellers: list[Who] = Field([], max_length=16, description="Through whom it came, first one first.")
    at: WorldMs | None = Field(None, description="When it happened or was learned (world ms).")
    place: Annotated[str, Ref("places")] | None = None


class MindEntry(PackModel):
    """What a character has not thought over yet; written by exports."""

    unreflected: float = Field(0.0, ge=0.0, allow_inf_nan=False)
    reflected_at: WorldMs | None = None


class KnowsFields(PackModel):
    """What memory adds to a character."""

    knows: list[KnownEntry] = Field([], max_length=1_000, description="What it knows when the world begins.")
    mind: MindEntry | None = None


def known_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each thing that somebody knows, and one for each mind."""
    made: list[Command] = []
    for item in items:
        facts: set[UUID] = set()
        for number, known in enumerate(item.value.knows, 1):
            fact = derived_uuid("pack", "fact", known.fact or known.text)
            if fact in facts:
                ids.mistake(item, f"knows.{number}.text", "it is known already: keep one of the two")
            if item.key in known.tellers:
                ids.mistake(item, f"knows.{number}.tellers", "nobody tells oneself: name others")
            if known.at is not None and known.at > ids.now:
                ids.mistake(
                    item, f"knows.{number}.at", f"the world begins at {ids.now}: give an earlier time"
                )
            facts.add(fact)
            made.append(_plant(ids.of("characters", item.key), fact, known, ids))
        if item.value.mind is not None:
            mind = item.value.mind.model_dump()
            made.append(RestoreMemories(character_id=ids.of("characters", item.key), **mind))
    return made


def _plant(who: UUID, fact: UUID, known: KnownEntry, ids: Ids) -> PlantMemory:
    same = ("text", "importance", "certainty", "valence", "truth", "at")
    return PlantMemory(
        character_id=who, about_ids=[ids.of("characters", key) for key in known.about], fact_id=fact,
        tellers=[ids.of("characters", key) for key in known.tellers], kind="told" if known.tellers else "knows",
        place_id=ids.maybe("places", known.place), is_secret=known.secret,
        **{name: getattr(known, name) for name in same},
    )  # fmt: skip


async def read_minds(snapshot: Snapshot) -> list[Item]:
    """How far each character has thought things over. What it knows stands with its memories."""
    rows = await snapshot.connection.fetch(
        "SELECT id, unreflected, reflected_at FROM minds WHERE world_id = $1", snapshot.world_id
    )
    return [
        Item(
            snapshot.keys.of("characters", row["id"]),
            KnowsFields(
                mind=MindEntry(unreflected=row["unreflected"], reflected_at=row["reflected_at"])
            ),
        )
        for row in rows
    ]  # fmt: skip


# `memories/*.yaml`.

Anybody = Annotated[str, Ref("characters", or_id=True)]


class ClaimEntry(PackModel):
    """What is claimed to have happened; see `commands.Claim`."""

    deed: Deed
    who: Anybody
    whom: Anybody
    degree: Degree = 2
    was: Degree | None = None
    quality: Signed = 0.0
    topic: Words | None = None
    accepted: bool | None = None
    place: Words | None = None


class MemoryEntry(PackModel):
    """A memory. Characters who are gone are named by their ids."""

    character: Who
    at: WorldMs
    kind: MemoryKind = "knows"
    text: MemoryText
    subject: Anybody | None = None
    about: list[Anybody] = Field([], max_length=MOST_ABOUT)
    place: Annotated[str, Ref("places")] | None = None
    importance: Share = 0.5
    certainty: Share = 1.0
    valence: Signed = 0.0
    secret: bool = False
    tellers: list[Anybody] = Field([], max_length=64)
    heard_from: list[Anybody] | None = Field(None, max_length=MOST_HEARD)
    fact: UUID
    claim: ClaimEntry | None = None
    truth: MemoryText | None = None
    evidence: list[UUID] = Field(
        [], max_length=200, description="Ids of the memories that a reflection was drawn from."
    )


def memory_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """As few commands as hold all memories of each character."""
    by_character: dict[UUID, list[MemoryValue]] = {}
    seen: set[tuple[str, UUID]] = set()
    for item in items:
        entry: MemoryEntry = item.value
        for path, message in _mistakes(entry, ids):
            ids.mistake(item, path, message)
        if (entry.character, entry.fact) in seen:
            ids.mistake(item, "fact", f"{entry.character!r} remembers this fact already: keep one")
        seen.add((entry.character, entry.fact))
        if not ids.mistakes:
            by_character.setdefault(ids.of("characters", entry.character), []).append(_value(entry, ids))
    if ids.mistakes:
        return []
    return [
        RestoreMemories(character_id=who, memories=group)
        for who, values in by_character.items()
        for group in chunks(values, MOST_RESTORED)
    ]


def _mistakes(entry: MemoryEntry, ids: Ids) -> Iterator[tuple[str, str]]:
    """What does not fit together in a memory: the field, and what to do."""
    if entry.kind == "told" and not entry.tellers:
        yield "kind", "who is told something has tellers: name them, or choose another kind"
    if entry.tellers and entry.kind != "told":
        yield "tellers", "only what is told has tellers: write `kind: told`"
    if entry.character in entry.tellers or len(set(entry.tellers)) < len(entry.tellers):
        yield "tellers", "name each teller once, and not the character itself"
    if (entry.kind == "reflection") != bool(entry.evidence):
        yield "evidence", "a reflection has evidence, and nothing else has"
    if entry.kind == "reflection" and entry.subject is None:
        yield "kind", "a reflection is about somebody: name its `subject`"
    if entry.at > ids.now:
        yield "at", f"the world begins at {ids.now}: give an earlier time"


def _value(entry: MemoryEntry, ids: Ids) -> MemoryValue:
    def all_of(keys: Sequence[str]) -> list[UUID]:
        return [ids.of("characters", key) for key in keys]

    claim = None
    if entry.claim is not None:
        claim = entry.claim.model_dump(mode="json")
        claim |= {side: str(ids.of("characters", claim[side])) for side in ("who", "whom")}
    return MemoryValue(
        fact_id=entry.fact, kind=entry.kind, text=entry.text, at=entry.at,
        subject_id=ids.maybe("characters", entry.subject), about_ids=all_of(entry.about),
        place_id=ids.maybe("places", entry.place), importance=entry.importance, certainty=entry.certainty,
        valence=entry.valence, secret=entry.secret, tellers=all_of(entry.tellers),
        heard_from=all_of(entry.tellers[-MOST_HEARD:] if entry.heard_from is None else entry.heard_from),
        claim=claim, truth=entry.truth, evidence=entry.evidence,
    )  # fmt: skip


async def read_memories(snapshot: Snapshot) -> list[Item]:
    """The memories of the living by key and time, each character's in a file of its own."""
    rows = await snapshot.connection.fetch(
        f"SELECT {COLUMNS} FROM memories m WHERE m.world_id = $1",  # noqa: S608
        snapshot.world_id,
    )
    keys = snapshot.keys
    states = [state_of(row) for row in rows if keys.has("characters", row["character_id"])]
    items = []
    for state in states:
        key = keys.of("characters", state.character_id)
        usual = state.tellers[-MOST_HEARD:]
        entry = MemoryEntry(
            character=key, at=state.at, kind=state.kind, text=state.text,
            subject=None if state.subject_id is None else keys.of("characters", state.subject_id),
            about=[keys.of("characters", i) for i in state.about],
            place=keys.maybe("places", state.place_id), importance=state.importance, certainty=state.certainty,
            valence=state.valence, secret=state.secret,
            tellers=[keys.of("characters", i) for i in state.tellers],
            heard_from=None
            if state.heard_from == usual
            else [keys.of("characters", i) for i in state.heard_from],
            fact=state.fact_id, claim=_claim(state.claim, snapshot), truth=state.truth,
            evidence=list(state.evidence),
        )  # fmt: skip
        items.append(Item("", entry, key))
    return sorted(items, key=lambda item: (item.value.character, item.value.at, item.value.fact))


def _claim(claim: Mapping[str, Any] | None, snapshot: Snapshot) -> ClaimEntry | None:
    if claim is None:
        return None
    named = {
        side: snapshot.keys.of("characters", UUID(claim[side])) if is_id(claim[side]) else claim[side]
        for side in ("who", "whom")
    }
    return ClaimEntry(**{**claim, **named})


PACK: Final = (
    PackAddition("characters", KnowsFields, known_commands, read_minds),
    PackSection(
        "memories", ("memories.yaml", "memories/*.yaml"), Form.LISTED, MemoryEntry, memory_commands, read_memories,
        top="memories",
    ),
)  # fmt: skip
