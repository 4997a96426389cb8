"""What comes to mind: recency x importance x relevance, with relevance behind an interface.

It stands in a file of its own because relevance will have other implementations (vectors beside full text).
"""

from dataclasses import dataclass
from heapq import nsmallest
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from fablewright.systems.memory.rules import MemoryState, Score, score, total
from fablewright.systems.memory.views import COLUMNS, state_of

MOST_RECALLED: Final = 100
"""Memories that one recall returns at most."""
CONSIDERED: Final = 300
"""Memories that one recall without words weighs for each reason: as the latest, as the weightiest."""
MATCHES_CONSIDERED: Final = 600
"""Memories that hold words of the question and are weighed, the latest ones if there are more."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """A memory, and why it came to mind."""

    memory: MemoryState
    score: Score


class Candidate(NamedTuple):
    """A memory that may be recalled, and how much it has to do with the question (0..1)."""

    id: UUID
    at: int
    importance: float
    relevance: float


class Relevance(Protocol):
    """Finds what has to do with a question."""

    async def candidates(
        self, connection: Any, world_id: UUID, character_id: UUID, query: str, about: UUID | None
    ) -> list[Candidate] | None:
        """A bounded number of this character's memories that have to do with the question, each once.

        `about` says that only those about a character are wanted. None if the question says nothing, such as
        one of stop words only.
        """


LATEST_AND_WEIGHTIEST: Final = f"""
(SELECT id, at, importance, 1.0::float8 AS relevance FROM memories WHERE world_id = $1 AND character_id = $2
 ORDER BY at DESC, id DESC LIMIT {CONSIDERED})
UNION
(SELECT id, at, importance, 1.0::float8 FROM memories WHERE world_id = $1 AND character_id = $2
 ORDER BY importance DESC, id DESC LIMIT {CONSIDERED})
"""  # noqa: S608
ABOUT: Final = f"""
(SELECT id, at, importance, 1.0::float8 AS relevance FROM memories
 WHERE world_id = $1 AND character_id = $2 AND subject_id = $3 ORDER BY at DESC LIMIT {2 * CONSIDERED})
UNION
SELECT id, at, importance, 1.0::float8 FROM (
    SELECT id, at, importance, about FROM memories WHERE world_id = $1 AND character_id = $2
    ORDER BY at DESC, id DESC LIMIT {2 * CONSIDERED}
) latest WHERE $3 = ANY(about)
"""  # noqa: S608
# `$2` is the owner's lexeme: the index joins its list with those of the words, and touches nobody else's memories.
# No condition on the world beside it, lest the planner take another index.
SEARCH: Final = f"""
SELECT m.id, m.at, m.importance, ts_rank(m.search, q.words)::float8 AS relevance
FROM (SELECT replace(plainto_tsquery('english', $1)::text, ' & ', ' | ')::tsquery AS words) q
CROSS JOIN LATERAL (
    SELECT id, at, importance, search FROM memories
    WHERE search @@ (q.words && $2::tsquery) AND ($3::uuid IS NULL OR subject_id = $3 OR $3 = ANY(about))
    ORDER BY at DESC LIMIT {MATCHES_CONSIDERED}
) m
WHERE numnode(q.words) > 0
"""  # noqa: S608
SAYS_NOTHING: Final = "SELECT numnode(plainto_tsquery('english', $1)) = 0"
LOAD: Final = f"SELECT {COLUMNS} FROM memories m WHERE m.world_id = $1 AND m.id = ANY($2::uuid[])"  # noqa: S608


class FullText:
    """Relevance by PostgreSQL's full-text search, in English: any of the words, ranked by how many and how often."""

    async def candidates(
        self, connection: Any, world_id: UUID, character_id: UUID, query: str, about: UUID | None
    ) -> list[Candidate] | None:
        """Memories that hold words of the query; the best match has the relevance 1."""
        owner = f"'owner:{world_id}{character_id}'"
        rows = await connection.fetch(SEARCH, query, owner, about)
        if not rows:
            return None if await connection.fetchval(SAYS_NOTHING, query) else []
        best = max(row["relevance"] for row in rows)
        return [Candidate(id_, at, importance, rank / best) for id_, at, importance, rank in rows]


FULL_TEXT: Final = FullText()


async def recall(
    connection: Any, world_id: UUID, character_id: UUID, query: str | None, about: UUID | None, now: int, limit: int,
    relevance: Relevance = FULL_TEXT,
) -> list[Recalled]:  # fmt: skip
    """Up to `limit` (at most 100) of a character's memories, best first; see `rules.score`.

    `query` says what is asked (None: whatever comes to mind), `about` of whom. However much the character
    remembers, a bounded number of memories is weighed: those that hold words of the query, or else the latest and
    the weightiest.
    """
    candidates = None
    if query:
        candidates = await relevance.candidates(connection, world_id, character_id, query, about)
    if candidates is None and about:
        candidates = _candidates(await connection.fetch(ABOUT, world_id, character_id, about))
    elif candidates is None:
        candidates = _candidates(await connection.fetch(LATEST_AND_WEIGHTIEST, world_id, character_id))
    weighed = ((-total(c.at, c.importance, now, c.relevance), c.id, c) for c in candidates)
    best = [candidate for _, _, candidate in nsmallest(min(limit, MOST_RECALLED), weighed)]
    states = {
        row["id"]: state_of(row) for row in await connection.fetch(LOAD, world_id, [c.id for c in best])
    }
    return [Recalled(states[c.id], score(c, now, c.relevance)) for c in best if c.id in states]


def _candidates(rows: list[Any]) -> list[Candidate]:
    return [Candidate(*row) for row in rows]
