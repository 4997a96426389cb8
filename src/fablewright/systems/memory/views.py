"""What is read of memories."""

from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.messages import View
from fablewright.systems.memory.rules import MemoryState

COLUMNS: Final = (
    "m.id, m.character_id, m.fact_id, m.kind, m.text, m.subject_id, m.about, m.place_id, m.at, m.importance, "
    "m.certainty, m.valence, m.secret, m.tellers, m.claim::text AS claim, m.truth, m.event_id, m.evidence, "
    "m.heard_from"
)
"""The columns of a memory, in the order of the fields of `MemoryState`."""


def state_of(row: Any) -> MemoryState:
    """A memory from a row that begins with `COLUMNS`. Unpacked at once: scenes read thousands of them."""
    (id_, character_id, fact_id, kind, text, subject_id, about, place_id, at, importance, certainty, valence,
     secret, tellers, claim, truth, event_id, evidence, heard_from, *_) = row  # fmt: skip
    return MemoryState(
        id_, character_id, fact_id, kind, text, subject_id, tuple(about), place_id, at, importance, certainty,
        valence, secret, tuple(tellers), None if claim is None else orjson.loads(claim), truth, event_id,
        tuple(evidence), tuple(heard_from),
    )  # fmt: skip


class MemoryView(View):
    """Something a character remembers. Only game masters are shown whether it is true."""

    id: UUID
    character_id: UUID
    fact_id: UUID = Field(description="The piece of knowledge: all who know of it share this id.")
    kind: str = Field(description="did, saw, told, knows or reflection.")
    text: str
    subject_id: UUID | None = Field(description="Whom it is about first of all.")
    about: list[UUID]
    place_id: UUID | None
    at: int = Field(description="World time (ms) when it happened or was learned.")
    importance: float = Field(description="0 to 1.")
    certainty: float = Field(description="0 to 1: how sure the character is.")
    valence: float = Field(description="-1 to 1: how good it is for whom it is about.")
    secret: bool
    tellers: list[UUID] = Field(description="Through whom it came, first one first; empty for firsthand.")
    claim: dict[str, Any] | None = Field(description="What is claimed to have happened, if it is a deed.")
    event_id: UUID | None = Field(description="The event that it is of, or by which it was learned.")
    evidence: list[UUID] = Field(description="The memories that a reflection was drawn from.")


class ScoreView(View):
    """Why a memory came to mind: the total comes of the three parts, each 0 to 1."""

    recency: float
    importance: float
    relevance: float
    total: float


class RecalledView(View):
    """A memory that came to mind."""

    memory: MemoryView
    score: ScoreView


class RecallView(View):
    """What came to mind, best first."""

    items: list[RecalledView]


class PersonView(View):
    """A character by name; the name is null if there is none such any more."""

    id: UUID
    name: str | None


class VersionView(View):
    """What one of the tellers knows of the same fact by now, unless it has forgotten."""

    teller: PersonView
    memory: MemoryView | None


class ProvenanceView(View):
    """A memory, where it came from, and whether it is so.

    `accurate`, `truth` and the tellers' `versions` are for game masters, and null or empty for others.
    """

    memory: MemoryView
    owner: PersonView
    subject: PersonView | None
    about: list[PersonView]
    chain: list[PersonView] = Field(description="The tellers by name, first one first.")
    heard_from: PersonView | None = Field(description="From whom the character itself has it.")
    accurate: bool | None = Field(description="Whether it is so.")
    truth: str | None = Field(description="What really is, if the memory is wrong.")
    versions: list[VersionView] = Field(
        description="What each teller makes of it by now, in the chain's order."
    )
    evidence: list[MemoryView] = Field(description="What a reflection was drawn from, as far as remembered.")


def view_of(state: MemoryState) -> MemoryView:
    """A memory as it is answered. Whether it is true is not in it, nor in its claim."""
    claim = None if state.claim is None else {k: v for k, v in state.claim.items() if k != "was"}
    return MemoryView.model_construct(
        id=state.id, character_id=state.character_id, fact_id=state.fact_id, kind=state.kind, text=state.text,
        subject_id=state.subject_id, about=list(state.about), place_id=state.place_id, at=state.at,
        importance=state.importance, certainty=state.certainty, valence=state.valence, secret=state.secret,
        tellers=list(state.tellers), claim=claim, event_id=state.event_id, evidence=list(state.evidence),
    )  # fmt: skip


# Membership, who controls the character, and the world's clock, in one statement.
ACCESS: Final = """
SELECT m.role, c.id, c.name, c.user_id, w.anchor_world_ms, w.anchor_real_ms, w.rate, w.paused,
       w.advance_id IS NOT NULL AS advancing, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms
FROM world_members m
JOIN worlds w ON w.id = m.world_id
LEFT JOIN characters c ON c.world_id = m.world_id AND c.deleted_at IS NULL AND c.id = {character}
WHERE m.world_id = $1 AND m.user_id = $2
"""
ACCESS_TO_CHARACTER: Final = ACCESS.format(character="$3")
ACCESS_TO_MEMORY: Final = ACCESS.format(
    character="(SELECT character_id FROM memories WHERE world_id = $1 AND id = $3)"
)
BY_ID: Final = f"SELECT {COLUMNS} FROM memories m WHERE m.world_id = $1 AND m.id = ANY($2::uuid[])"  # noqa: S608
OF_FACT: Final = (
    f"SELECT {COLUMNS} FROM memories m "  # noqa: S608
    "WHERE m.world_id = $1 AND m.fact_id = $2 AND m.character_id = ANY($3::uuid[])"
)


async def provenance(
    connection: Any, world_id: UUID, memory_id: UUID, *, behind_the_scenes: bool
) -> ProvenanceView | None:
    """Where a memory came from; `behind_the_scenes` says also whether it is so. None if there is none such."""
    rows = await connection.fetch(BY_ID, world_id, [memory_id])
    if not rows:
        return None
    state = state_of(rows[0])
    evidence = [state_of(row) for row in await connection.fetch(BY_ID, world_id, list(state.evidence))]
    versions: dict[UUID, MemoryState] = {}
    if behind_the_scenes and state.tellers:
        found = await connection.fetch(OF_FACT, world_id, state.fact_id, list(state.tellers))
        versions = {row["character_id"]: state_of(row) for row in found}
    wanted = {state.character_id, *state.about, *state.tellers}
    if state.subject_id is not None:
        wanted.add(state.subject_id)
    names = await connection.fetch(
        "SELECT id, name FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[])",
        world_id,
        sorted(wanted),
    )
    named = {row["id"]: row["name"] for row in names}

    def person(identifier: UUID) -> PersonView:
        return PersonView(id=identifier, name=named.get(identifier))

    return ProvenanceView(
        memory=view_of(state), owner=person(state.character_id),
        subject=None if state.subject_id is None else person(state.subject_id),
        about=[person(i) for i in state.about], chain=[person(i) for i in state.tellers],
        heard_from=person(state.tellers[-1]) if state.tellers else None,
        accurate=state.truth is None if behind_the_scenes else None,
        truth=state.truth if behind_the_scenes else None,
        versions=[
            VersionView(teller=person(i), memory=view_of(versions[i]) if i in versions else None)
            for i in state.tellers
        ] if behind_the_scenes else [],
        evidence=[view_of(s) for s in sorted(evidence, key=lambda s: (s.at, s.id))],
    )  # fmt: skip
