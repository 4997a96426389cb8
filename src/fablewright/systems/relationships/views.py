"""What is read of ties."""

from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, Field

from fablewright.systems.relationships.rules import TieState

MOST_NODES: Final = 500
"""Characters in one graph."""
MOST_EDGES: Final = 5_000
"""Ties in one graph."""
MOST_DEPTH: Final = 3

COLUMNS: Final = (
    "source_id, target_id, strength, trust, familiarity, labels, resting_strength, resting_trust, "
    "interaction_count, last_interaction_at"
)


class TieView(BaseModel):
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


def view_of(pair: tuple[UUID, UUID], tie: TieState) -> TieView:
    """A tie of now as it is answered."""
    return TieView.model_construct(
        source_id=pair[0], target_id=pair[1], strength=tie.strength, trust=tie.trust,
        familiarity=tie.familiarity, labels=list(tie.labels), resting_strength=tie.resting_strength,
        resting_trust=tie.resting_trust, interaction_count=tie.interaction_count,
        last_interaction_at=tie.last_interaction_at,
    )  # fmt: skip


class GraphNode(BaseModel):
    """A character near the one asked about."""

    id: UUID
    name: str
    depth: int = Field(description="How many ties away, in either direction.")


class GraphView(BaseModel):
    """The characters around one, and the ties among them."""

    nodes: list[GraphNode]
    ties: list[TieView]
    truncated: bool = Field(
        description=f"True if some were left out: over {MOST_NODES} characters or {MOST_EDGES} ties."
    )


async def list_page(
    connection: Any, world_id: UUID, *, limit: int, source: UUID | None = None, target: UUID | None = None,
    either: UUID | None = None, min_strength: float | None = None, after: tuple[UUID, UUID] | None = None,
) -> list[TieView]:  # fmt: skip
    """Up to `limit` ties by (source, target) after a position; `either` is one end of them."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM ties WHERE world_id = $1 "  # noqa: S608  fixed texts only
        + ("AND source_id = $2 " if source else "AND $2::uuid IS NULL ")
        + ("AND target_id = $3 " if target else "AND $3::uuid IS NULL ")
        + ("AND (source_id = $4 OR target_id = $4) " if either else "AND $4::uuid IS NULL ")
        + ("AND strength >= $5 " if min_strength is not None else "AND $5::float8 IS NULL ")
        + ("AND (source_id, target_id) > ($6, $7) " if after else "AND coalesce($6, $7::uuid) IS NULL ")
        + "ORDER BY source_id, target_id LIMIT $8",
        world_id, source, target, either, min_strength, *(after or (None, None)), limit,
    )  # fmt: skip
    return [TieView.model_construct(**dict(row)) for row in rows]


# PostgreSQL makes the rows of a recursive query as they are asked for, nearest first, so the LIMIT bounds the
# search itself. A character can appear once per depth, hence the factor in `_limit`.
AROUND: Final = """
WITH RECURSIVE reach (id, depth) AS (
    SELECT $2::uuid, 0
    UNION
    SELECT n.id, reach.depth + 1
    FROM reach
    CROSS JOIN LATERAL (
        SELECT target_id AS id FROM ties WHERE world_id = $1 AND source_id = reach.id
        UNION ALL
        SELECT source_id FROM ties WHERE world_id = $1 AND target_id = reach.id
    ) n
    WHERE reach.depth < $3 AND n.id <> $2
), bounded AS (
    SELECT id, depth FROM reach LIMIT $4
)
SELECT c.id, c.name, min(b.depth) AS depth, (SELECT count(*) FROM bounded) AS looked_at
FROM bounded b
JOIN characters c ON c.world_id = $1 AND c.id = b.id AND c.deleted_at IS NULL
GROUP BY c.id, c.name ORDER BY min(b.depth), c.id
"""


async def graph(connection: Any, world_id: UUID, character_id: UUID, depth: int) -> GraphView | None:
    """Who is within `depth` ties of a character, and the ties among them; None if it is unknown."""
    limit = (MOST_NODES + 1) * (depth + 1)
    columns = ("id", "name", "depth")
    rows = await connection.fetch(AROUND, world_id, character_id, depth, limit)
    if not rows or rows[0]["id"] != character_id:
        return None
    nodes = [GraphNode.model_construct(**{c: row[c] for c in columns}) for row in rows[:MOST_NODES]]
    ties = await connection.fetch(
        f"SELECT {COLUMNS} FROM ties WHERE world_id = $1 AND source_id = ANY($2::uuid[]) "  # noqa: S608
        f"AND target_id = ANY($2::uuid[]) ORDER BY source_id, target_id LIMIT {MOST_EDGES + 1}",
        world_id,
        [node.id for node in nodes],
    )
    truncated = len(rows) > MOST_NODES or rows[0]["looked_at"] >= limit or len(ties) > MOST_EDGES
    return GraphView.model_construct(
        nodes=nodes, ties=[TieView.model_construct(**dict(t)) for t in ties[:MOST_EDGES]], truncated=truncated
    )
