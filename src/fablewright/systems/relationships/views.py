"""What is read of ties. Values are always those of now: PostgreSQL computes how they have drifted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.messages import View
from fablewright.systems.characters.rules import Traits
from fablewright.systems.characters.views import CLOCK, TRAITS, world_now
from fablewright.systems.relationships import rules
from fablewright.systems.relationships.rules import Compatibility, Reason, TieState


class TieView(View):
    """How one character feels about another, at the time of the answer."""

    source_id: UUID
    target_id: UUID
    strength: float = Field(description="-1 (hate) to 1 (love).")
    trust: float = Field(description="0 to 1.")
    familiarity: float = Field(description="How well the source knows the target, 0 to 1.")
    labels: list[str] = Field(description="Such as friend, rival, kin.")
    resting_strength: float = Field(description="To where the strength drifts.")
    resting_trust: float = Field(description="To where the trust drifts.")
    interaction_count: int
    last_interaction_at: int | None = Field(description="World time in ms; null if they never met.")


class ReasonView(View):
    """Why a tie changed."""

    at: int = Field(description="World time in ms.")
    why: str
    strength: float = Field(description="By how much the strength changed.")
    trust: float = Field(description="By how much the trust changed.")
    text: str = Field(description="Both in words, such as `+0.12 helped at the mill`.")
    event_id: UUID | None = Field(description="The event that tells of it.")


class CompatibilityPart(View):
    """One of the numbers that a compatibility is the sum of."""

    name: str
    value: float


class CompatibilityView(View):
    """How well two personalities suit each other, whatever they have been through."""

    score: float = Field(description="-1 to 1; about 0 for two drawn at random.")
    parts: list[CompatibilityPart]


class TieDetail(TieView):
    """How one character feels about another, and why."""

    source_name: str
    target_name: str
    reasons: list[ReasonView] = Field(description="The last changes, newest last.")
    compatibility: CompatibilityView


# -- the graph -----------------------------------------------------------------------------------------------

MOST_AROUND: Final = 500
"""Characters in the surroundings of one."""
MOST_TIES_AROUND: Final = 5_000

Measure = Literal["degree", "popularity", "pagerank", "betweenness"]


class GraphNode(View):
    """A character of the graph."""

    id: UUID
    name: str
    depth: int | None = Field(
        None, description="How many ties away from the one asked about, in either direction."
    )


class GraphTie(View):
    """How one character of the graph feels about another, now."""

    source_id: UUID
    target_id: UUID
    strength: float
    trust: float
    familiarity: float
    labels: list[str]


class GraphView(View):
    """Characters, and the ties among them."""

    nodes: list[GraphNode]
    ties: list[GraphTie]
    truncated: bool = Field(
        description=f"True if some were left out: over {MOST_AROUND} characters or {MOST_TIES_AROUND} ties "
        "around one. A whole graph is never cut, but refused."
    )


class Member(View):
    """A character by name."""

    id: UUID
    name: str


class Community(View):
    """Characters who like each other more than those outside."""

    number: int = Field(description="1 for the largest.")
    size: int
    members: list[Member] = Field(description="Those with the warmest ties inside come first.")


class CommunitiesView(View):
    """The communities of the graph, largest first."""

    modularity: float = Field(
        description="How much warmer it is inside than chance would have it: 0 not at all, from about 0.3 clearly."
    )
    communities: list[Community]


class Central(Member):
    """A character and how central it is."""

    score: float


class CentralityView(View):
    """The most central characters first."""

    measure: Measure
    strongest_only: int | None = Field(
        description="In a large graph, betweenness takes only so many of each one's strongest ties."
    )
    characters: list[Central]


class Step(View):
    """One tie of a path."""

    source_id: UUID
    source_name: str
    target_id: UUID
    target_name: str
    trust: float
    strength: float


class PathView(View):
    """The chain of characters along which most trust is left."""

    trust: float = Field(description="The product of the trust of all its ties, 0 to 1.")
    steps: list[Step]


# -- values as they are answered -----------------------------------------------------------------------------


def view_of(pair: tuple[UUID, UUID], tie: TieState) -> TieView:
    """A tie of now as it is answered."""
    return TieView.model_construct(
        source_id=pair[0], target_id=pair[1], strength=tie.strength, trust=tie.trust,
        familiarity=tie.familiarity, labels=list(tie.labels), resting_strength=tie.resting_strength,
        resting_trust=tie.resting_trust, interaction_count=tie.interaction_count,
        last_interaction_at=tie.last_interaction_at,
    )  # fmt: skip


def compatibility_view(found: Compatibility) -> CompatibilityView:
    """A compatibility as it is answered."""
    return CompatibilityView(
        score=found.score, parts=[CompatibilityPart(name=name, value=value) for name, value in found.parts]
    )


# -- ties as they are now, in SQL ----------------------------------------------------------------------------

COLUMNS: Final = (
    "source_id, target_id, strength, trust, familiarity, labels, resting_strength, resting_trust, "
    "interaction_count, last_interaction_at"
)


def drifted(value: str, rest: str, half_life_ms: int, now: str) -> str:
    """`rules.drifted` in SQL: of a column, towards another, at the world time that stands in `now`."""
    half_lives = f"least({rules.MOST_HALF_LIVES}, ({now}::bigint - felt_at)::float8 / {half_life_ms})"
    return (
        f"CASE WHEN {now}::bigint <= felt_at OR abs({value} - {rest}) < {rules.STILL} THEN {value} "
        f"ELSE {rest} + ({value} - {rest}) * power(2.0::float8, -{half_lives}) END"
    )


def current(now: str, more: str = "") -> str:
    """A subquery of the ties with their values at the world time that stands in `now`, such as `$2`."""
    strength = drifted("strength", "resting_strength", rules.STRENGTH_HALF_LIFE_MS, now)
    trust = drifted("trust", "resting_trust", rules.TRUST_HALF_LIFE_MS, now)
    familiarity = drifted("familiarity", "0::float8", rules.FAMILIARITY_HALF_LIFE_MS, now)
    return (
        f"(SELECT world_id, source_id, target_id, {strength} AS strength, {trust} AS trust, "  # noqa: S608
        f"{familiarity} AS familiarity, labels, resting_strength, resting_trust, interaction_count, "
        f"last_interaction_at{more} FROM ties)"
    )


@dataclass(frozen=True, slots=True)
class TieFilter:
    """Which ties are wanted, by their values now; None asks for nothing."""

    min_strength: float | None = None
    max_strength: float | None = None
    min_trust: float | None = None
    max_trust: float | None = None
    label: str | None = None

    def where(self, first: int) -> tuple[str, list[Any]]:
        """SQL conditions, each after an AND, and the values of their parameters from `$first` on."""
        wanted = (
            ("strength >= {}", self.min_strength), ("strength <= {}", self.max_strength),
            ("trust >= {}", self.min_trust), ("trust <= {}", self.max_trust),
            ("labels @> ARRAY[{}::text]", self.label),
        )  # fmt: skip
        given = [(text, value) for text, value in wanted if value is not None]
        text = "".join(f" AND {text.format(f'${first + n}')}" for n, (text, _) in enumerate(given))
        return text, [value for _, value in given]


EVERYTHING: Final = TieFilter()


async def now_of(connection: Any, world_id: UUID) -> int:
    """The world time (ms) of a world that exists."""
    return world_now(await connection.fetchrow(CLOCK, world_id))


async def list_page(
    connection: Any, world_id: UUID, *, limit: int, source: UUID | None = None, target: UUID | None = None,
    either: UUID | None = None, wanted: TieFilter = EVERYTHING, after: tuple[UUID, UUID] | None = None,
) -> list[TieView]:  # fmt: skip
    """Up to `limit` ties by (source, target) after a position; `either` is one end of them."""
    now = await now_of(connection, world_id)
    conditions, values = wanted.where(9)
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM {current('$2')} t WHERE world_id = $1 "  # noqa: S608  fixed texts only
        + ("AND source_id = $3 " if source else "AND $3::uuid IS NULL ")
        + ("AND target_id = $4 " if target else "AND $4::uuid IS NULL ")
        + ("AND (source_id = $5 OR target_id = $5) " if either else "AND $5::uuid IS NULL ")
        + ("AND (source_id, target_id) > ($6, $7)" if after else "AND coalesce($6, $7::uuid) IS NULL")
        + f"{conditions} ORDER BY source_id, target_id LIMIT $8",
        world_id, now, source, target, either, *(after or (None, None)), limit, *values,
    )  # fmt: skip
    return [TieView.model_construct(**dict(row)) for row in rows]


# Of two characters: their names, their personalities, and the tie if there is one.
TWO: Final = f"""
SELECT s.name AS source_name, o.name AS target_name, t.*,
       {", ".join(f"s.{trait} AS source_{trait}, o.{trait} AS target_{trait}" for trait in TRAITS)}
FROM characters s
JOIN characters o ON o.world_id = s.world_id AND o.id = $4 AND o.deleted_at IS NULL
LEFT JOIN {current("$2", ", reasons::text AS reasons")} t
  ON t.world_id = s.world_id AND t.source_id = s.id AND t.target_id = o.id
WHERE s.world_id = $1 AND s.id = $3 AND s.deleted_at IS NULL
"""  # noqa: S608  fixed texts only


async def detail(connection: Any, world_id: UUID, pair: tuple[UUID, UUID]) -> TieDetail:
    """One tie with its reasons. Refuses `same_character`, `character_not_found`, `tie_not_found`."""
    row = await _two(connection, world_id, pair)
    if row["source_id"] is None:
        raise rules.TIE_NOT_FOUND(source_id=str(pair[0]), target_id=str(pair[1]))
    return TieDetail(
        **{column.strip(): row[column.strip()] for column in COLUMNS.split(",")},
        source_name=row["source_name"], target_name=row["target_name"],
        reasons=[reason_view(reason) for reason in reasons_of(row["reasons"])],
        compatibility=compatibility_view(_compatibility(row)),
    )  # fmt: skip


async def compatibility(connection: Any, world_id: UUID, pair: tuple[UUID, UUID]) -> CompatibilityView:
    """How well two characters suit each other. Refuses `same_character`, `character_not_found`."""
    return compatibility_view(_compatibility(await _two(connection, world_id, pair)))


async def _two(connection: Any, world_id: UUID, pair: tuple[UUID, UUID]) -> Mapping[str, Any]:
    if pair[0] == pair[1]:
        raise rules.SAME_CHARACTER()
    row: Mapping[str, Any] | None = await connection.fetchrow(
        TWO, world_id, await now_of(connection, world_id), *pair
    )
    if row is None:
        raise rules.TIE_CHARACTER_NOT_FOUND()
    return row


def _compatibility(row: Mapping[str, Any]) -> Compatibility:
    return rules.compatibility(
        Traits(*(row[f"source_{trait}"] for trait in TRAITS)),
        Traits(*(row[f"target_{trait}"] for trait in TRAITS)),
    )


def reasons_of(text: str) -> tuple[Reason, ...]:
    """Reasons from the JSON in which they are stored."""
    return tuple(
        Reason(r["at"], r["why"], r["strength"], r["trust"], UUID(r["event"]) if r["event"] else None)
        for r in orjson.loads(text)
    )


def reason_view(reason: Reason) -> ReasonView:
    """A reason as it is answered."""
    return ReasonView(
        at=reason.at, why=reason.why, strength=reason.strength, trust=reason.trust, text=reason.text(),
        event_id=reason.event_id,
    )  # fmt: skip
