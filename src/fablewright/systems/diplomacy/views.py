"""What is read of relations between factions. Values are always those of now."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.log import Filter, head_of
from fablewright.core.messages import View
from fablewright.systems.characters.views import CLOCK, world_now
from fablewright.systems.diplomacy.events import Knowing
from fablewright.systems.diplomacy.relations import (
    Book,
    Part,
    opinion_parts,
)
from fablewright.systems.diplomacy.rules import (
    MOVES,
    RELATION_FACTION_NOT_FOUND,
    DeedKind,
    Status,
    warmth,
)


class PartView(View):
    """One of the numbers that an opinion is the sum of."""

    key: str
    amount: float
    reason: str
    text: str = Field(description="Both in words, such as `+20 shared enemy`.")
    at: int | None = Field(description="World time (ms) of the last change; null for the part `limit`.")
    event_id: UUID | None = Field(description="The event that tells of it.")
    half_life_days: float | None = Field(description="World days in which half of it fades; null for never.")


class FeelingView(View):
    """What one faction thinks of another."""

    holder_id: UUID
    about_id: UUID
    opinion: float = Field(description="-100 to 100: the sum of the parts.")
    parts: list[PartView] = Field(description="Heaviest first.")
    trust: float = Field(description="0 to 1.")


class MoveView(View):
    """What two factions may become to each other next."""

    status: Status
    meaning: str
    from_ms: int | None = Field(
        description="World time (ms) before which a truce forbids it; null for at once."
    )


class RelationView(View):
    """All that stands between two factions, at the time of the answer."""

    a_id: UUID
    b_id: UUID
    status: Status
    status_since: int = Field(description="World time in ms.")
    truce_until: int | None = Field(description="World time (ms) before which neither may go to war.")
    tension: float = Field(description="0 to 100.")
    warmth: float = Field(description="The mean of both opinions less half the tension, -150 to 100.")
    feelings: list[FeelingView] = Field(
        description="Of the first about the second, then the other way round."
    )
    moves: list[MoveView]


class MatrixFaction(View):
    """A faction of the matrix."""

    id: UUID
    name: str
    color: str


class MatrixEntry(View):
    """What stands between two factions, in short."""

    low_id: UUID
    high_id: UUID
    status: Status
    tension: float = Field(description="Rounded to hundredths; the relation of the two has it whole.")
    opinion: float = Field(description="What the first thinks of the second, to hundredths.")
    opinion_back: float = Field(description="What the second thinks of the first, to hundredths.")
    trust: float = Field(description="How far the first trusts the second, to thousandths.")
    trust_back: float = Field(description="How far the second trusts the first, to thousandths.")
    truce_until: int | None


class MatrixView(View):
    """All relations of a world. A pair that is not in it is neutral, without tension or opinions."""

    at: int = Field(
        description="World time (ms) of these values: at most a world minute ago, if nothing has changed since."
    )
    factions: list[MatrixFaction] = Field(description="Those that were not dissolved, by name.")
    relations: list[MatrixEntry]


# -- a pair --------------------------------------------------------------------------------------------------


def relation_view(book: Book, a: UUID, b: UUID, *, sees: "Sees") -> RelationView:
    """What stands between two factions of a book, as a reader may see it."""
    relation = book.relation(a, b)
    feelings = [_feeling(book, a, b, sees), _feeling(book, b, a, sees)]
    tension = book.tension(a, b)
    held = relation.truce_until if relation.truce_holds(book.now) else None
    return RelationView(
        a_id=a, b_id=b, status=relation.status, status_since=relation.status_since,
        truce_until=relation.truce_until, tension=tension,
        warmth=warmth(feelings[0].opinion, feelings[1].opinion, tension), feelings=feelings,
        moves=[
            MoveView(status=status, meaning=meaning, from_ms=held if status == "war" else None)
            for status, meaning in MOVES[relation.status].items()
        ],
    )  # fmt: skip


class Sees:
    """What a reader may see: everything (None), or what is not secret and what concerns its own factions."""

    def __init__(self, own: Iterable[UUID] | None):
        self.own = None if own is None else frozenset(own)

    def of(self, a: UUID, b: UUID) -> bool:
        """Whether it sees what is secret between the two."""
        return self.own is None or a in self.own or b in self.own


EVERYTHING: Final = Sees(None)


def _feeling(book: Book, holder: UUID, about: UUID, sees: Sees) -> FeelingView:
    all_ = sees.of(holder, about)
    modifiers = book.feelings[holder, about].modifiers.values()
    opinion, parts = opinion_parts((m for m in modifiers if all_ or not m.secret), book.now)
    known = book.known(holder, about)
    return FeelingView(
        holder_id=holder, about_id=about, opinion=opinion, parts=[_part(p) for p in parts],
        trust=known.trust if all_ else known.trust_shown,
    )  # fmt: skip


def _part(part: Part) -> PartView:
    return PartView(
        key=part.key, amount=part.amount, reason=part.reason, text=part.text(), at=part.at,
        event_id=part.event_id, half_life_days=part.half_life_days,
    )  # fmt: skip


async def check_factions(connection: Any, world_id: UUID, *faction_ids: UUID) -> None:
    """Refuses `faction_not_found` unless the world has, or had, all of these factions."""
    rows = await connection.fetch(
        "SELECT id FROM factions WHERE world_id = $1 AND id = ANY($2::uuid[])", world_id, list(faction_ids)
    )
    for missing in set(faction_ids) - {row["id"] for row in rows}:
        raise RELATION_FACTION_NOT_FOUND(faction_id=str(missing))


async def now_of(connection: Any, world_id: UUID) -> int:
    """The world time (ms) of a world that exists."""
    return world_now(await connection.fetchrow(CLOCK, world_id))


# -- timelines -----------------------------------------------------------------------------------------------


class Moment(View):
    """Something that happened between two factions."""

    seq: int
    id: UUID
    type: str
    at: int = Field(description="World time in ms.")
    actor: str
    causation_id: UUID
    data: dict[str, Any]


class TimelineView(View):
    """What happened between two factions, newest first."""

    items: list[Moment]
    next_before: int | None = Field(
        description="Send it as `before` for what was earlier; null if that is all."
    )


MOST_LOOKED_THROUGH: Final = 200_000
"""Positions of the log that one request looks through for what happened between two factions."""


async def timeline(
    connection: Any, world_id: UUID, about: Sequence[UUID], wanted: Filter, before: int | None, limit: int
) -> TimelineView:
    """Events about all of these, newest first, that the filter lets through."""
    end = await head_of(connection, world_id) + 1 if before is None else before
    start = max(0, end - MOST_LOOKED_THROUGH)
    condition, values = wanted.where(6)
    rows = await connection.fetch(
        "SELECT seq, id, type, at, actor, causation_id, data::text AS data FROM events "  # noqa: S608
        f"WHERE world_id = $1 AND seq >= $2 AND seq < $3 AND about @> $4::uuid[]{condition} "
        "ORDER BY seq DESC LIMIT $5",
        world_id, start, end, list(about), limit, *values,
    )  # fmt: skip
    items = [Moment(**{**dict(row), "data": orjson.loads(row["data"])}) for row in rows]
    if len(items) == limit:
        return TimelineView(items=items, next_before=items[-1].seq)
    return TimelineView(items=items, next_before=start if start > 1 else None)


# -- deeds ---------------------------------------------------------------------------------------------------


class KnownView(View):
    """That a faction knows of a deed, and what it makes of it."""

    faction_id: UUID
    how: Knowing = Field(
        description="`party` to it, `saw` it, was `told` by the victim's envoys, or `heard` a rumour."
    )
    certainty: float = Field(description="0 to 1.")
    character_id: UUID | None = Field(description="The one of its people that saw or heard of it.")
    tellers: list[UUID] = Field(description="The characters by whom it came, first teller first.")
    opinion: float = Field(description="What it has cost the doer in the faction's eyes, 0 or below.")
    event_id: UUID
    at: int = Field(description="World time (ms) of what it learned last.")


class DeedView(View):
    """What a faction did that others judge it by."""

    id: UUID = Field(description="Also the `fact_id` of memories of it.")
    kind: DeedKind
    doer_id: UUID
    victim_ids: list[UUID]
    words: str
    gravity: float = Field(description="How much a friend of the victims minds, 0 to 100.")
    reference_id: UUID = Field(description="The treaty or war it belongs to.")
    region_id: UUID | None = Field(description="Where it happened, if that is known.")
    secret: bool
    event_id: UUID
    at: int = Field(description="World time in ms.")
    known_by: list[KnownView] = Field(description="Who else knows of it, as far as you may see that.")


DEEDS: Final = """
SELECT d.id, d.kind, d.doer_id, d.victim_ids, d.words, d.gravity, d.reference_id, d.region_id, d.secret, d.event_id,
       d.at
FROM deeds d
WHERE d.world_id = $1 AND ($2::uuid IS NULL OR d.id = $2) AND ($3::uuid IS NULL OR d.doer_id = $3)
  AND ($4::uuid IS NULL OR d.id < $4)
  AND (NOT d.secret OR $5::uuid[] IS NULL OR d.party_ids && $5)
ORDER BY d.id DESC LIMIT $6
"""
KNOWN_BY: Final = """
SELECT k.deed_id, k.faction_id, k.how, k.certainty, k.character_id, k.tellers, k.opinion, k.event_id, k.at
FROM deeds_known k JOIN deeds d ON d.world_id = k.world_id AND d.id = k.deed_id
WHERE k.world_id = $1 AND k.deed_id = ANY($2::uuid[])
  AND (NOT d.secret OR $3::uuid[] IS NULL OR k.faction_id = ANY($3))
ORDER BY k.deed_id, k.faction_id
"""


async def deeds(
    connection: Any, world_id: UUID, sees: Sees, *, deed_id: UUID | None = None, doer_id: UUID | None = None,
    before: UUID | None = None, limit: int = 1,
) -> list[DeedView]:  # fmt: skip
    """Deeds that a reader may know of, newest first, with who knows of them."""
    own = None if sees.own is None else sorted(sees.own)
    rows = await connection.fetch(DEEDS, world_id, deed_id, doer_id, before, own, limit)
    known: dict[UUID, list[KnownView]] = {row["id"]: [] for row in rows}
    for row in await connection.fetch(KNOWN_BY, world_id, list(known), own):
        found = dict(row)
        known[found.pop("deed_id")].append(KnownView(**found))
    return [DeedView(**row, known_by=known[row["id"]]) for row in rows]
