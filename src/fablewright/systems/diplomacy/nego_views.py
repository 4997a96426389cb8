"""What is read of negotiations."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.messages import View
from fablewright.systems.diplomacy.clauses import AnyClause
from fablewright.systems.diplomacy.evaluator import Evaluation
from fablewright.systems.diplomacy.nego_events import PartOfUtility


class OfferView(View):
    """An offer: its clauses, who made it, who has agreed, and how it ended."""

    id: UUID
    number: int
    faction_id: UUID
    by_id: UUID | None
    at: int
    clauses: list[dict[str, Any]]
    days: int | None
    state: str
    accepted_by: list[UUID]
    ended_at: int | None
    ended_by_id: UUID | None


class PartyView(View):
    """A faction at the table."""

    faction_id: UUID
    name: str
    self_run: bool


class NegotiationView(View):
    """Talks between factions. Those who are not at the table see no offers."""

    id: UUID
    kind: str
    topic: str
    secret: bool
    state: str
    opened_at: int
    opened_by_id: UUID | None
    deadline_at: int
    about_id: UUID | None
    ended_at: int | None
    ended_by_id: UUID | None
    ended_reason: str
    treaty_id: UUID | None
    parties: list[PartyView]
    offers: list[OfferView] = []


class EvaluationView(View):
    """What a faction makes of the offer that stands, and why. With `counter`, what it would answer."""

    faction_id: UUID
    number: int
    utility: float
    verdict: str
    reasons: list[str]
    parts: list[PartOfUtility]
    counter: list[dict[str, Any]]


class Made(View):
    """What a command about a negotiation came to: its state, the offer that stands, the treaty, if any."""

    id: UUID
    state: str
    offer: int | None = None
    verdict: str | None = None
    lean: float | None = None
    treaty_id: UUID | None = None


def clauses_json(offer: Sequence[AnyClause]) -> list[dict[str, Any]]:
    """Clauses as they are stored and told."""
    return [clause.model_dump(mode="json") for clause in offer]


def parts_told(found: Evaluation) -> list[PartOfUtility]:
    """The parts of an evaluation as they are told."""
    return [PartOfUtility(what=p.what, amount=p.amount, reason=p.reason) for p in found.parts]


def evaluation_view(faction_id: UUID, number: int, found: Evaluation) -> EvaluationView:
    """An evaluation as it is shown."""
    return EvaluationView(
        faction_id=faction_id, number=number, utility=found.utility, verdict=found.verdict,
        reasons=list(found.reasons), parts=parts_told(found), counter=clauses_json(found.counter),
    )  # fmt: skip


SESSION: Final = (
    "n.id, n.kind, n.topic, n.secret, n.state, n.opened_at, n.opened_by_id, n.deadline_at, n.about_id, n.ended_at, "
    "n.ended_by_id, n.ended_reason, n.treaty_id"
)
# $3 are the factions that the reader stands for; null for one who sees all.
LIST: Final = f"""
SELECT {SESSION}, p.parties FROM negotiations n CROSS JOIN LATERAL (
    SELECT array_agg(p.faction_id ORDER BY p.faction_id) AS ids,
           jsonb_agg(jsonb_build_object('faction_id', f.id, 'name', f.name, 'self_run', f.self_run)
                     ORDER BY f.id)::text AS parties
    FROM negotiation_parties p JOIN factions f ON f.world_id = p.world_id AND f.id = p.faction_id
    WHERE p.world_id = n.world_id AND p.negotiation_id = n.id
) p
WHERE n.world_id = $1 AND ($2::uuid IS NULL OR n.id = $2)
  AND ($3::uuid[] IS NULL OR NOT n.secret OR p.ids && $3)
  AND ($4::text IS NULL OR n.state = $4) AND ($5::uuid IS NULL OR $5 = ANY (p.ids))
  AND ($6::uuid IS NULL OR n.id < $6)
ORDER BY n.id DESC LIMIT $7
"""  # noqa: S608  fixed texts only
OFFERS: Final = """
SELECT id, number, from_id AS faction_id, by_id, at, clauses::text AS clauses, days, state,
       ARRAY(SELECT jsonb_object_keys(accepted)::uuid) AS accepted_by, ended_at, ended_by_id
FROM negotiation_offers WHERE world_id = $1 AND negotiation_id = $2 ORDER BY number
"""


async def listed(
    connection: Any, world_id: UUID, stands_for: Collection[UUID] | None, *, state: str | None = None,
    faction_id: UUID | None = None, before: UUID | None = None, limit: int = 50,
) -> list[NegotiationView]:  # fmt: skip
    """Negotiations, the newest first, without offers; `stands_for` None sees the secret ones of all."""
    own = None if stands_for is None else list(stands_for)
    rows = await connection.fetch(LIST, world_id, None, own, state, faction_id, before, limit)
    return [_view(row) for row in rows]


async def negotiation(
    connection: Any, world_id: UUID, negotiation_id: UUID, stands_for: Collection[UUID] | None
) -> NegotiationView | None:
    """One negotiation, with its offers for those at the table; None if there is none that the reader may see."""
    own = None if stands_for is None else list(stands_for)
    row = await connection.fetchrow(LIST, world_id, negotiation_id, own, None, None, None, 1)
    if row is None:
        return None
    found = _view(row)
    if stands_for is None or {p.faction_id for p in found.parties} & set(stands_for):
        found.offers = [_offer(offer) for offer in await connection.fetch(OFFERS, world_id, negotiation_id)]
    return found


def _view(row: Any) -> NegotiationView:
    return NegotiationView(**{**dict(row), "parties": orjson.loads(row["parties"])})


def _offer(row: Any) -> OfferView:
    return OfferView(**{**dict(row), "clauses": orjson.loads(row["clauses"])})


async def leans(connection: Any, world_id: UUID, negotiation_id: UUID) -> dict[UUID, float]:
    """What the talks have brought, by faction at the table."""
    rows = await connection.fetch(
        "SELECT faction_id, lean FROM negotiation_parties WHERE world_id = $1 AND negotiation_id = $2",
        world_id, negotiation_id,
    )  # fmt: skip
    return {row["faction_id"]: row["lean"] for row in rows}
